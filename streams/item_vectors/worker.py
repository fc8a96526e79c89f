"""The worker that publishes the catalogue's vectors: what it opens, and in which order."""

from contextlib import ExitStack
from pathlib import Path

from state.fusion import Fusion
from streams.encode.instance import Instance
from streams.encode.relay_worker import RelayWorker, check_there
from streams.encode.sink import TransactionAborted, TransactionalSink
from streams.encode.source import RawSource
from streams.item_vectors.loop import STAGE, ItemVectorsLoop, Vectors
from streams.kafka import KafkaException, admin_client
from streams.models.live import ModelWatch
from streams.settings import Settings
from streams.topics import SilentCluster

_NO_LETTERS = 0


class ItemVectorsWorker(RelayWorker):
    """Its consumer group, which reads `items.encoded`, belongs to one service of one model.

    So another model begins with the first item again, and one that serves again does, too: in the end all
    vectors in the topic are of the model that serves.
    """

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings, STAGE)
        self._watch = ModelWatch(settings)

    def outdated(self) -> bool:
        return self._watch.changed()

    def open(self, stack: ExitStack) -> ItemVectorsLoop:
        settings, topics = self.settings, self.settings.topics
        live = self._watch.begin()
        fusion = Fusion(live.artifact())
        check_there(admin_client(settings.kafka), (topics.items_encoded, topics.item_vectors))
        instance = stack.enter_context(Instance(Path(settings.app.data), STAGE))
        name = f"{settings.app.name}-{STAGE}"
        sink = TransactionalSink(settings, f"{name}-{instance.id}", _NO_LETTERS, self.watchdog.beat)
        stack.callback(sink.close)
        self.watchdog.start()
        stack.callback(self.watchdog.stop)
        sink.open()
        service = f"-{live.generation}" if live.generation else ""
        group = f"{name}-{fusion.artifact.fingerprint:08x}{service}"
        source = RawSource(settings, group, [topics.items_encoded])
        stack.callback(source.close)
        source.open()
        return ItemVectorsLoop(source, sink, Vectors(topics.item_vectors, fusion), self._check)

    def _check(self) -> None:
        """Raises TransactionAborted where the model that was opened serves no more, or nobody knows."""
        try:
            overtaken = self._watch.overtaken()
        except (KafkaException, SilentCluster) as error:
            raise TransactionAborted(f"it is not known which model serves: {error}") from error
        if overtaken:
            raise TransactionAborted("another model serves")
