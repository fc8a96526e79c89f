"""A deployment under another name: what its name is part of, copied and compared.

The name is in the changelogs' names, in the ids of transactions and in the consumer groups. States and places
go over as they are; topics keep their names, so what is in flight between the stages stays where it is.
"""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

import msgspec
from msgspec.structs import replace

from state.errors import StoreError
from state.rocks import RocksStore
from streams import kafka
from streams.engine.kafka_engine import group_of
from streams.engine.kafka_journal import JournalNames, KafkaJournal
from streams.engine.place import PLACE_KEY
from streams.engine.whole import load_whole
from streams.errors import ChangelogCut, InputError, RenameError
from streams.groups import committed, groups_of, living
from streams.models.board import artifacts_topic, changelog_of, models_topic
from streams.models.control import Control
from streams.models.live import Live, settled_model
from streams.settings import Name, Settings
from streams.topic_plans import item_signals_changelog, user_state_changelog
from streams.topics import create_topics, partition_counts

CALL_SECONDS = 10.0
BATCH_RECORDS = 2_000
BATCH_BYTES = 4_000_000
"""A transaction must end within `kafka.transaction_timeout_ms`."""

Changes = dict[bytes, bytes | None]


@dataclass(frozen=True, slots=True)
class Copied:
    """What became of one changelog; `records` are live ones, places among them."""

    old: str
    new: str
    partitions: int
    records: int


class Rename:
    """Copies a deployment that stands still. Run again, it writes only what is not there already."""

    def __init__(self, settings: Settings, old: str, new: str) -> None:
        """Raises InputError where a name cannot be one."""
        if old == new:
            raise InputError(f"{old}: the old name and the new one are the same")
        self._old, self._new = _named(settings, old), _named(settings, new)
        self.live = settled_model(self._old)
        """The model whose states are copied: the new name begins with it."""
        self._admin = kafka.admin_client(settings.kafka)

    def run(self, tell: Callable[[int], None] = lambda _: None) -> list[Copied]:
        """Copy changelogs and group offsets. `tell` hears how many partitions are done.

        Raises RenameError where the old workers live or the new name is in use, TopicError where a topic
        is missing or the cluster does not answer.
        """
        self.check()
        create_topics(self._new)
        done: list[Copied] = []
        folder = Path(tempfile.mkdtemp(prefix="rename-", dir=_made(Path(self._old.app.data))))
        try:
            for old, new in zip(self._sources(), _engines(self._new, None), strict=True):
                partitions = self._partitions(old)
                records = 0
                for number in range(partitions):
                    records += self._copy(old, new, number, folder / f"{old.changelog}-{number}")
                    tell(sum(each.partitions for each in done) + number + 1)
                done.append(Copied(old.changelog, new.changelog, partitions, records))
        except (StoreError, ChangelogCut) as error:
            raise RenameError(str(error)) from error
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        self._copy_offsets()
        return done

    def check(self) -> None:
        """Raises RenameError where a worker of either name lives, or nothing has the old name."""
        self.partitions()
        alive = living(self._admin, groups_of(self._old) + groups_of(self._new))
        if alive:
            raise RenameError(
                f"workers live in the groups {', '.join(alive)}: stop them all first; a worker that was "
                "killed leaves its group after kafka.session_timeout_ms"
            )

    def partitions(self) -> int:
        """How many partitions there are to copy. Raises RenameError where nothing has the old name."""
        return sum(map(self._partitions, self._sources()))

    def _sources(self) -> tuple[JournalNames, ...]:
        return _engines(self._old, self.live)

    def _partitions(self, names: JournalNames) -> int:
        counts = partition_counts(self._admin, [names.changelog])
        if names.changelog not in counts:
            raise RenameError(f"there is no topic {names.changelog}: is {self._old.app.name} the right name?")
        return counts[names.changelog]

    def _copy(self, old: JournalNames, new: JournalNames, number: int, folder: Path) -> int:
        """Copy one partition. Returns how many records it has.

        Opening both fences whoever owned them, zombies too. The place goes last, as in every commit: a copy
        that was interrupted has none.
        """
        label = f"{new.changelog}-{number}"
        source, target = RocksStore(folder / "old"), RocksStore(folder / "new")
        try:
            _restore(KafkaJournal(self._old.kafka, old, number), source, f"{old.changelog}-{number}")
            journal = KafkaJournal(self._new.kafka, new, number)
            try:
                self._write(journal, source, target, label)
            finally:
                journal.close()
            target.clear()
            _restore(KafkaJournal(self._new.kafka, new, number), target, label)
            return _compared(source, target, label)
        finally:
            source.close()
            target.close()

    def _write(self, journal: KafkaJournal, source: RocksStore, target: RocksStore, label: str) -> None:
        load_whole(journal, target, label)
        place, found = source.get(PLACE_KEY), target.get(PLACE_KEY)
        for batch in _batches(_differences(source, target)):
            if found is not None:
                raise self._in_use(label)
            journal.produce([], batch)
            journal.commit()
        if found not in (None, place):
            raise self._in_use(label)
        if place is not None and found is None:
            journal.produce([], {PLACE_KEY: place})
            journal.commit()

    def _in_use(self, label: str) -> RenameError:
        new = self._new.app.name
        return RenameError(
            f"{label}: {new} has states of its own; where they are not wanted, `penchant app remove {new}` "
            "deletes them"
        )

    def _copy_offsets(self) -> None:
        counts = partition_counts(self._admin, _topics_read(self._old))
        for old, new in zip(groups_of(self._old), groups_of(self._new), strict=True):
            places = [kafka.TopicPartition(topic, n) for topic, count in counts.items() for n in range(count)]
            found = [each for each in committed(self._old, old, places) if each.offset >= 0]
            if found:
                self._commit(new, found)

    def _commit(self, group: str, offsets: list[kafka.TopicPartition]) -> None:
        client = kafka.consumer(self._new.kafka, group)
        try:
            for each in client.commit(offsets=offsets, asynchronous=False):
                if each.error is not None:
                    raise RenameError(f"{group}: its offsets cannot be written: {each.error.str()}")
        except kafka.KafkaException as error:
            raise RenameError(f"{group}: its offsets cannot be written: {error.args[0].str()}") from error
        finally:
            client.close()


def remove(settings: Settings, name: str) -> list[str]:
    """Delete the changelogs and the groups of a deployment that is not used any more. Returns their names.

    Raises RenameError where its workers live.
    """
    gone = _named(settings, name)
    admin = kafka.admin_client(settings.kafka)
    alive = living(admin, groups_of(gone))
    if alive:
        raise RenameError(f"workers live in the groups {', '.join(alive)}: stop them first")
    topics = list(partition_counts(admin, _topics_of(gone)))
    removed: list[str] = []
    if topics:
        answers = admin.delete_topics(topics, operation_timeout=CALL_SECONDS)
        removed += [topic for topic in topics if _deleted(topic, answers[topic])]
    groups = groups_of(gone)
    answers = admin.delete_consumer_groups(list(groups))
    return removed + [group for group in groups if _deleted(group, answers[group])]


def _deleted(name: str, answer: "Future[None]") -> bool:
    try:
        answer.result(2 * CALL_SECONDS)
    except FutureTimeout:
        raise RenameError(f"{name}: the cluster does not answer") from None
    except kafka.KafkaException as error:
        if error.args[0].code() == kafka.KafkaError.GROUP_ID_NOT_FOUND:
            return False
        raise RenameError(f"{name}: cannot be deleted: {error.args[0].str()}") from error
    return True


def changelogs_of(settings: Settings) -> list[str]:
    return [user_state_changelog(settings), item_signals_changelog(settings)]


def _topics_of(settings: Settings) -> list[str]:
    """Everything that the name is part of."""
    control = Control(settings)
    try:
        models = control.soon().entries.values()
    finally:
        control.close()
    states = [changelog_of(settings, entry) for entry in models]
    return list(
        dict.fromkeys([*changelogs_of(settings), *states, models_topic(settings), artifacts_topic(settings)])
    )


def _named(settings: Settings, name: str) -> Settings:
    try:
        checked = msgspec.convert(name, Name)
    except msgspec.ValidationError as error:
        raise InputError(f"{name!r} cannot be an app.name: {error}") from error
    return replace(settings, app=replace(settings.app, name=checked))


def _engines(settings: Settings, live: Live | None) -> tuple[JournalNames, ...]:
    topics = settings.topics
    users, signals = changelogs_of(settings)
    owner = group_of(settings, "interests")
    if live is not None:
        owner, users = live.owner, live.changelog
    return (
        JournalNames(owner, topics.interactions_encoded, users),
        JournalNames(group_of(settings, "signals"), topics.item_deltas, signals),
    )


def _topics_read(settings: Settings) -> list[str]:
    names = settings.topics
    return [
        *(names.interactions, names.interactions_by_user, names.items),
        *(names.interactions_encoded, names.item_deltas, names.interests),
    ]


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _restore(journal: KafkaJournal, store: RocksStore, label: str) -> None:
    try:
        load_whole(journal, store, label)
    finally:
        journal.close()


def _differences(source: RocksStore, target: RocksStore) -> Iterator[tuple[bytes, bytes | None]]:
    """What the target lacks, has otherwise, or has alone (None), but for the place."""
    wanted, found = source.scan(b""), target.scan(b"")
    left, right = next(wanted, None), next(found, None)
    while left is not None or right is not None:
        if right is None or (left is not None and left[0] < right[0]):
            assert left is not None
            change: tuple[bytes, bytes | None] | None = left
            left = next(wanted, None)
        elif left is None or right[0] < left[0]:
            change = (right[0], None)
            right = next(found, None)
        else:
            change = None if left[1] == right[1] else left
            left, right = next(wanted, None), next(found, None)
        if change is not None and change[0] != PLACE_KEY:
            yield change


def _batches(changes: Iterator[tuple[bytes, bytes | None]]) -> Iterator[Changes]:
    batch: Changes = {}
    size = 0
    for key, value in changes:
        batch[key] = value
        size += len(key) + len(value or b"")
        if len(batch) >= BATCH_RECORDS or size >= BATCH_BYTES:
            yield batch
            batch, size = {}, 0
    if batch:
        yield batch


def _compared(source: RocksStore, target: RocksStore, label: str) -> int:
    """How many records both have. Raises RenameError where they differ."""
    count = 0
    for left, right in zip_longest(source.scan(b""), target.scan(b"")):
        if left != right:
            raise RenameError(f"{label}: record {count} of the copy differs; run it again")
        count += 1
    return count
