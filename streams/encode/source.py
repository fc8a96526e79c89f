"""Raw records from a group's partitions of the input topics, from explicit positions."""

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future

from state.events import NO_TOPIC
from streams.encode.packs import Border
from streams.encode.placing import NOTHING, Committed, Log, RawEnd, Start, start_of
from streams.errors import EngineError, PenchantError, SourceTrimmed
from streams.kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition, consumer
from streams.metrics import CONSUMER_LAG, LOST_OFFSETS, RECREATED
from streams.raw import RawHeaders, RawRecord
from streams.repartition.origin import with_origin
from streams.settings import Settings
from streams.topic_ids import Identity, TopicWatch, check_same, id_bytes, id_text
from streams.topics import SilentCluster

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
_ASK_SECONDS = 5.0
_DRAINED = 1_000
_DRAIN_SECONDS = 0.2
_CHECK_SECONDS = 5.0
"""How often, while nothing comes, it is looked whether the topics are still the same."""

Covered = Callable[[Sequence[int]], Mapping[int, RawEnd]]
"""How far packs cover these partitions of the first topic: asked where the group's offsets do not tell."""
Asked = Future[dict[str, Identity]]

_log = logging.getLogger(__name__)


class RawSource:
    """The consuming side of a worker that is a member of `group` and reads `topics`.

    `positions` holds per owned partition the first offset that is not committed yet. `revoked` collects the
    partitions that went away, for the worker to forget, and `came` those that came.

    Offsets are committed with the id of the topic that they count in. Where it is another by now, the topic
    is read from its start; records are good only after `confirm` has seen that it is still the same.
    """

    def __init__(
        self,
        settings: Settings,
        group: str,
        topics: Sequence[str],
        covered: Covered = lambda _: {},
    ) -> None:
        self.positions: dict[Place, int] = {}
        self.revoked: set[Place] = set()
        self.came: set[Place] = set()
        self.generation = 0
        """Grows with each partition that comes or goes."""
        self._settings = settings
        self._topics = list(topics)
        self._skip_trimmed = settings.encode.skip_trimmed
        self._copies = settings.topics.interactions_by_user
        self._delivered: dict[Place, int] = {}
        self._passed: dict[Place, int] = {}
        overrides = {"enable.partition.eof": True}
        self._consumer: Consumer = consumer(settings.kafka, group, overrides)
        self._covered = covered
        self._watch = TopicWatch(settings.kafka, topics)
        self._identities: dict[str, Identity] = {}
        self._follows: dict[Place, RawEnd] = {}
        self._asked: Asked | None = None
        self._check_at = 0.0
        self._failure: Exception | None = None
        self._lag_at = 0.0

    def open(self) -> None:
        self._consumer.subscribe(
            self._topics, on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._revoked
        )

    def close(self) -> None:
        """Leave the group."""
        self._consumer.close()
        self._watch.close()

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

    def borders(self) -> dict[int, Border]:
        """Per owned partition of the first topic, where its packs go on."""
        first = self._topics[0]
        return {
            number: Border(at, self._identities[topic].topic, self._follows.get((topic, number)))
            for (topic, number), at in self.positions.items()
            if topic == first
        }

    def offsets(self, ends: Mapping[Place, int]) -> list[TopicPartition]:
        """To be committed, each with the id of its topic.

        As long as nothing of a topic is covered yet, what was committed of the one before stays.
        """
        found = []
        for place, end in ends.items():
            topic, at = self._identities[place[0]].topic, end
            if place in self._follows and end <= self.positions.get(place, -1):
                topic, at = self._follows[place]
            if at >= 0:
                found.append(TopicPartition(*place, at, id_text(topic)))
        return found

    def ask(self) -> Asked:
        """Begin to ask whether the topics are the same; what `confirm` tells holds for all read before."""
        return self._watch.ask()

    def confirm(self, asked: Asked, beat: Callable[[], None]) -> None:
        """Wait for the answer. Raises SourceRecreated, where nothing that is in hand may be committed."""
        check_same(self._identities, self._watch.answer(asked, beat))

    def check(self) -> None:
        """To be called while nothing comes: looks now and then. Raises as `confirm` does."""
        now = time.monotonic()
        if self._asked is not None and self._asked.done():
            asked, self._asked = self._asked, None
            self.confirm(asked, lambda: None)
        elif self._asked is None and self._identities and now >= self._check_at:
            self._check_at = now + _CHECK_SECONDS
            self._asked = self.ask()

    def metadata(self) -> object:
        return self._consumer.consumer_group_metadata()

    def advance(self, ends: Mapping[Place, int]) -> None:
        """These positions are committed."""
        for place, end in ends.items():
            if place in self.positions and end > self.positions[place]:
                self.positions[place] = end
                self._follows.pop(place, None)

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
            except (KafkaException, SilentCluster) as error:
                if _fatal(error) or time.monotonic() > deadline:
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
        for placed, start in self._starts(committed).items():
            self._take(placed, start)
            self._seek(TopicPartition(*placed, start.offset))

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
            starts = self._place(partitions)
            self.generation += 1
            for placed, start in starts.items():
                self._take(placed, start)
                self._tell(placed, start)
            self.came.update(starts)
            client.incremental_assign(
                [TopicPartition(*placed, start.offset) for placed, start in starts.items()]
            )
            _log.info("partitions came: %s", _names(starts))
        except (PenchantError, KafkaException) as error:
            self._failure = error if isinstance(error, PenchantError) else EngineError(str(error))

    def _revoked(self, client: Consumer, partitions: list[TopicPartition]) -> None:
        self.generation += 1
        for each in partitions:
            self.positions.pop((each.topic, each.partition), None)
            self._follows.pop((each.topic, each.partition), None)
            CONSUMER_LAG.remove(each.topic, str(each.partition))
            self.revoked.add((each.topic, each.partition))
            self.came.discard((each.topic, each.partition))
        client.incremental_unassign(partitions)
        _log.info("partitions went: %s", _names((each.topic, each.partition) for each in partitions))

    def _place(self, partitions: list[TopicPartition]) -> dict[Place, Start]:
        deadline = time.monotonic() + PLACING_SECONDS
        while True:
            try:
                return self._starts(self._consumer.committed(partitions, timeout=_CALL_SECONDS))
            except (KafkaException, SilentCluster) as error:
                # An open transaction of a killed forerunner holds its offsets back until it times out.
                if time.monotonic() > deadline or _fatal(error):
                    raise
                _log.info("positions are not known yet: %s", error)

    def _starts(self, found: Sequence[TopicPartition]) -> dict[Place, Start]:
        """Where to go on, by partition. Raises PenchantError and KafkaException."""
        for each in found:
            if each.error is not None:
                raise KafkaException(each.error)
        self._identify()
        committed = {
            (each.topic, each.partition): Committed(max(-1, each.offset), id_bytes(each.metadata))
            for each in found
        }
        asked = [
            number
            for (topic, number), each in committed.items()
            if topic == self._topics[0] and not each.tells(self._identities[topic].topic)
        ]
        covered = self._covered(asked) if asked else {}
        starts = {}
        for (topic, number), before in committed.items():
            end = covered.get(number, NOTHING) if topic == self._topics[0] else NOTHING
            starts[topic, number] = start_of(before, end, self._log(topic, number), self._skip_trimmed)
        return starts

    def _identify(self) -> None:
        now = self._watch.answer(self.ask(), patience=_ASK_SECONDS)
        held = {topic for topic, _ in self.positions}
        check_same({name: each for name, each in self._identities.items() if name in held}, now)
        self._identities = dict(now)

    def _log(self, topic: str, number: int) -> Log:
        low, high = self._consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=_CALL_SECONDS)
        return Log(f"{topic}-{number}", self._identities[topic].topic, low, high)

    def _take(self, placed: Place, start: Start) -> None:
        self.positions[placed] = start.position
        self._follows.pop(placed, None)
        if start.follows is not None:
            self._delivered.pop(placed, None)
            if placed[0] == self._topics[0]:
                self._follows[placed] = start.follows

    @staticmethod
    def _tell(placed: Place, start: Start) -> None:
        topic, number = placed
        if start.recreated:
            RECREATED.labels(topic).inc()
            _log.warning(
                "%s-%d: the topic was deleted and made anew: it is read from its start; what was not read of "
                "the one before, up to which offset %d was, is gone",
                topic,
                number,
                start.follows[1] if start.follows is not None else -1,
            )
        if start.lost:
            LOST_OFFSETS.labels(topic).inc(start.lost)
            _log.error(
                "%s-%d: %d offsets from %d on were cut before they were read, and are passed over, as "
                "encode.skip_trimmed asks: unset it now",
                topic,
                number,
                start.lost,
                start.position,
            )

    def _good(self, message: Message) -> bool:
        error = message.error()
        if error is None:
            return True
        if error.code() == KafkaError._PARTITION_EOF:
            self._passed[message.topic() or "", message.partition() or 0] = message.offset() or 0
            return False
        where = f"{message.topic()}-{message.partition()}"
        if error.code() == KafkaError._AUTO_OFFSET_RESET:
            self.confirm(self.ask(), lambda: None)
            # The next start tells how much was cut, and what to do.
            raise SourceTrimmed(f"{where}: the log does not have the worker's position: {error.str()}")
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
            topic_id=self._topic_id(message.topic() or ""),
        )
        return with_origin(record) if record.topic == self._copies else record

    def _topic_id(self, name: str) -> bytes:
        identity = self._identities.get(name)
        return NO_TOPIC if identity is None else identity.topic

    def _measure_lag(self) -> None:
        now = time.monotonic()
        if now < self._lag_at:
            return
        self._lag_at = now + _LAG_SECONDS
        for (topic, number), position in {**self.positions, **self.passed()}.items():
            marks = self._consumer.get_watermark_offsets(TopicPartition(topic, number), cached=True)
            if marks is not None and marks[1] >= 0:
                CONSUMER_LAG.labels(topic, str(number)).set(max(0, marks[1] - position))


def _fatal(error: KafkaException | SilentCluster) -> bool:
    return isinstance(error, KafkaException) and bool(error.args[0].fatal())


def _headers(message: Message) -> RawHeaders:
    headers = message.headers() or []
    pairs = headers.items() if isinstance(headers, dict) else headers
    return [(name, value.encode() if isinstance(value, str) else value) for name, value in pairs]


def _names(partitions: Iterable[Place]) -> str:
    return ", ".join(sorted(f"{topic}-{number}" for topic, number in partitions)) or "none"
