"""One batch after the other: read, write under the users' ids, commit, and go back where that fails."""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from streams.dead_letters import produce_dead_letter
from streams.encode.loop import ABORT_PAUSES, COVER_SECONDS, MAX_ABORTS
from streams.encode.sink import Headers, TransactionAborted, TransactionalSink
from streams.encode.source import RawSource
from streams.encode.starts import Place
from streams.errors import EngineError
from streams.kafka import Producer
from streams.metrics import BATCH_SIZE, COMMIT_TIME, DEAD_LETTERS, EVENTS, STAGE_SECONDS
from streams.raw import RawRecord
from streams.repartition.stage import STAGE, Outcome, rekey
from streams.settings import TopicSettings

BATCH_RECORDS = 1_000
"""Copying is cheap beside a transaction, so that a batch may be larger than one with media."""

_log = logging.getLogger(__name__)


@dataclass(slots=True, frozen=True)
class Limits:
    """Bytes that a record may have on the topic by user, and on `dead-letters`."""

    copy: int
    letter: int


class RepartitionLoop:
    """One step of the worker. Copies, dead letters and the consumed offsets go out in one transaction."""

    def __init__(
        self, topics: TopicSettings, source: RawSource, sink: TransactionalSink, limits: Limits
    ) -> None:
        self.source = source
        self._sink = sink
        self._topics = topics
        self._limits = limits
        self._aborts = 0
        self._covers_at = 0.0

    def step(self, beat: Callable[[], None]) -> None:
        """One batch, or a short wait for one. Raises EngineError where it cannot go on."""
        generation = self.source.generation
        records = self.source.read(BATCH_RECORDS, wait=True)
        self.source.revoked.clear()
        self.source.came.clear()
        if self.source.generation != generation:
            # A partition that went and came back is read from its committed offset: these would come twice.
            if records or self.source.forgot_ends:
                self.source.rewind(beat)
        elif records:
            self._batch(records, beat)
        else:
            self.source.check()
            if time.monotonic() >= self._covers_at:
                self._cover(beat)

    def _batch(self, records: list[RawRecord], beat: Callable[[], None]) -> None:
        began = time.monotonic()
        asked = self.source.ask()
        outcome = rekey(records, self._limits.copy)
        self.source.confirm(asked, beat)
        rekeyed = time.monotonic()
        ends = {(record.topic, record.partition): record.offset + 1 for record in records}
        if not self._commit(outcome, ends, beat):
            return
        EVENTS.labels(STAGE, "copied").inc(len(outcome.copies))
        EVENTS.labels(STAGE, "dead_letter").inc(len(outcome.dead_letters))
        for letter in outcome.dead_letters:
            DEAD_LETTERS.labels(STAGE, letter.reason).inc()
        BATCH_SIZE.labels(STAGE).observe(len(records))
        STAGE_SECONDS.labels(STAGE).observe(rekeyed - began)
        STAGE_SECONDS.labels(f"{STAGE}-commit").observe(time.monotonic() - rekeyed)

    def _cover(self, beat: Callable[[], None]) -> None:
        """Pass over offsets that hold no records; left behind, they would look unread once they are cut."""
        ends = self.source.passed()
        if ends:
            self._covers_at = time.monotonic() + COVER_SECONDS
            self.source.confirm(self.source.ask(), beat)
            self._commit(Outcome(), ends, beat)

    def _commit(self, outcome: Outcome, ends: Mapping[Place, int], beat: Callable[[], None]) -> bool:
        write = partial(self._write, outcome)
        try:
            self._sink.transact(write, self.source.offsets(ends), self.source.metadata())
        except TransactionAborted as error:
            self._aborted(error, beat)
            return False
        self._aborts = 0
        self.source.advance(ends)
        COMMIT_TIME.labels(STAGE).set_to_current_time()
        return True

    def _write(self, outcome: Outcome, client: Producer) -> None:
        for copy in outcome.copies:
            self._sink.put(
                client,
                self._topics.interactions_by_user,
                key=copy.key,
                value=copy.value,
                headers=list(copy.headers),
            )
        for letter in outcome.dead_letters:
            produce_dead_letter(letter, self._limits.letter, partial(self._put_dead_letter, client))

    def _put_dead_letter(
        self, client: Producer, key: bytes | None, value: bytes | None, headers: Headers
    ) -> None:
        self._sink.put(client, self._topics.dead_letters, key=key, value=value, headers=headers)

    def _aborted(self, error: TransactionAborted, beat: Callable[[], None]) -> None:
        self._aborts += 1
        if self._aborts >= MAX_ABORTS:
            raise EngineError(f"{self._aborts} transactions in a row were aborted: {error}") from error
        _log.info("the batch is read again: %s", error)
        time.sleep(ABORT_PAUSES[min(self._aborts, len(ABORT_PAUSES)) - 1])
        self.source.rewind(beat)
