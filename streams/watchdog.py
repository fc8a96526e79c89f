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


class Watchdog:
    """Call `beat` at every step; a silence of `seconds` prints all stacks and ends the process with 70."""

    def __init__(self, name: str, seconds: float) -> None:
        self._name = name
        self._seconds = seconds
        self._last = time.monotonic()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, name=f"watchdog-{name}", daemon=True)

    def start(self) -> None:
        self._last = time.monotonic()
        self._thread.start()

    def beat(self) -> None:
        self._last = time.monotonic()

    def stop(self) -> None:
        self._stopped.set()

    def _watch(self) -> None:
        while not self._stopped.wait(min(1.0, self._seconds / 4)):
            silent = time.monotonic() - self._last
            if silent > self._seconds:
                _log.critical("%s made no step for %.0f s: ending the process", self._name, silent)
                faulthandler.dump_traceback(file=sys.__stderr__ or sys.stderr)
                os._exit(EXIT_CODE)
