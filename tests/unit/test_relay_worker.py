"""A worker that relays begins anew where what it rests on has changed."""

import threading
from contextlib import ExitStack
from typing import Any

from streams.encode.relay_worker import RelayWorker
from streams.settings import Settings


class Stand(RelayWorker):
    """Opens anew after every second step, and is asked to stop when it was opened three times."""

    def __init__(self, stop: threading.Event) -> None:
        super().__init__(Settings(), "stand")
        self._stop = stop
        self.told: list[str] = []
        self.steps = 0

    def open(self, stack: ExitStack) -> Any:
        self.told.append("open")
        self.watchdog.start()
        stack.callback(self.watchdog.stop)
        stack.callback(self.told.append, "closed")
        if self.told.count("open") == 3:
            self._stop.set()
        return self

    def step(self, beat: object) -> None:
        self.steps += 1

    def outdated(self) -> bool:
        return self.steps > 0 and self.steps % 2 == 0 and self._again()

    def _again(self) -> bool:
        self.steps += 1
        return True


def test_it_closes_what_it_had_before_it_opens_anew() -> None:
    stop = threading.Event()
    worker = Stand(stop)
    worker.run(stop)
    assert worker.told == ["open", "closed"] * 3
    assert not worker.ready()
