"""The worker that publishes the catalogue's vectors: what it opens, in which order, and how it ends."""

import threading
from contextlib import ExitStack
from pathlib import Path

from state.artifact import load_artifact
from state.errors import StateError
from state.fusion import Fusion
from streams.encode.instance import Instance
from streams.encode.sink import TransactionalSink
from streams.encode.source import RawSource
from streams.errors import EngineError, TopicError
from streams.item_vectors.loop import STAGE, ItemVectorsLoop
from streams.kafka import KafkaException, admin_client
from streams.settings import Settings
from streams.topics import partition_counts
from streams.watchdog import Watchdog

_NO_LETTERS = 0


class ItemVectorsWorker:
    """One of any number; they share the partitions of `items.encoded` by a consumer group of their model's.

    So another model begins with the first item again, and in the end all vectors in the topic are its own.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        try:
            self._fusion = Fusion(load_artifact(settings.model.artifact))
        except StateError as error:
            raise EngineError(str(error)) from error
        self._watchdog = Watchdog(STAGE, settings.app.watchdog_seconds)
        self._running = False

    def waits_for(self) -> str:
        return "the broker to end what its forerunner left open"

    def ready(self) -> bool:
        """Whether items are read."""
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

    def _open(self, stack: ExitStack) -> ItemVectorsLoop:
        settings, topics = self._settings, self._settings.topics
        _check_topics(settings)
        instance = stack.enter_context(Instance(Path(settings.app.data), STAGE))
        name = f"{settings.app.name}-{STAGE}"
        sink = TransactionalSink(settings, f"{name}-{instance.id}", _NO_LETTERS, self._watchdog.beat)
        stack.callback(sink.close)
        self._watchdog.start()
        stack.callback(self._watchdog.stop)
        sink.open()
        group = f"{name}-{self._fusion.artifact.fingerprint:08x}"
        source = RawSource(settings, group, [topics.items_encoded])
        stack.callback(source.close)
        source.open()
        return ItemVectorsLoop(topics.item_vectors, source, sink, self._fusion)


def _check_topics(settings: Settings) -> None:
    needed = (settings.topics.items_encoded, settings.topics.item_vectors)
    counts = partition_counts(admin_client(settings.kafka), needed)
    missing = [name for name in needed if name not in counts]
    if missing:
        raise TopicError(f"no topic {', '.join(missing)}; make them with `penchant topics create`")
