"""Raw records from a group's partitions of the input topics, from explicit positions."""

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence

from streams.errors import EngineError, SourceRecreated, SourceTrimmed
from streams.kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition, consumer
from streams.metrics import CONSUMER_LAG
from streams.raw import RawHeaders, RawRecord
from streams.repartition.origin import with_origin
from streams.settings import Settings

Place = tuple[str, int]
"""Topic and partition."""

PLACING_SECONDS = 40.0
"""Below the poll interval, within which a rebalance must be answered."""
PATIENCE_SECONDS = 1_800.0
_CALL_SECONDS = 15.0
_IDLE_SECONDS = 0.1
_LAG_SECONDS = 2.0
_SEEK_SECONDS = 0.02
_REWIND_SECONDS = 5.0
_DRAINED = 1_000
_DRAIN_SECONDS = 0.2

_log = logging.getLogger(__name__)


class RawSource:
    """The consuming side of a worker that is a member of `group` and reads `topics`.

    `positions` holds per owned partition the first offset that is not committed yet. `revoked` collects the
    partitions that went away, for the worker to forget, and `came` those that came.
    """

    def __init__(self, settings: Settings, group: str, topics: Sequence[str]) -> None:
        self.positions: dict[Place, int] = {}
        self.revoked: set[Place] = set()
        self.came: set[Place] = set()
        self.generation = 0
        """Grows with each partition that comes or goes."""
        self._settings = settings
        self._topics = list(topics)
        self._copies = settings.topics.interactions_by_user
        self._delivered: dict[Place, int] = {}
        self._passed: dict[Place, int] = {}
        overrides = {"enable.partition.eof": True}
        self._consumer: Consumer = consumer(settings.kafka, group, overrides)
        self._failure: Exception | None = None
        self._lag_at = 0.0

    def open(self) -> None:
        self._consumer.subscribe(
            self._topics, on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._revoked
        )

    def close(self) -> None:
        """Leave the group."""
        self._consumer.close()

    def read(self, limit: int, wait: bool) -> list[RawRecord]:
        """Up to `limit` records: all that came within the linger time after the first one.

        Without `wait` only what is here already. Raises EngineError, SourceTrimmed among them.
        """
        generation = self.generation
        messages = self._consumer.consume(1, _IDLE_SECONDS if wait else 0.0)
        if messages and limit > 1:
            messages += self._consumer.consume(limit - 1, self._settings.encode.linger_ms / 1000)
        if self._failure is not None:
            raise self._failure
        self._measure_lag()
        records = self.owned(self._record(message) for message in messages if self._good(message))
        self._delivered.update(((record.topic, record.partition), record.offset + 1) for record in records)
        if self.generation != generation:
            # Ends that were reached before a partition went say nothing of what it is read from now.
            self._passed.clear()
        return records

    def passed(self) -> dict[Place, int]:
        """Ends of partitions that were reached, where nothing but markers and aborted records came last.

        They are beyond the position, though no record is: transactions of other producers leave them.
        """
        return {
            place: end
            for place, end in self._passed.items()
            if self._delivered.get(place, 0) <= self.positions.get(place, end) < end
        }

    def owned(self, records: Iterable[RawRecord]) -> list[RawRecord]:
        """Those that are still ours to process: not of partitions that went, nor from before a rewind."""
        return [
            record
            for record in records
            if record.offset >= self.positions.get((record.topic, record.partition), record.offset + 1)
        ]

    def firsts(self) -> dict[int, int]:
        """Per owned partition of the first topic, what was committed of it."""
        return {number: at for (topic, number), at in self.positions.items() if topic == self._topics[0]}

    def offsets(self, ends: Mapping[Place, int]) -> list[TopicPartition]:
        return [TopicPartition(topic, number, end) for (topic, number), end in ends.items()]

    def metadata(self) -> object:
        return self._consumer.consumer_group_metadata()

    def advance(self, ends: Mapping[Place, int]) -> None:
        """These positions are committed."""
        self.positions.update((place, end) for place, end in ends.items() if place in self.positions)

    def rewind(self, beat: Callable[[], None]) -> None:
        """Go back to what the group has committed, in all partitions. Raises EngineError.

        `beat` is called while waiting for the broker.
        """
        self._passed.clear()
        deadline = time.monotonic() + PATIENCE_SECONDS
        while self.positions:
            beat()
            try:
                self._seek_committed()
            except KafkaException as error:
                if error.args[0].fatal() or time.monotonic() > deadline:
                    raise EngineError(f"cannot go back to the committed offsets: {error}") from error
                _log.info("the committed offsets are not known yet: %s", error)
            else:
                return
            # A client that lost its group answers nothing until a poll let it give its partitions up. What
            # comes with it is read again.
            self._consumer.consume(_DRAINED, _DRAIN_SECONDS)
            if self._failure is not None:
                raise self._failure

    def _seek_committed(self) -> None:
        partitions = [TopicPartition(topic, number) for topic, number in self.positions]
        committed = self._consumer.committed(partitions, timeout=_REWIND_SECONDS)
        for placed in [self._check(each) for each in committed]:
            self.positions[placed.topic, placed.partition] = placed.offset
            self._seek(placed)

    def _seek(self, place: TopicPartition) -> None:
        """A partition that has just come is not ready to seek for a moment."""
        deadline = time.monotonic() + _CALL_SECONDS
        while True:
            try:
                self._consumer.seek(place)
            except KafkaException as error:
                if error.args[0].code() != KafkaError._STATE or time.monotonic() > deadline:
                    raise
                time.sleep(_SEEK_SECONDS)
            else:
                return

    def _assigned(self, client: Consumer, partitions: list[TopicPartition]) -> None:
        """Errors cannot leave a callback of the client: `read` raises them."""
        try:
            placed = self._place(partitions)
            self.generation += 1
            self.positions.update({(each.topic, each.partition): each.offset for each in placed})
            self.came.update((each.topic, each.partition) for each in placed)
            client.incremental_assign(placed)
            _log.info("partitions came: %s", _names(placed))
        except (EngineError, KafkaException) as error:
            self._failure = error if isinstance(error, EngineError) else EngineError(str(error))

    def _revoked(self, client: Consumer, partitions: list[TopicPartition]) -> None:
        self.generation += 1
        for each in partitions:
            self.positions.pop((each.topic, each.partition), None)
            CONSUMER_LAG.remove(each.topic, str(each.partition))
            self.revoked.add((each.topic, each.partition))
            self.came.discard((each.topic, each.partition))
        client.incremental_unassign(partitions)
        _log.info("partitions went: %s", _names(partitions))

    def _place(self, partitions: list[TopicPartition]) -> list[TopicPartition]:
        """Where to start: the committed offset, else the start of the log. Never past what is there."""
        deadline = time.monotonic() + PLACING_SECONDS
        while True:
            try:
                committed = self._consumer.committed(partitions, timeout=_CALL_SECONDS)
                return [self._check(each) for each in committed]
            except KafkaException as error:
                # An open transaction of a killed forerunner holds its offsets back until it times out.
                if time.monotonic() > deadline or error.args[0].fatal():
                    raise
                _log.info("positions are not known yet: %s", error)

    def _check(self, committed: TopicPartition) -> TopicPartition:
        if committed.error is not None:
            raise KafkaException(committed.error)
        place = TopicPartition(committed.topic, committed.partition)
        low, high = self._consumer.get_watermark_offsets(place, timeout=_CALL_SECONDS)
        name = f"{committed.topic}-{committed.partition}"
        if committed.offset < 0:
            place.offset = low
        elif committed.offset < low:
            raise SourceTrimmed(
                f"{name}: offsets {committed.offset} to {low - 1} were cut before they were read; raise the "
                f"topic's retention, and set the group's offset to {low} to go on without them"
            )
        elif committed.offset > high:
            raise SourceRecreated(
                f"{name}: the group is at offset {committed.offset}, the log ends at {high}; was the topic "
                "made anew? Delete the group's offsets to read it from its start"
            )
        else:
            place.offset = committed.offset
        return place

    def _good(self, message: Message) -> bool:
        error = message.error()
        if error is None:
            return True
        if error.code() == KafkaError._PARTITION_EOF:
            self._passed[message.topic() or "", message.partition() or 0] = message.offset() or 0
            return False
        where = f"{message.topic()}-{message.partition()}"
        if error.code() == KafkaError._AUTO_OFFSET_RESET:
            raise SourceTrimmed(f"{where}: the log was cut past the worker's position: {error.str()}")
        if error.fatal():
            raise EngineError(f"{where}: {error.str()}")
        _log.warning("%s: %s", where, error.str())
        return False

    def _record(self, message: Message) -> RawRecord:
        now = int(time.time() * 1000)
        stamped = message.timestamp()[1]
        record = RawRecord(
            topic=message.topic() or "",
            partition=message.partition() or 0,
            offset=message.offset() or 0,
            # A producer may stamp what it likes: nothing can have come after now.
            timestamp=stamped if 0 < stamped <= now else now,
            key=message.key(),
            value=message.value(),
            headers=_headers(message),
        )
        return with_origin(record) if record.topic == self._copies else record

    def _measure_lag(self) -> None:
        now = time.monotonic()
        if now < self._lag_at:
            return
        self._lag_at = now + _LAG_SECONDS
        for (topic, number), position in {**self.positions, **self.passed()}.items():
            marks = self._consumer.get_watermark_offsets(TopicPartition(topic, number), cached=True)
            if marks is not None and marks[1] >= 0:
                CONSUMER_LAG.labels(topic, str(number)).set(max(0, marks[1] - position))


def _headers(message: Message) -> RawHeaders:
    headers = message.headers() or []
    pairs = headers.items() if isinstance(headers, dict) else headers
    return [(name, value.encode() if isinstance(value, str) else value) for name, value in pairs]


def _names(partitions: Iterable[TopicPartition]) -> str:
    return ", ".join(sorted(f"{each.topic}-{each.partition}" for each in partitions)) or "none"
