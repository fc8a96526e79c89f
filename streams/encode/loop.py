"""One batch after the other: read, encode beside, commit, and go back where that fails."""

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor

from encoders.base import Encoded
from streams.encode.aborts import Aborts
from streams.encode.late_media import LateMedia
from streams.encode.media import Wanted
from streams.encode.packs import cut_packs, encode_pack
from streams.encode.recollection import Recollection
from streams.encode.sink import TransactionAborted, TransactionalSink
from streams.encode.source import RawSource
from streams.encode.stage import NO_NEWS, STAGE, EncodeStage, News, Outcome, Share
from streams.encode.starts import Place
from streams.metrics import BATCH_SIZE, COMMIT_TIME, QUEUE_DEPTH, STAGE_SECONDS
from streams.raw import RawRecord
from streams.settings import Settings

BATCH_SECONDS = 5.0
"""What the media of one batch may cost; fewer are taken at once where they take longer."""
FIRST_FETCHES = 4
COVER_SECONDS = 10.0
"""How often, at most, offsets without records are covered while nothing comes: it costs a transaction."""
KEEP_SECONDS = 2.0
STALLED_SECONDS = 60.0
"""Beyond what the media of a batch may take at worst: the watchdog is not told of any progress then."""

_log = logging.getLogger(__name__)


class EncodeLoop:
    """One step of the worker: read, encode, commit.

    Encoding runs in a thread beside, so that this one keeps its place in the group however long it takes.
    """

    def __init__(
        self,
        settings: Settings,
        source: RawSource,
        sink: TransactionalSink,
        stage: EncodeStage,
        late: LateMedia,
    ) -> None:
        self.source = source
        self._sink = sink
        self._stage = stage
        self._late = late
        self._recollection = Recollection(settings)
        self._covers_at = 0.0
        self._limit = settings.encode.batch_records
        self._interactions = settings.topics.keyed
        self._items = settings.topics.items
        self._backlog: list[RawRecord] = []
        self._arrived: set[str] = set()
        self._came: dict[Wanted, Encoded] = {}
        self._aborts = Aborts()
        self._fetches = FIRST_FETCHES
        self._max_fetches = settings.encoders.batch_items
        self._medium_seconds = settings.encoders.decode_timeout_seconds
        self._thread = ThreadPoolExecutor(1, "encode-stage")

    def close(self) -> None:
        self._recollection.stop()
        self._stage.close()
        self._thread.shutdown(wait=False, cancel_futures=True)

    def step(self, beat: Callable[[], None]) -> None:
        """One batch, or a short wait for one. Raises EngineError, and EncodersError from the encoders."""
        generation = self.source.generation
        # The batch, and one more to fetch the media of meanwhile. Asking for one record at least keeps us in
        # the group.
        fresh = self.source.read(max(1, 2 * self._limit - len(self._backlog)), wait=not self._backlog)
        records, self._backlog = self._backlog + fresh, []
        self._rebalanced()
        if self.source.generation != generation:
            self._read_again(records, beat)
            return
        news = self._news()
        if records or news:
            self._batch(records, news, beat)
        else:
            self.source.check()
            if time.monotonic() >= self._covers_at:
                self._cover(beat)

    def drain(self, beat: Callable[[], None]) -> None:
        """Before the worker goes, for however long: cover what holds no records. What is read now is left."""
        generation = self.source.generation
        self.source.read(self._limit, wait=True)
        if self.source.generation == generation and not self._backlog:
            self._cover(beat)

    def _rebalanced(self) -> None:
        """Forget what went first: a partition may have gone and come back."""
        if self.source.revoked:
            gone = self._numbers(self.source.revoked, self._interactions)
            self._stage.pending.forget_partitions(gone)
            self._recollection.went(gone)
            self._stage.late_items.forget_partitions(self._numbers(self.source.revoked, self._items))
            self.source.revoked.clear()
        if self.source.came:
            self._recollection.came(self._numbers(self.source.came, self._interactions))
            self.source.came.clear()

    @staticmethod
    def _numbers(places: Iterable[Place], topic: str) -> list[int]:
        return [number for name, number in places if name == topic]

    def _news(self) -> News:
        """What some event waits for. It is offered again until a batch with it is committed."""
        waits_for = self._stage.waits_for
        for each in self._recollection.take():
            self._stage.pending.remember(each.draft, {each.item_id}, each.sequence)
            if self._stage.view.get(each.item_id) is not None:
                self._arrived.add(each.item_id)
        self._arrived.update(filter(waits_for, self._stage.view.take_arrived()))
        self._came.update((each, encoded) for each, encoded in self._late.take().items() if waits_for(each))
        return News(frozenset(self._arrived), dict(self._came)) if self._arrived or self._came else NO_NEWS

    def _batch(self, records: list[RawRecord], news: News, beat: Callable[[], None]) -> None:
        started = time.monotonic()
        generation = self.source.generation
        asked = self.source.ask()
        outcome = self._encode(records, news, beat)
        encoded = time.monotonic()
        if self.source.generation != generation:
            self._read_again(records, beat)
            return
        ends = self._ends(records[: outcome.taken], outcome)
        if not ends:
            self._settled(outcome, news)
            return
        self.source.confirm(asked, beat)
        if not self._commit(outcome, ends, beat):
            return
        self._settled(outcome, news)
        self._backlog = records[outcome.taken :] + self._backlog
        self._measure(outcome, encoded - started, time.monotonic() - encoded)

    def _commit(self, outcome: Outcome, ends: Mapping[Place, int], beat: Callable[[], None]) -> bool:
        try:
            self._sink.commit(outcome, self.source.offsets(ends), self.source.metadata())
        except TransactionAborted as error:
            self._aborts.pause(error)
            self._backlog = []
            self.source.rewind(beat)
            return False
        self._aborts.end()
        self.source.advance(ends)
        return True

    def _cover(self, beat: Callable[[], None]) -> None:
        """Cover offsets that hold no records, such as markers of other producers' transactions.

        Left behind, they would look like records that were never read once retention has cut them.
        """
        ends = self.source.passed()
        if not ends:
            return
        self._covers_at = time.monotonic() + COVER_SECONDS
        self.source.confirm(self.source.ask(), beat)
        outcome = Outcome()
        for number, border in self.source.borders().items():
            end = ends.get((self._interactions, number), border.first)
            for pack in cut_packs(border, end, []):
                outcome.packs.extend((number, value) for value in encode_pack(pack))
        self._commit(outcome, ends, beat)

    def _settled(self, outcome: Outcome, news: News) -> None:
        self._stage.settle(outcome)
        self._late.request(outcome.late)
        self._arrived -= news.items
        self._came.clear()

    def _read_again(self, records: list[RawRecord], beat: Callable[[], None]) -> None:
        """Partitions came or went while these records were in hand.

        One that went and came back is read from its committed offset, which would bring them twice.
        """
        if records or self._backlog or self.source.forgot_ends:
            self._backlog = []
            self.source.rewind(beat)

    def _encode(self, records: list[RawRecord], news: News, beat: Callable[[], None]) -> Outcome:
        """The outcome of a batch. While it takes long, further records are read into the backlog, slowly."""
        share = Share(self._limit, self._fetches)
        work = self._thread.submit(self._stage.process, records, self.source.borders(), news, share)
        deadline = time.monotonic() + STALLED_SECONDS + self._fetches * self._medium_seconds
        while True:
            try:
                return work.result(KEEP_SECONDS)
            except TimeoutError:
                if work.done():
                    raise
            if time.monotonic() < deadline:
                beat()
            self._backlog += self.source.read(1, wait=False)

    def _ends(self, records: list[RawRecord], outcome: Outcome) -> dict[Place, int]:
        """Next offsets after the batch.

        Partitions that get corrections or renewed items alone keep theirs, yet it is sent too: the
        coordinator then refuses the transaction of a worker that does not own them any more.
        """
        corrected = {(self._interactions, draft.partition) for _, draft, _ in outcome.amended}
        renewed = {(self._items, partition) for partition in outcome.renewed}
        ends = {place: self.source.positions[place] for place in corrected | renewed}
        ends.update({(record.topic, record.partition): record.offset + 1 for record in records})
        return ends

    def _measure(self, outcome: Outcome, encoding: float, committing: float) -> None:
        if outcome.fetched:
            # At most twice as many as the last time: one cheap batch does not promise that the next is.
            affordable = int(outcome.fetched * BATCH_SECONDS / max(encoding, 0.001))
            self._fetches = max(1, min(affordable, 2 * self._fetches, self._max_fetches))
        BATCH_SIZE.labels(STAGE).observe(outcome.taken)
        QUEUE_DEPTH.labels(STAGE).set(len(self._backlog))
        QUEUE_DEPTH.labels("encode-amendments").set(len(self._stage.pending))
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
