"""A worker's own vector cache, in front of vectors that were encoded in bulk, which it only reads."""

import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from threading import Lock

from encoders.vector_cache import StoredVectors, VectorCache

LOGGER = logging.getLogger(__name__)

MARK = "encoded"
"""A file that whoever fills the folder touches: what came since is read then."""
LOOK_SECONDS = 1.0


class BulkVectors:
    """Vectors in a folder that another process fills. Any thread may call it.

    A folder that is not there, or cannot be read, holds nothing; both may change while this lives.
    """

    def __init__(self, folder: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._folder = folder
        self._clock = clock
        self._lock = Lock()
        self._store: StoredVectors | None = None
        self._seen = self._complained = 0
        self._looks_at = float("-inf")

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """The values of the keys in their order, None for a key that is not there."""
        with self._lock:
            if self._clock() >= self._looks_at:
                self._looks_at = self._clock() + LOOK_SECONDS
                self._look()
            if self._store is None:
                return [None] * len(keys)
            try:
                return self._store.get_many(keys)
            except Exception as error:
                LOGGER.warning("the vectors in %s are given up: %s", self._folder, error)
                self._close()
                return [None] * len(keys)

    def close(self) -> None:
        """Lets the folder go. Closing twice is harmless."""
        with self._lock:
            self._close()
            self._looks_at = float("inf")

    def _look(self) -> None:
        """Opens what was marked since the last time. What fails is tried again: its tables come and go."""
        try:
            marked = (self._folder / MARK).stat().st_mtime_ns
        except OSError:
            return
        if marked == self._seen:
            return
        try:
            fresh = StoredVectors(self._folder)
        except Exception as error:
            if marked != self._complained:
                LOGGER.warning("the vectors in %s cannot be read yet: %s", self._folder, error)
            self._complained = marked
            return
        self._close()
        self._store, self._seen = fresh, marked

    def _close(self) -> None:
        store, self._store = self._store, None
        if store is not None:
            store.close()


def mark(folder: Path) -> None:
    """Tells who reads the folder that more came."""
    now = time.time_ns()
    (folder / MARK).touch()
    # The time that touching gives is that of the last tick, which two marks may share.
    os.utime(folder / MARK, ns=(now, now))


class LayeredCache:
    """Reads what is in the cache, else among the bulk; writes to the cache alone. Closing closes both."""

    def __init__(self, cache: VectorCache, bulk: BulkVectors) -> None:
        self._cache = cache
        self._bulk = bulk

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """The values of the keys in their order, None for a key that is nowhere."""
        values = self._cache.get_many(keys)
        missing = [place for place, value in enumerate(values) if value is None]
        if missing:
            found = self._bulk.get_many([keys[place] for place in missing])
            for place, value in zip(missing, found, strict=True):
                values[place] = value
        return values

    def put_many(self, values: Mapping[bytes, bytes]) -> None:
        self._cache.put_many(values)

    def close(self) -> None:
        self._bulk.close()
        self._cache.close()
