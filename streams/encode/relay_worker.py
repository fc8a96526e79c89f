"""A worker that relays: what it has of its loop and its watchdog, and how it ends."""

import threading
from abc import ABC, abstractmethod
from collections.abc import Iterable
from contextlib import ExitStack
from typing import Any

from streams.encode.relay import Relay
from streams.errors import EngineError, TopicError
from streams.kafka import AdminClient, KafkaException
from streams.settings import Settings
from streams.topics import partition_counts
from streams.watchdog import Watchdog


class RelayWorker(ABC):
    """One of any number; they share the partitions of what they read by a consumer group."""

    def __init__(self, settings: Settings, stage: str) -> None:
        self.settings = settings
        self.watchdog = Watchdog(stage, settings.app.watchdog_seconds)
        self._stage = stage
        self._running = False

    @abstractmethod
    def open(self, stack: ExitStack) -> Relay[Any]:
        """The loop, with what must be closed in the end on the stack. Starts the watchdog."""

    def waits_for(self) -> str:
        return "the broker to end what its forerunner left open"

    def ready(self) -> bool:
        """Whether records are read."""
        return self._running

    def outdated(self) -> bool:
        """Whether all that was opened is to be opened anew."""
        return False

    def run(self, stop: threading.Event) -> None:
        """Work until `stop`, then commit and leave the group.

        Raises EngineError where it cannot go on: what was not committed is done again by the next worker.
        """
        while not stop.is_set():
            with ExitStack() as stack:
                try:
                    loop = self.open(stack)
                    self._running = True
                    while not stop.is_set() and not self.outdated():
                        self.watchdog.beat()
                        loop.step(self.watchdog.beat)
                except KafkaException as error:
                    raise EngineError(f"Kafka: {error.args[0].str()}") from error
                finally:
                    self._running = False
            self.watchdog = Watchdog(self._stage, self.settings.app.watchdog_seconds)


def check_there(admin: AdminClient, needed: Iterable[str]) -> None:
    """Raises TopicError where one of the topics is missing."""
    names = tuple(needed)
    counts = partition_counts(admin, names)
    missing = [name for name in names if name not in counts]
    if missing:
        raise TopicError(f"no topic {', '.join(missing)}; make them with `penchant topics create`")
