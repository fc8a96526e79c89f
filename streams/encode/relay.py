"""One batch after the other from topics to topics: read, turn over, commit, and go back where that fails."""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Set
from functools import partial
from typing import Generic, TypeVar

from streams.encode.aborts import Aborts
from streams.encode.loop import COVER_SECONDS
from streams.encode.sink import TransactionAborted, TransactionalSink
from streams.encode.source import RawSource
from streams.encode.starts import Place
from streams.kafka import Producer
from streams.metrics import BATCH_SIZE, COMMIT_TIME, STAGE_SECONDS
from streams.raw import RawRecord

OutcomeT = TypeVar("OutcomeT")


class Relay(ABC, Generic[OutcomeT]):
    """One step of a worker. What comes of a batch and the consumed offsets go out in one transaction."""

    def __init__(self, stage: str, source: RawSource, sink: TransactionalSink, batch_records: int) -> None:
        self.source = source
        self.sink = sink
        self._stage = stage
        self._limit = batch_records
        self._aborts = Aborts()
        self._covers_at = 0.0

    @abstractmethod
    def turn_over(self, records: list[RawRecord]) -> OutcomeT:
        """What comes of the records; of none, nothing."""

    @abstractmethod
    def write(self, outcome: OutcomeT, client: Producer) -> None:
        """Put the outcome into the client's open transaction; may run in a thread that is left behind."""

    @abstractmethod
    def settled(self, outcome: OutcomeT) -> None:
        """The outcome is committed."""

    def moved(self, came: Set[int], went: Set[int]) -> None:
        """Partitions of the topics came to this worker, or went away; both, where one came back at once."""

    def step(self, beat: Callable[[], None]) -> None:
        """One batch, or a short wait for one. Raises EngineError where it cannot go on."""
        records = self.fresh(beat)
        if records:
            self._batch(records, beat)
        elif records is not None:
            self.source.check()
            if time.monotonic() >= self._covers_at:
                self._cover(beat)

    def fresh(self, beat: Callable[[], None]) -> list[RawRecord] | None:
        """What has come; None where partitions came or went meanwhile, and all is read again."""
        generation = self.source.generation
        records = self.source.read(self._limit, wait=True)
        came, went = ({number for _, number in each} for each in (self.source.came, self.source.revoked))
        self.source.revoked.clear()
        self.source.came.clear()
        if self.source.generation == generation:
            return records
        self.moved(came, went)
        # A partition that went and came back is read from its committed offset: these would come twice.
        if records or self.source.forgot_ends:
            self.source.rewind(beat)
        return None

    def _batch(self, records: list[RawRecord], beat: Callable[[], None]) -> None:
        began = time.monotonic()
        asked = self.source.ask()
        outcome = self.turn_over(records)
        self.source.confirm(asked, beat)
        turned = time.monotonic()
        ends = {(record.topic, record.partition): record.offset + 1 for record in records}
        if not self.commit(outcome, ends, beat):
            return
        self.settled(outcome)
        BATCH_SIZE.labels(self._stage).observe(len(records))
        STAGE_SECONDS.labels(self._stage).observe(turned - began)
        STAGE_SECONDS.labels(f"{self._stage}-commit").observe(time.monotonic() - turned)

    def _cover(self, beat: Callable[[], None]) -> None:
        """Pass over offsets that hold no records; left behind, they would look unread once they are cut."""
        ends = self.source.passed()
        if ends:
            self._covers_at = time.monotonic() + COVER_SECONDS
            self.source.confirm(self.source.ask(), beat)
            self.commit(self.turn_over([]), ends, beat)

    def commit(self, outcome: OutcomeT, ends: Mapping[Place, int], beat: Callable[[], None]) -> bool:
        """Write the outcome and commit these offsets; False where both failed, and all is read again."""
        write = partial(self.write, outcome)
        try:
            self.sink.transact(write, self.source.offsets(ends), self.source.metadata())
        except TransactionAborted as error:
            self._aborts.pause(error)
            self.source.rewind(beat)
            return False
        self._aborts.end()
        self.source.advance(ends)
        COMMIT_TIME.labels(self._stage).set_to_current_time()
        return True
