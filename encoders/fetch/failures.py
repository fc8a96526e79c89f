"""Remembers what could not be fetched, so that a dead reference costs its host and the stream little."""

import time
from collections import OrderedDict
from collections.abc import Callable
from threading import Lock

from encoders.errors import MediumError

MOST = 10_000
Reference = tuple[str, str | None]
"""URI and SHA-256."""


class Failures:
    """A negative cache. Any thread may use it.

    A fetch that ran out of time is not remembered: that may have been the fault of a small budget.
    """

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._lock = Lock()
        self._failed: OrderedDict[Reference, tuple[float, MediumError]] = OrderedDict()

    def get(self, reference: Reference) -> MediumError | None:
        """Why the reference failed a moment ago, if it did."""
        with self._lock:
            found = self._failed.get(reference)
            if found is None:
                return None
            if self._clock() < found[0]:
                return found[1]
            del self._failed[reference]
            return None

    def add(self, reference: Reference, error: MediumError) -> None:
        """Remember the failure for a while."""
        if self._seconds <= 0 or error.reason == "too_slow":
            return
        with self._lock:
            self._failed.pop(reference, None)
            self._failed[reference] = (self._clock() + self._seconds, error)
            while len(self._failed) > MOST:
                self._failed.popitem(last=False)

    def forget(self, reference: Reference) -> None:
        """It was fetched."""
        with self._lock:
            self._failed.pop(reference, None)
