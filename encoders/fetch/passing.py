"""Failures that may be over at the next try."""

import random
import time
from collections.abc import Callable
from typing import TypeVar

from encoders.errors import MediumError

MOST_TRIES = 3
FIRST_PAUSE_SECONDS = 0.1
ResultT = TypeVar("ResultT")


class PassingError(Exception):
    """A failure that may be over at the next try; `error` is what it amounts to if not."""

    def __init__(self, error: MediumError) -> None:
        super().__init__(str(error))
        self.error = error


def patiently(get: Callable[[], ResultT], deadline: float) -> ResultT:
    """What `get` gives, tried again a few times, with pauses that double and differ from try to try.

    Ends by `deadline` (time.monotonic). Raises MediumError.
    """
    pause = FIRST_PAUSE_SECONDS
    for attempt in range(1, MOST_TRIES + 1):
        try:
            return get()
        except PassingError as passing:
            wait = pause * random.uniform(0.5, 1.5)
            if attempt == MOST_TRIES or time.monotonic() + wait >= deadline:
                raise passing.error from passing
        time.sleep(wait)
        pause *= 2
    raise AssertionError("the last try returns or raises")
