"""Raw records from a group's partitions of the input topics, from explicit positions."""

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future

from streams.encode.packs import Border
from streams.encode.placing import RawEnd, Start
from streams.encode.starts import Covered, Place, Starts, tell_of
from streams.errors import EngineError, PenchantError, SourceTrimmed, TopicError
from streams.kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
    consumer,
    seek_when_ready,
)
from streams.metrics import CONSUMER_LAG
from streams.partitioning import partition_of
from streams.raw import RawRecord, header_pairs
from streams.repartition.origin import with_origin
from streams.settings import Settings
from streams.topic_ids import Identity, check_same, id_text
from streams.topics import SilentCluster

PLACING_SECONDS = 40.0
"""Below the poll interval, within which a rebalance must be answered."""
PATIENCE_SECONDS = 1_800.0
_CALL_SECONDS = 15.0
_IDLE_SECONDS = 0.1
_LINGER_SECONDS = 0.001
_PAUSES = 2
"""A pause to the time of the batch before: an idle machine hardly waits, a busy one makes larger batches."""
_LAG_SECONDS = 2.0
_REWIND_SECONDS = 5.0
_DRAINED = 1_000
_DRAIN_SECONDS = 0.2
_CHECK_SECONDS = 5.0
"""How often, while nothing comes, it is looked whether the topics are still the same."""

_TELL_SECONDS = 60.0

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
        self.forgot_ends = False
        """Ends that were told are forgotten; only going back lets them be told again."""
        self._settings = settings
        self._topics = list(topics)
        self._copies = settings.topics.interactions_by_user
        self._delivered: dict[Place, int] = {}
        self._passed: dict[Place, int] = {}
        overrides = {"enable.partition.eof": True}
        self._consumer: Consumer = consumer(settings.kafka, group, overrides)
        self._readable: int | None = None
        self._left: set[Place] = set()
        self._told_at = 0.0
        self._starts = Starts(settings, topics, covered)
        self._follows: dict[Place, RawEnd] = {}
        self._asked: Asked | None = None
        self._check_at = 0.0
        self._failure: Exception | None = None
        self._lag_at = 0.0
        self._began = 0.0

    def read_below(self, partitions: int) -> None:
        """Packs go to so many partitions. Where the first topic has more, the others are left alone.

        Users' events then come in other partitions than before, and their states lie where the packs are.
        So a partition is read up to the first event that came there since, and left alone from it on.
        """
        self._readable = partitions

    def open(self) -> None:
        self._consumer.subscribe(
            self._topics, on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._revoked
        )

    def close(self) -> None:
        """Leave the group."""
        self._consumer.close()
        self._starts.close()

    def read(self, limit: int, wait: bool) -> list[RawRecord]:
        """Up to `limit` records: all that came within a moment after the first one, or in the pause that
        follows the records before: twice as long as they took, yet no longer than `encode.interval_ms` from
        their start.

        Without `wait` only what is here already. Raises EngineError, SourceTrimmed among them.
        """
        generation = self.generation
        took = time.monotonic() - self._began
        pause = min(self._settings.encode.interval_ms / 1000, (1 + _PAUSES) * took)
        messages = self._consumer.consume(1, _IDLE_SECONDS if wait else 0.0)
        if messages and limit > 1:
            rest = self._began + pause - time.monotonic() if wait else 0.0
            messages += self._consumer.consume(limit - 1, max(_LINGER_SECONDS, rest))
        if self._failure is not None:
            raise self._failure
        self._measure_lag()
        now = int(time.time() * 1000)
        records = self.owned(self._record(message, now) for message in messages if self._good(message))
        if self._grown():
            records = self._before_growth(records)
        if records:
            self._began = time.monotonic()
        self._delivered.update(((record.topic, record.partition), record.offset + 1) for record in records)
        if self.generation != generation:
            # Ends that were reached before a partition went say nothing of what it is read from now.
            self.forgot_ends = bool(self._passed)
            self._passed.clear()
        return records

    def passed(self) -> dict[Place, int]:
        """Ends of partitions that were reached, where nothing but markers and aborted records came last.

        They are beyond the position, though no record is: transactions of other producers leave them.
        """
        return {
            place: end
            for place, end in self._passed.items()
            if place not in self._left
            and self._delivered.get(place, 0) <= self.positions.get(place, end) < end
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
            number: Border(at, self._starts.topic_id(topic), self._follows.get((topic, number)))
            for (topic, number), at in self.positions.items()
            if topic == first
        }

    def offsets(self, ends: Mapping[Place, int]) -> list[TopicPartition]:
        """To be committed, each with the id of its topic.

        As long as nothing of a topic is covered yet, what was committed of the one before stays.
        """
        found = []
        for place, end in ends.items():
            topic, at = self._starts.topic_id(place[0]), end
            if place in self._follows and end <= self.positions.get(place, -1):
                topic, at = self._follows[place]
            if at >= 0:
                found.append(TopicPartition(*place, at, id_text(topic)))
        return found

    def ask(self) -> Asked:
        """Begin to ask whether the topics are the same; what `confirm` tells holds for all read before."""
        return self._starts.watch.ask()

    def confirm(self, asked: Asked, beat: Callable[[], None]) -> None:
        """Wait for the answer. Raises SourceRecreated, where nothing that is in hand may be committed."""
        now = self._starts.watch.answer(asked, beat)
        check_same(self._starts.identities, now)
        first = self._topics[0]
        if self._readable is not None and now[first].partitions != self._starts.identities[first].partitions:
            raise TopicError(
                f"{first}: has {now[first].partitions} partitions now, of which {self._readable} can be "
                "packed: the worker ends, so that no event is packed far from its user's state; the next "
                "start tells what to do"
            )

    def check(self) -> None:
        """To be called while nothing comes: looks now and then. Raises as `confirm` does."""
        now = time.monotonic()
        if self._asked is not None and self._asked.done():
            asked, self._asked = self._asked, None
            self.confirm(asked, lambda: None)
        elif self._asked is None and self._starts.identities and now >= self._check_at:
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
        self.forgot_ends = False
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
        for placed, start in self._starts.find(committed, self.positions).items():
            self._take(placed, start)
            seek_when_ready(self._consumer, TopicPartition(*placed, start.offset), _CALL_SECONDS)
            if placed in self._left:
                # What comes before the events that wait is read again, too.
                self._left.discard(placed)
                self._consumer.resume([TopicPartition(*placed)])

    def _assigned(self, client: Consumer, partitions: list[TopicPartition]) -> None:
        """Errors cannot leave a callback of the client: `read` raises them."""
        try:
            left = [each for each in partitions if not self._reads(each)]
            starts = self._place([each for each in partitions if self._reads(each)])
            self.generation += 1
            for placed, start in starts.items():
                self._take(placed, start)
                tell_of(placed, start)
            self.came.update(starts)
            client.incremental_assign(
                [TopicPartition(*placed, start.offset) for placed, start in starts.items()]
            )
            self._leave(client, left)
            _log.info("partitions came: %s", _names(starts))
        except (PenchantError, KafkaException) as error:
            self._failure = error if isinstance(error, PenchantError) else EngineError(str(error))

    def _revoked(self, client: Consumer, partitions: list[TopicPartition]) -> None:
        self.generation += 1
        for each in partitions:
            self._left.discard((each.topic, each.partition))
            self.positions.pop((each.topic, each.partition), None)
            self._follows.pop((each.topic, each.partition), None)
            CONSUMER_LAG.remove(each.topic, str(each.partition))
            self.revoked.add((each.topic, each.partition))
            self.came.discard((each.topic, each.partition))
        client.incremental_unassign(partitions)
        _log.info("partitions went: %s", _names((each.topic, each.partition) for each in partitions))

    def _grown(self) -> bool:
        identity = self._starts.identities.get(self._topics[0])
        return self._readable is not None and identity is not None and identity.partitions > self._readable

    def _before_growth(self, records: Iterable[RawRecord]) -> list[RawRecord]:
        return [
            record for record in records if record.topic != self._topics[0] or not self._is_barred(record)
        ]

    def _is_barred(self, record: RawRecord) -> bool:
        place = (record.topic, record.partition)
        if place in self._left:
            return True
        if record.key is None or partition_of(record.key, self._readable or 1) == record.partition:
            return False
        self._consumer.pause([TopicPartition(*place)])
        self._left.add(place)
        return True

    def _reads(self, each: TopicPartition) -> bool:
        return each.topic != self._topics[0] or self._readable is None or each.partition < self._readable

    def _leave(self, client: Consumer, partitions: list[TopicPartition]) -> None:
        """The group gave them to us, so that nobody else reads them either."""
        if partitions:
            left = [TopicPartition(each.topic, each.partition, OFFSET_BEGINNING) for each in partitions]
            client.incremental_assign(left)
            client.pause(left)
            self._left.update((each.topic, each.partition) for each in left)

    def _tell_of_left(self, now: float) -> None:
        if self._left and now >= self._told_at:
            self._told_at = now + _TELL_SECONDS
            _log.error(
                "%s: events wait, since what follows them has %s partitions only. Stop what produces events, "
                "let the workers finish the rest, stop them, and run `penchant topics grow`",
                _names(self._left),
                self._readable,
            )

    def _place(self, partitions: list[TopicPartition]) -> dict[Place, Start]:
        deadline = time.monotonic() + PLACING_SECONDS
        while True:
            try:
                committed = self._consumer.committed(partitions, timeout=_CALL_SECONDS) if partitions else []
                return self._starts.find(committed, self.positions)
            except (KafkaException, SilentCluster) as error:
                # An open transaction of a killed forerunner holds its offsets back until it times out.
                if time.monotonic() > deadline or _fatal(error):
                    raise
                _log.info("positions are not known yet: %s", error)

    def _take(self, placed: Place, start: Start) -> None:
        self.positions[placed] = start.position
        self._follows.pop(placed, None)
        if start.follows is not None:
            self._delivered.pop(placed, None)
            if placed[0] == self._topics[0]:
                self._follows[placed] = start.follows

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

    def _record(self, message: Message, now: int) -> RawRecord:
        topic, stamped = message.topic() or "", message.timestamp()[1]
        record = RawRecord(
            topic,
            message.partition() or 0,
            message.offset() or 0,
            # A producer may stamp what it likes: nothing can have come after now.
            stamped if 0 < stamped <= now else now,
            message.key(),
            message.value(),
            header_pairs(message.headers()),
            None,
            self._starts.topic_id(topic),
        )
        return with_origin(record) if topic == self._copies else record

    def _measure_lag(self) -> None:
        now = time.monotonic()
        if now < self._lag_at:
            return
        self._lag_at = now + _LAG_SECONDS
        self._tell_of_left(now)
        for (topic, number), position in {**self.positions, **self.passed()}.items():
            marks = self._consumer.get_watermark_offsets(TopicPartition(topic, number), cached=True)
            if marks is not None and marks[1] >= 0:
                CONSUMER_LAG.labels(topic, str(number)).set(max(0, marks[1] - position))


def _fatal(error: KafkaException | SilentCluster) -> bool:
    return isinstance(error, KafkaException) and bool(error.args[0].fatal())


def _names(partitions: Iterable[Place]) -> str:
    return ", ".join(sorted(f"{topic}-{number}" for topic, number in partitions)) or "none"
