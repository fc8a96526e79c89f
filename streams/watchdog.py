"""Ends a process that hangs, so that another one takes its partitions over."""

import faulthandler
import logging
import os
import sys
import threading
import time

EXIT_CODE = 70

_log = logging.getLogger(__name__)


def no_beat() -> None:
    """What is called where nobody watches."""


class Silence:
    """How long no step was made, of the time in which the process ran at all.

    A process that was stopped, or whose machine slept, has not hung: it is `look` that was away then, too.
    """

    def __init__(self, tick: float, now: float) -> None:
        """`look` is called every `tick` seconds."""
        self._tick = tick
        self._last = now
        self._looked = now

    def beat(self, now: float) -> None:
        self._last = now

    def look(self, now: float) -> float:
        """Seconds of silence."""
        away = now - self._looked - self._tick
        self._looked = now
        if away > self._tick:
            self._last = min(now, self._last + away)
        return now - self._last


class Watchdog:
    """Call `beat` at every step; a silence of `seconds` prints all stacks and ends the process with 70."""

    def __init__(self, name: str, seconds: float) -> None:
        self._name = name
        self._seconds = seconds
        self._tick = min(1.0, seconds / 4)
        self._silence = Silence(self._tick, time.monotonic())
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, name=f"watchdog-{name}", daemon=True)

    def start(self) -> None:
        self._silence = Silence(self._tick, time.monotonic())
        self._thread.start()

    def beat(self) -> None:
        self._silence.beat(time.monotonic())

    def stop(self) -> None:
        self._stopped.set()

    def _watch(self) -> None:
        while not self._stopped.wait(self._tick):
            silent = self._silence.look(time.monotonic())
            if silent > self._seconds:
                _log.critical("%s made no step for %.0f s: ending the process", self._name, silent)
                faulthandler.dump_traceback(file=sys.__stderr__ or sys.stderr)
                os._exit(EXIT_CODE)
