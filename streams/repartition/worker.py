"""The repartition worker: what it opens, in which order, and how it ends."""

import threading
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from streams.encode.instance import Instance
from streams.encode.sink import TransactionalSink
from streams.encode.source import RawSource
from streams.errors import EngineError, TopicError
from streams.kafka import KafkaException, admin_client
from streams.repartition.loop import Limits, RepartitionLoop
from streams.repartition.stage import STAGE
from streams.repartition.starting import counted_ends
from streams.settings import Settings
from streams.topics import partition_counts, topic_values
from streams.watchdog import Watchdog


class RepartitionWorker:
    """One of any number; they share the partitions of `interactions` by their consumer group."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._watchdog = Watchdog(STAGE, settings.app.watchdog_seconds)
        self._running = False

    def waits_for(self) -> str:
        return "the broker to end what its forerunner left open"

    def ready(self) -> bool:
        """Whether records are read."""
        return self._running

    def run(self, stop: threading.Event) -> None:
        """Work until `stop`, then commit and leave the group.

        Raises EngineError where it cannot go on: what was not committed is done again by the next worker.
        """
        with ExitStack() as stack:
            try:
                loop = self._open(stack)
                self._running = True
                while not stop.is_set():
                    self._watchdog.beat()
                    loop.step(self._watchdog.beat)
            except KafkaException as error:
                raise EngineError(f"Kafka: {error.args[0].str()}") from error
            finally:
                self._running = False

    def _open(self, stack: ExitStack) -> RepartitionLoop:
        settings = self._settings
        limits = check_topics(settings)
        instance = stack.enter_context(Instance(Path(settings.app.data), STAGE))
        group = f"{settings.app.name}-{STAGE}"
        largest = max(limits.copy, limits.letter)
        sink = TransactionalSink(settings, f"{group}-{instance.id}", largest, self._watchdog.beat)
        stack.callback(sink.close)
        self._watchdog.start()
        stack.callback(self._watchdog.stop)
        sink.open()
        begin = partial(counted_ends, settings)
        source = RawSource(settings, group, [settings.topics.interactions], begin)
        stack.callback(source.close)
        source.open()
        return RepartitionLoop(settings.topics, source, sink, limits)


def check_topics(settings: Settings) -> Limits:
    """Largest records that the topics take. Raises TopicError where one is missing."""
    names = settings.topics
    needed = (names.interactions, names.interactions_by_user, names.dead_letters)
    admin = admin_client(settings.kafka)
    counts = partition_counts(admin, needed)
    missing = [name for name in needed if name not in counts]
    if missing:
        raise TopicError(f"no topic {', '.join(missing)}; make them with `penchant topics create`")
    sizes = [int(topic_values(admin, name)["max.message.bytes"]) for name in needed[1:]]
    return Limits(*sizes)
