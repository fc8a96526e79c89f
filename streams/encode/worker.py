"""The encode worker: reads raw records, runs the stage on them, commits what it gives."""

import logging
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from encoders.errors import EncodersError
from streams.encode.instance import Instance
from streams.encode.item_tail import ItemTail
from streams.encode.item_view import ItemView
from streams.encode.media import MediaEncoder
from streams.encode.sink import TransactionAborted, TransactionalSink
from streams.encode.source import Place, RawSource
from streams.encode.stage import STAGE, EncodeStage, Outcome
from streams.errors import EngineError, TopicError
from streams.kafka import admin_client
from streams.metrics import BATCH_SIZE, COMMIT_TIME, STAGE_SECONDS
from streams.raw import RawRecord
from streams.settings import Settings
from streams.topics import partition_counts, topic_values
from streams.watchdog import Watchdog

CATCH_UP_SECONDS = 1_800.0
MAX_ABORTS = 100
"""So many aborted transactions in a row end the worker: waiting does not mend what is wrong."""
BATCH_SECONDS = 5.0
"""What the media of one batch may cost; fewer are taken at once where they take longer."""
FIRST_FETCHES = 4

_log = logging.getLogger(__name__)

MediaFactory = Callable[[Settings, Path, ExitStack], MediaEncoder]
"""Makes what fetches and encodes media, with its files in a folder; the stack closes it."""


class EncodeWorker:
    """One of any number of encode workers; they share the partitions by their consumer group."""

    def __init__(self, settings: Settings, make_media: MediaFactory | None = None) -> None:
        self._settings = settings
        self._make_media = _configured_media if make_media is None else make_media
        self._view = ItemView()
        self._tail = ItemTail(settings, self._view)
        self._watchdog = Watchdog(STAGE, settings.app.watchdog_seconds)
        self._running = False

    def ready(self) -> bool:
        """Whether all items are known and raw records are read."""
        return self._running

    def knows(self, item_id: str) -> bool:
        """Whether events get the vectors of this item."""
        return self._view.get(item_id) is not None

    def run(self, stop: threading.Event) -> None:
        """Work until `stop`, then end the batch, commit and leave the group.

        Raises EngineError where it cannot go on: what was not committed is done again by the next worker.
        """
        with ExitStack() as stack:
            try:
                loop = self._open(stack)
                if self._catch_up(stop):
                    loop.source.open()
                    self._running = True
                    while not stop.is_set():
                        self._watchdog.beat()
                        self._tail.check()
                        loop.step()
            except EncodersError as error:
                raise EngineError(f"encoding failed: {error}") from error
            finally:
                self._running = False

    def _open(self, stack: ExitStack) -> "EncodeLoop":
        settings = self._settings
        limit = check_topics(settings)
        instance = stack.enter_context(Instance(Path(settings.app.data)))
        self._tail.start()
        stack.callback(self._tail.stop)
        media = self._make_media(settings, instance.folder, stack)
        name = f"{settings.app.name}-encode-{instance.id}"
        sink = TransactionalSink(settings, name, limit, self._watchdog.beat)
        stack.callback(sink.close)
        self._watchdog.start()
        stack.callback(self._watchdog.stop)
        sink.open()
        source = RawSource(settings)
        stack.callback(source.close)
        return EncodeLoop(settings, source, sink, EncodeStage(settings, media, self._view))

    def _catch_up(self, stop: threading.Event) -> bool:
        deadline = time.monotonic() + CATCH_UP_SECONDS
        while not stop.is_set():
            self._watchdog.beat()
            self._tail.check()
            if self._view.caught_up.wait(0.05):
                return True
            if time.monotonic() > deadline:
                raise EngineError(f"{self._settings.topics.items_encoded} could not be read to its end")
        return False


class EncodeLoop:
    """One step of the worker: read, encode, commit."""

    def __init__(
        self,
        settings: Settings,
        source: RawSource,
        sink: TransactionalSink,
        stage: EncodeStage,
    ) -> None:
        self.source = source
        self._sink = sink
        self._stage = stage
        self._limit = settings.encode.batch_records
        self._interactions = settings.topics.interactions
        self._backlog: list[RawRecord] = []
        self._arrived: set[str] = set()
        self._aborts = 0
        self._fetches = FIRST_FETCHES

    def step(self) -> None:
        """One batch, or a short wait for one. Raises EngineError."""
        # A backlog is worked off first; asking for one record more keeps us in the group meanwhile.
        limit = 1 if self._backlog else self._limit
        fresh = self.source.read(limit, wait=not self._backlog)
        records = self.source.owned(self._backlog) + fresh
        self._stage.pending.forget_partitions(self.source.revoked)
        self.source.revoked.clear()
        self._arrived |= self._stage.pending.waits_for(self._stage.view.take_arrived())
        self._backlog = []
        if records or self._arrived:
            self._batch(records)

    def _batch(self, records: list[RawRecord]) -> None:
        started = time.monotonic()
        outcome = self._stage.process(records, self.source.firsts(), self._arrived, self._fetches)
        encoded = time.monotonic()
        ends = self._ends(records[: outcome.taken], outcome)
        try:
            self._sink.commit(outcome, self.source.offsets(ends), self.source.metadata())
        except TransactionAborted as error:
            self._aborted(error)
            return
        self._aborts = 0
        self._stage.settle(outcome)
        self.source.advance(ends)
        self._backlog = records[outcome.taken :]
        self._arrived.clear()
        self._measure(outcome, encoded - started, time.monotonic() - encoded)

    def _ends(self, records: list[RawRecord], outcome: Outcome) -> dict[Place, int]:
        """Next offsets after the batch. Partitions that get corrections alone keep theirs, yet it is sent

        too: the coordinator then refuses the transaction of a worker that does not own them any more.
        """
        corrected = {(self._interactions, waiting.draft.partition) for waiting, _ in outcome.amended}
        ends = {place: self.source.positions[place] for place in corrected}
        ends.update({(record.topic, record.partition): record.offset + 1 for record in records})
        return ends

    def _aborted(self, error: TransactionAborted) -> None:
        self._aborts += 1
        if self._aborts >= MAX_ABORTS:
            raise EngineError(f"{self._aborts} transactions in a row were aborted: {error}") from error
        self.source.rewind()

    def _measure(self, outcome: Outcome, encoding: float, committing: float) -> None:
        if outcome.fetched:
            # At most twice as many as the last time: one cheap batch does not promise that the next is.
            affordable = int(outcome.fetched * BATCH_SECONDS / max(encoding, 0.001))
            self._fetches = max(1, min(affordable, 2 * self._fetches, self._limit))
        BATCH_SIZE.labels(STAGE).observe(outcome.taken)
        STAGE_SECONDS.labels(STAGE).observe(encoding)
        STAGE_SECONDS.labels("encode-commit").observe(committing)
        COMMIT_TIME.labels(STAGE).set_to_current_time()
        _log.debug(
            "%d records, %d packs, %d items, %d dead letters: %.1f ms, commit %.1f ms",
            outcome.taken,
            len(outcome.packs),
            len(outcome.items),
            len(outcome.dead_letters),
            encoding * 1000,
            committing * 1000,
        )


def _configured_media(settings: Settings, folder: Path, stack: ExitStack) -> MediaEncoder:
    # Imported late: the encoders load their frameworks, which only a worker that serves needs.
    from streams.encode.configured_media import configured_media

    return configured_media(settings, folder, stack)


def check_topics(settings: Settings) -> int:
    """Largest record that `dead-letters` takes, in bytes. Raises TopicError where topics do not fit."""
    names = settings.topics
    needed = (names.interactions, names.items, names.interactions_encoded, names.items_encoded)
    admin = admin_client(settings.kafka)
    counts = partition_counts(admin, (*needed, names.dead_letters))
    missing = [name for name in (*needed, names.dead_letters) if name not in counts]
    if missing:
        raise TopicError(f"no topic {', '.join(missing)}; make them with `penchant topics create`")
    if counts[names.interactions_encoded] < counts[names.interactions]:
        raise TopicError(
            f"{names.interactions_encoded} has {counts[names.interactions_encoded]} partitions, fewer than "
            f"the {counts[names.interactions]} of {names.interactions}; give it as many"
        )
    return int(topic_values(admin, names.dead_letters)["max.message.bytes"])
