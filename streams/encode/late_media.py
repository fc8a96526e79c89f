"""Media that could not be fetched in an event's time, tried again beside the stream."""

import heapq
import itertools
import logging
import threading
import time
from collections.abc import Callable, Iterable

from encoders.base import Encoded
from streams.encode.media import MediaEncoder, Wanted
from streams.errors import EngineError

RETRY_SECONDS = (2.0, 10.0, 60.0, 240.0)
"""Pauses before each further try; after the last one the medium stays masked."""
MAX_LATE = 10_000
"""Media that may wait; further ones stay masked."""
BATCH = 8

_log = logging.getLogger(__name__)


class LateMedia:
    """A thread that fetches and encodes again what was missing or too slow.

    It shares the bank with the stream, so it works in small batches. `take` gives what came.
    """

    def __init__(
        self, media: MediaEncoder, budget_seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._media = media
        self._budget_seconds = budget_seconds
        self._clock = clock
        self._order = itertools.count()
        self._queue: list[tuple[float, int, Wanted, int]] = []
        self._waiting: set[Wanted] = set()
        self._came: dict[Wanted, Encoded] = {}
        self._wake = threading.Condition()
        self._stopped = False
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="late-media", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        with self._wake:
            self._stopped = True
            self._wake.notify()
        if self._thread.ident is not None:
            self._thread.join(self._budget_seconds + 10.0)

    def check(self) -> None:
        """Raises EngineError where the thread failed."""
        if self._failure is not None:
            raise EngineError(f"encoding late media failed: {self._failure}") from self._failure

    def request(self, wanted: Iterable[Wanted]) -> None:
        """Try these again later; those that are waiting already are not doubled."""
        with self._wake:
            for one in wanted:
                if one not in self._waiting and len(self._waiting) < MAX_LATE:
                    self._waiting.add(one)
                    self._schedule(one, 0)
            self._wake.notify()

    def take(self) -> dict[Wanted, Encoded]:
        """What came since the last call."""
        if not self._came:
            return {}
        with self._wake:
            came, self._came = self._came, {}
            return came

    def try_due(self) -> None:
        """One try of what is due now, in the caller's thread."""
        with self._wake:
            due = self._due()
        if not due:
            return
        media = self._media.encode(due, self._budget_seconds, anew=True)
        with self._wake:
            for one, tries in due.items():
                encoded = media.encoded[one]
                if one in media.late and tries + 1 < len(RETRY_SECONDS):
                    self._schedule(one, tries + 1)
                    continue
                self._waiting.discard(one)
                if encoded.vectors and encoded.fatal is None:
                    self._came[one] = encoded

    def _due(self) -> dict[Wanted, int]:
        now = self._clock()
        due: dict[Wanted, int] = {}
        while self._queue and self._queue[0][0] <= now and len(due) < BATCH:
            _, _, one, tries = heapq.heappop(self._queue)
            due[one] = tries
        return due

    def _schedule(self, one: Wanted, tries: int) -> None:
        at = self._clock() + RETRY_SECONDS[tries]
        heapq.heappush(self._queue, (at, next(self._order), one, tries))

    def _run(self) -> None:
        try:
            while self._wait():
                self.try_due()
        except Exception as error:
            _log.debug("late media failed", exc_info=True)
            self._failure = error

    def _wait(self) -> bool:
        """Until something is due; false when it is time to end."""
        with self._wake:
            while not self._stopped:
                pause = self._queue[0][0] - self._clock() if self._queue else None
                if pause is not None and pause <= 0:
                    return True
                self._wake.wait(pause)
            return False
