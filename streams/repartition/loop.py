"""Events to copies under their users' ids, batch by batch."""

from dataclasses import dataclass
from functools import partial

from streams.dead_letters import produce_dead_letter
from streams.encode.relay import Relay
from streams.encode.sink import Headers, TransactionalSink
from streams.encode.source import RawSource
from streams.kafka import Producer
from streams.metrics import DEAD_LETTERS, EVENTS
from streams.raw import RawRecord
from streams.repartition.stage import STAGE, Outcome, rekey
from streams.settings import TopicSettings

BATCH_RECORDS = 1_000
"""Copying is cheap beside a transaction, so that a batch may be larger than one with media."""


@dataclass(slots=True, frozen=True)
class Limits:
    """Bytes that a record may have on the topic by user, and on `dead-letters`."""

    copy: int
    letter: int


class RepartitionLoop(Relay[Outcome]):
    """Copies, dead letters and the consumed offsets go out in one transaction."""

    def __init__(
        self, topics: TopicSettings, source: RawSource, sink: TransactionalSink, limits: Limits
    ) -> None:
        super().__init__(STAGE, source, sink, BATCH_RECORDS)
        self._topics = topics
        self._limits = limits

    def turn_over(self, records: list[RawRecord]) -> Outcome:
        return rekey(records, self._limits.copy)

    def write(self, outcome: Outcome, client: Producer) -> None:
        for copy in outcome.copies:
            self.sink.put(
                client,
                self._topics.interactions_by_user,
                key=copy.key,
                value=copy.value,
                headers=list(copy.headers),
            )
        for letter in outcome.dead_letters:
            produce_dead_letter(letter, self._limits.letter, partial(self._put_dead_letter, client))

    def settled(self, outcome: Outcome) -> None:
        EVENTS.labels(STAGE, "copied").inc(len(outcome.copies))
        EVENTS.labels(STAGE, "dead_letter").inc(len(outcome.dead_letters))
        for letter in outcome.dead_letters:
            DEAD_LETTERS.labels(STAGE, letter.reason).inc()

    def _put_dead_letter(
        self, client: Producer, key: bytes | None, value: bytes | None, headers: Headers
    ) -> None:
        self.sink.put(client, self._topics.dead_letters, key=key, value=value, headers=headers)
