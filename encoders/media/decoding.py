"""Media that are decoded while what was decoded before them is encoded."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from queue import SimpleQueue
from types import TracebackType
from typing import Self

from encoders.base import Medium
from encoders.errors import DecoderCrash, EncodersError, MediumError
from encoders.media.decoded import Decoded

Outcome = Decoded | MediumError | DecoderCrash


class Decoding:
    """What becomes of each medium, with its place among them, as they get done.

    So many are under way or done at once, the first of them when the constructor returns. `__next__` waits,
    and raises what `decode` raises.
    """

    def __init__(
        self,
        threads: ThreadPoolExecutor,
        decode: Callable[[Medium], Outcome],
        media: Sequence[Medium],
        ahead: int,
    ) -> None:
        self._threads = threads
        self._decode = decode
        self._left: Iterator[tuple[int, Medium]] = iter(enumerate(media))
        self._places: dict[Future[Outcome], int] = {}
        self._done: SimpleQueue[Future[Outcome]] = SimpleQueue()
        self._begin(max(1, ahead))

    def __iter__(self) -> Iterator[tuple[int, Outcome]]:
        return self

    def __next__(self) -> tuple[int, Outcome]:
        if not self._places:
            raise StopIteration
        future = self._done.get()
        place = self._places.pop(future)
        self._begin(1)
        return place, future.result()

    def is_waiting(self) -> bool:
        """Whether some are under way and none is done."""
        return bool(self._places) and self._done.empty()

    def close(self) -> None:
        """Gives up what was not begun."""
        self._left = iter(())
        for future in self._places:
            future.cancel()
        self._places = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _begin(self, count: int) -> None:
        for place, medium in islice(self._left, count):
            try:
                future = self._threads.submit(self._decode, medium)
            except RuntimeError as error:
                raise EncodersError("the decode pool is closed") from error
            self._places[future] = place
            future.add_done_callback(self._done.put)
