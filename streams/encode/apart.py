"""Calls into the client library that may never return."""

import threading
import time
from collections.abc import Callable

_BEAT_SECONDS = 1.0


class CallHangs(Exception):
    """The call did not return in time; its thread is left behind."""


def call_apart(call: Callable[[], None], seconds: float, beat: Callable[[], None]) -> None:
    """Run a call in a thread of its own, and raise what it raises.

    librdkafka's calls of a transaction take a limit of time, yet some do not return when their broker goes
    away at the wrong moment (measured: `send_offsets_to_transaction`, after a broker was killed). Raises
    CallHangs after `seconds`; `beat` is called about once a second before.
    """
    ended = threading.Event()
    errors: list[BaseException] = []

    def run() -> None:
        try:
            call()
        except BaseException as error:
            errors.append(error)
        finally:
            ended.set()

    threading.Thread(target=run, name="kafka-call", daemon=True).start()
    deadline = time.monotonic() + seconds
    while not ended.wait(max(0.0, min(_BEAT_SECONDS, deadline - time.monotonic()))):
        beat()
        if time.monotonic() >= deadline:
            raise CallHangs(f"no answer within {seconds:.0f} s")
    if errors:
        raise errors[0]
