"""Media of the batch to come are fetched while the present one is encoded."""

import logging
from collections.abc import Collection, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from threading import Lock

from streams.encode.media import Found, MediaEncoder, Wanted

PART = 16
"""References that are fetched together; after each part it is looked whether there is still use for more."""
MOST_BYTES = 256 * 1024 * 1024
"""What may lie fetched before no further part is begun."""
LIMIT_SECONDS = 120.0
"""Far beyond the budget of a part, which ends by itself."""

_log = logging.getLogger(__name__)


class FetchAhead:
    """What one batch wants is fetched in a thread while the batch before it is encoded. One thread calls.

    Nothing hangs on it but time: what was not begun is fetched in its turn, and what was fetched for a batch
    that never came is dropped.
    """

    def __init__(self, media: MediaEncoder, most_bytes: int = MOST_BYTES) -> None:
        self._media = media
        self._most_bytes = most_bytes
        self._thread = ThreadPoolExecutor(1, "fetch-ahead")
        self._window: _Window | None = None
        self._work: Future[Found] | None = None

    def begin(self, wanted: Iterable[Wanted], in_hand: Collection[Wanted]) -> None:
        """Fetch these from now on, but for those in hand: their vectors are made just now."""
        remote = dict.fromkeys(one for one in wanted if one.uri is not None and one not in in_hand)
        if remote:
            self._window = _Window(self._media, list(remote), self._most_bytes)
            self._work = self._thread.submit(self._window.fetch)

    def find(self, wanted: Iterable[Wanted]) -> Found:
        """As `MediaEncoder.find`, within the same time, but that much is fetched already."""
        each = list(dict.fromkeys(wanted))
        work, self._work = self._work, None
        if work is None or self._window is None:
            return self._media.find(each)
        begun = self._window.end()
        rest = self._media.find([one for one in each if one not in begun])
        ahead = _result(work)
        missing = [one for one in each if one in begun and one not in ahead]
        return _joined(each, [rest, ahead, self._media.find(missing)] if missing else [rest, ahead])

    def close(self) -> None:
        """What is being fetched ends by its own time limit, and nothing more is begun."""
        if self._window is not None:
            self._window.end()
        self._thread.shutdown(wait=False, cancel_futures=True)


class _Window:
    """References that are fetched part by part, until somebody ends it or enough lies there."""

    def __init__(self, media: MediaEncoder, wanted: Sequence[Wanted], most_bytes: int) -> None:
        self._media = media
        self._wanted = wanted
        self._most_bytes = most_bytes
        self._lock = Lock()
        self._begun: set[Wanted] = set()
        self._is_over = False

    def fetch(self) -> Found:
        found = Found({}, {}, {})
        for part in _parts(self._wanted):
            with self._lock:
                if self._is_over or _size(found) >= self._most_bytes:
                    break
                self._begun.update(part)
            found.update(self._media.find(part))
        return found

    def end(self) -> set[Wanted]:
        """Begins no further part; those of the parts that were begun."""
        with self._lock:
            self._is_over = True
            return self._begun


def _result(work: "Future[Found]") -> Found:
    try:
        return work.result(LIMIT_SECONDS)
    except Exception:
        # Whatever it was, the batch runs into it itself where it still holds.
        _log.warning("fetching ahead failed", exc_info=True)
        return Found({}, {}, {})


def _parts(wanted: Sequence[Wanted]) -> Iterator[list[Wanted]]:
    left = iter(wanted)
    while part := list(islice(left, PART)):
        yield part


def _size(found: Found) -> int:
    return sum(len(medium.content) for medium in found.contents.values())


def _joined(each: Sequence[Wanted], parts: Sequence[Found]) -> Found:
    """What the parts say of each."""
    joined = Found({}, {}, {})
    for part in parts:
        joined.update(part)
    return joined.only(each)
