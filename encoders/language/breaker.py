"""Stops asking a language model that keeps failing, and tries it again after a while."""

import threading
import time
from collections.abc import Callable


class Breaker:
    """Closed while calls succeed; open after `failures` in a row; after `seconds` one call is let through,
    and its outcome decides (Nygard, "Release It!", 2007).

    Safe between threads. It holds no lock while a call runs, and goes by a clock that nobody sets.
    """

    def __init__(self, failures: int, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = failures
        self._seconds = seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._failures = 0
        self._opened: float | None = None
        self._trying = False

    @property
    def is_open(self) -> bool:
        """Whether calls are held back now."""
        with self._lock:
            return self._opened is not None

    def allow(self) -> bool:
        """Whether to call; whoever is told yes must tell the outcome."""
        with self._lock:
            if self._opened is None:
                return True
            if self._trying or self._clock() - self._opened < self._seconds:
                return False
            self._trying = True
            return True

    def tell(self, succeeded: bool) -> None:
        """The outcome of a call."""
        with self._lock:
            trial, self._trying = self._trying, False
            if succeeded:
                self._failures, self._opened = 0, None
                return
            self._failures += 1
            if trial or self._failures >= self._most:
                self._opened = self._clock()
