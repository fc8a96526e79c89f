"""Calls into packages that know no deadline run in threads of their own, which are left when time is up."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from encoders.errors import MediumError

MOST_LEFT = 64
"""Calls that may be under way at once, those among them that nobody waits for any longer."""

ResultT = TypeVar("ResultT")
_free = threading.BoundedSemaphore(MOST_LEFT)


def within(call: Callable[[], ResultT], latest: float) -> ResultT:
    """What the call gives or raises, or MediumError("too_slow") at `latest`, of time.monotonic.

    A call that hangs keeps its thread until it ends; where MOST_LEFT of them do, no further one is begun.
    """
    if not _free.acquire(timeout=max(0.0, latest - time.monotonic())):
        raise MediumError("too_slow", f"{MOST_LEFT} reads of stores are under way already")
    future: Future[ResultT] = Future()
    threading.Thread(target=_run, args=(call, future), name="store", daemon=True).start()
    try:
        return future.result(max(0.0, latest - time.monotonic()))
    except TimeoutError as error:
        raise MediumError("too_slow", "the store did not answer in time") from error


def _run(call: Callable[[], ResultT], future: "Future[ResultT]") -> None:
    try:
        future.set_result(call())
    except BaseException as error:
        future.set_exception(error)
    finally:
        _free.release()
