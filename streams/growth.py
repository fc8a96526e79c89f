"""More partitions for the users' events: their states move along, to the partition that each user has then.

A user's state belongs to the partition that the user's events come in, and the count of partitions decides
which one that is. So everything that follows the events grows together, while nothing runs and nothing waits:
first the topics behind, then each state to its new partition, and the events' own topic last.
"""

import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from state.rocks import RocksStore
from streams import kafka
from streams.encode.covered import covered_ends
from streams.engine.kafka_journal import JournalNames, KafkaJournal
from streams.engine.place import PLACE_KEY, Place
from streams.engine.whole import load_whole
from streams.errors import ChangelogCut, TopicError
from streams.groups import committed, groups_of, living
from streams.interests.marks import KIND_MARK, mark_hash
from streams.models.live import forget_former, settled_model
from streams.partitioning import partition_of, partition_of_hash
from streams.raw import RawRecord
from streams.reading import Stretch, read, whole
from streams.settings import Settings
from streams.topics import add_partitions, partition_counts

BATCH_RECORDS = 500
BATCH_BYTES = 4_000_000
"""A transaction must end within `kafka.transaction_timeout_ms`."""
MAX_STRAYS = 0.01
"""Share of users who may lie where murmur2 does not put them, and then stay there."""
_COMMIT_SECONDS = 40.0

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Moved:
    """What became of the states."""

    users: int
    strays: int
    """States that lie in none of the two partitions that murmur2 gives their users: they were left there."""
    misplaced: int
    """Events that wait in a partition that is not their user's: they will count apart from the state."""


@dataclass(frozen=True, slots=True)
class _Counts:
    """Partitions of the events' topic, of the packs, and of the changelog."""

    events: int
    packs: int
    states: int

    @property
    def before(self) -> int:
        """How many there were when the states came to lie where they lie."""
        return min(self.events, self.packs, self.states)


class Growth:
    """Run again where it was interrupted, it does what is left. Raises TopicError, with the mend."""

    def __init__(self, settings: Settings, partitions: int) -> None:
        self._settings = settings
        self._wanted = partitions
        self._events = settings.topics.keyed
        self._packs = settings.topics.interactions_encoded
        self._live = settled_model(settings)
        self._states = self._live.changelog
        self._admin = kafka.admin_client(settings.kafka)

    def run(self, tell: Tell = lambda _: None) -> Moved:
        """Grow the topics and move the states. `tell` hears what is done now, in words."""
        try:
            return self._run(tell)
        except kafka.KafkaException as error:
            raise TopicError(f"Kafka: {error.args[0].str()}; run it again") from error
        except ChangelogCut as error:
            raise TopicError(str(error)) from error

    def _run(self, tell: Tell) -> Moved:
        counts = self._check()
        folder = Path(self._settings.app.data)
        folder.mkdir(parents=True, exist_ok=True)
        copies = Path(tempfile.mkdtemp(prefix="grow-", dir=folder))
        stores: dict[int, RocksStore] = {}
        try:
            # An interrupted growth may have left one of the two behind.
            present = max(counts.packs, counts.states)
            self._grow((self._states, self._packs), present)
            for number in range(present):
                tell(f"reading the states of partition {number}")
                stores[number] = RocksStore(copies / str(number))
                self._restore(number, stores[number])
            misplaced = self._check_drained(counts, stores)
            strays = self._check_partitioner(counts, stores)
            # Its states stay in as many partitions as there were.
            forget_former(self._settings)
            self._grow((self._states, self._packs), self._wanted)
            users = self._move(stores, tell)
            self._grow((self._events,), self._wanted)
            return Moved(users, strays, misplaced)
        finally:
            for store in stores.values():
                store.close()
            shutil.rmtree(copies, ignore_errors=True)

    def _check(self) -> _Counts:
        found = partition_counts(self._admin, (self._events, self._packs, self._states))
        missing = [name for name in (self._events, self._packs, self._states) if name not in found]
        if missing:
            raise TopicError(f"no topic {', '.join(missing)}; make them with `penchant topics create`")
        counts = _Counts(found[self._events], found[self._packs], found[self._states])
        most = max(found.values())
        if self._wanted < most:
            raise TopicError(
                f"{self._wanted} partitions are fewer than the {most} that there are: Kafka takes none away"
            )
        alive = living(self._admin, groups_of(self._settings))
        if alive:
            raise TopicError(f"workers live in the groups {', '.join(alive)}: stop them all first")
        return counts

    def _grow(self, topics: Iterable[str], partitions: int) -> None:
        add_partitions(self._admin, topics, partitions)

    def _names(self) -> JournalNames:
        return JournalNames(self._live.owner, self._packs, self._states)

    def _restore(self, number: int, store: RocksStore) -> None:
        journal = KafkaJournal(self._settings.kafka, self._names(), number)
        try:
            load_whole(journal, store, f"{self._states}-{number}")
        finally:
            journal.close()

    def _check_drained(self, counts: _Counts, stores: dict[int, RocksStore]) -> int:
        """What waits would reach its user's old partition after the state has left it.

        Where the events' topic has grown already, the encode worker leaves those that came since; they may
        wait. Returns how many of them are in a partition that is wrong all the same: of producers that had
        not heard of the new ones.
        """
        for record in read(self._settings, list(self._unread_packs(stores))):
            raise _undrained(record)
        grown: set[int] = set()
        misplaced = 0
        for record in read(self._settings, list(self._unread_events(counts))):
            key = record.key or b""
            if record.partition not in grown and partition_of(key, counts.before) == record.partition:
                raise _undrained(record)
            grown.add(record.partition)
            misplaced += partition_of(key, self._wanted) != record.partition
        return misplaced

    def _unread_events(self, counts: _Counts) -> Iterator[Stretch]:
        """Partitions that are new already have no states behind them: they may wait."""
        numbers = range(counts.before)
        places = [kafka.TopicPartition(self._events, number) for number in numbers]
        found = committed(self._settings, f"{self._settings.app.name}-encode", places)
        unknown = [each.partition for each in found if each.offset < 0]
        covered = covered_ends(self._settings, unknown) if unknown else {}
        read_up_to = {
            each.partition: each.offset if each.offset >= 0 else covered[each.partition][1] for each in found
        }
        for each in whole(self._settings, self._events, settled=True):
            if each.partition in read_up_to:
                first = max(each.first, read_up_to[each.partition])
                yield Stretch(each.topic, each.partition, first, each.end)

    def _unread_packs(self, stores: dict[int, RocksStore]) -> Iterator[Stretch]:
        for each in whole(self._settings, self._packs, settled=True):
            value = stores[each.partition].get(PLACE_KEY)
            first = each.first if value is None else max(each.first, Place.decode(value).source)
            yield Stretch(each.topic, each.partition, first, each.end)

    def _check_partitioner(self, counts: _Counts, stores: dict[int, RocksStore]) -> int:
        """States can be moved only where users lie by murmur2. Returns how many, of few, do not."""
        known, strays, example = 0, 0, b""
        for number, store in stores.items():
            for key, _ in _of_users(store):
                known += 1
                if number not in (home(key, n) for n in (counts.before, self._wanted)):
                    strays, example = strays + 1, key[1:]
        if strays > MAX_STRAYS * known:
            raise TopicError(
                f"{strays} of {known} states lie where murmur2 does not put their users (one is "
                f"{example.decode(errors='replace')!r}): what produces the events has another partitioner. "
                "Set it to murmur2 (murmur2_random in librdkafka), or let topics.repartition do it"
            )
        return strays

    def _move(self, stores: dict[int, RocksStore], tell: Tell) -> int:
        producer = kafka.producer(self._settings.kafka, f"{self._settings.app.name}-grow", {"linger.ms": 0})
        producer.init_transactions(60)
        users: set[bytes] = set()
        for number, store in stores.items():
            tell(f"moving states of partition {number}")
            batch: list[tuple[bytes, bytes]] = []
            size = 0
            for key, value in _of_users(store):
                target = home(key, self._wanted)
                if target == number:
                    continue
                if not key.startswith(KIND_MARK):
                    users.add(key[1:])
                batch.append((key, value))
                size += len(key) + len(value)
                if len(batch) >= BATCH_RECORDS or size >= BATCH_BYTES:
                    self._send(producer, number, batch)
                    batch, size = [], 0
            self._send(producer, number, batch)
        return len(users)

    def _send(self, producer: kafka.Producer, number: int, batch: list[tuple[bytes, bytes]]) -> None:
        """Each state appears in its new partition as it goes from the old one, or neither."""
        if not batch:
            return
        producer.begin_transaction()
        for key, value in batch:
            target = home(key, self._wanted)
            producer.produce(self._states, value, key, partition=target)
            producer.produce(self._states, None, key, partition=number)
        producer.commit_transaction(_COMMIT_SECONDS)


def _undrained(record: RawRecord) -> TopicError:
    return TopicError(
        f"{record.topic}-{record.partition}: offset {record.offset} is not counted yet. Stop what produces "
        "events, let the workers run until they have no lag, stop them, and try again"
    )


def home(key: bytes, partitions: int) -> int:
    """The partition of a record's user."""
    if key.startswith(KIND_MARK):
        return partition_of_hash(mark_hash(key), partitions)
    return partition_of(key[1:], partitions)


def _of_users(store: RocksStore) -> Iterator[tuple[bytes, bytes]]:
    """All records but the place: their keys are a byte for the kind, and the user's id or a mark's."""
    for key, value in store.scan(b""):
        if key != PLACE_KEY:
            yield key, value
