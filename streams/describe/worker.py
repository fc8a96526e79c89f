"""The describe worker: what it opens, and in which order."""

from contextlib import ExitStack
from pathlib import Path

from msgspec.structs import replace

from encoders.errors import EncodersError
from encoders.language.writers import configured_writer
from state.errors import StateError
from state.fusion import Fusion
from state.rocks import RocksStore
from streams.describe.loop import DescribeLoop, Tools
from streams.describe.recall import Recall
from streams.describe.scribe import Scribe
from streams.describe.shelf import ItemShelf
from streams.describe.stage import STAGE, Drafter
from streams.describe.states import StateCopies
from streams.encode.instance import Instance
from streams.encode.item_tail import ItemTail
from streams.encode.relay_worker import RelayWorker, check_there
from streams.encode.sink import TransactionalSink
from streams.encode.source import RawSource
from streams.errors import EngineError
from streams.kafka import admin_client
from streams.models.live import Live, ModelWatch
from streams.settings import Settings
from streams.topics import partition_counts

_NO_LETTERS = 0
TOLD_MB = 4
"""Cache, and each of two buffers, of the store of what users were described as."""


class DescribeWorker(RelayWorker):
    """One of any number; they share the partitions of `interests`."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings, STAGE)
        self._watch = ModelWatch(settings)
        self._begin()
        self._loop: DescribeLoop | None = None

    def _begin(self) -> None:
        self._shelf = ItemShelf()
        self._tail = ItemTail(self.settings, self._shelf)

    def outdated(self) -> bool:
        return self._watch.changed()

    def waits_for(self) -> str:
        if not self._shelf.caught_up.is_set():
            return f"reading {self.settings.topics.items_encoded} to its end"
        return "what users were described as before, and copies of their states"

    def ready(self) -> bool:
        """Whether all users of this worker's partitions can be described."""
        return super().ready() and self._loop is not None and self._loop.ready()

    def open(self, stack: ExitStack) -> DescribeLoop:
        settings, topics = self.settings, self.settings.topics
        admin = admin_client(settings.kafka)
        if self._loop is not None:
            # Threads begin once.
            self._begin()
        live = self._watch.begin()
        changelog = live.changelog
        check_there(admin, (topics.interests, topics.interest_descriptions, topics.items_encoded, changelog))
        instance = stack.enter_context(Instance(Path(settings.app.data), STAGE))
        self._tail.start()
        stack.callback(self._tail.stop)
        count = partition_counts(admin, [changelog])[changelog]
        tools = self._tools(stack, instance.folder, live, count)
        name = f"{settings.app.name}-{STAGE}"
        sink = TransactionalSink(settings, f"{name}-{instance.id}", _NO_LETTERS, self.watchdog.beat)
        stack.callback(sink.close)
        self.watchdog.start()
        stack.callback(self.watchdog.stop)
        sink.open()
        source = RawSource(settings, name, [topics.interests])
        stack.callback(source.close)
        source.open()
        self._loop = DescribeLoop(settings, source, sink, tools)
        return self._loop

    def _tools(self, stack: ExitStack, folder: Path, live: Live, state_partitions: int) -> Tools:
        settings = self.settings
        try:
            writer = configured_writer(settings.language)
            substitute = configured_writer(replace(settings.language, backend="template"))
        except EncodersError as error:
            raise EngineError(str(error)) from error
        stack.callback(writer.close)
        states = StateCopies(settings, folder / "states", live.changelog)
        states.start()
        stack.callback(states.stop)
        try:
            told = RocksStore(folder / "told", TOLD_MB, write_buffer_mb=TOLD_MB)
            # What another run left is of partitions that may have changed hands since.
            stack.callback(told.close)
            told.clear()
        except StateError as error:
            raise EngineError(str(error)) from error
        recall = Recall(settings, told)
        stack.callback(recall.close)
        scribe = Scribe(writer, substitute, settings.describe.batch_seconds)
        drafter = Drafter(Fusion(live.artifact()), self._shelf, settings)
        return Tools(drafter, states, recall, scribe, self._shelf_ready, state_partitions)

    def _shelf_ready(self) -> bool:
        """Raises EngineError where the catalogue cannot be read any more."""
        self._tail.check()
        return self._shelf.caught_up.is_set()
