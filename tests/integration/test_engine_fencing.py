"""Who owns a partition, on a real Kafka: fences, refusals and what a compacted log restores. No processes."""

import time
import uuid
from collections import deque
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from state.store import MemoryStore
from streams.broker import ClusterOptions, LocalCluster
from streams.engine.engine import Engine, EngineOptions, Outcome, Resources
from streams.engine.faults import Fault, no_fault
from streams.engine.kafka_journal import JournalNames, KafkaJournal
from streams.engine.place import BOOKMARK_KEY, PLACE_KEY, Place
from streams.engine.processor import Output
from streams.errors import (
    CommitFailed,
    EngineError,
    OwnershipLost,
    SourceRecreated,
    TopicError,
)
from streams.kafka import (
    AdminClient,
    NewTopic,
    TopicPartition,
    admin_client,
    producer,
)
from streams.settings import Settings
from streams.topic_plans import user_state_changelog
from streams.topics import create_topics, partition_counts
from tests.counting import KIND_USER, CountingProcessor, Event, fold, pack
from tests.encode_harness import until
from tests.integration.conftest import fresh_settings, read_all

SECONDS = 60.0
NOW = 1_700_000_000_000


def names(settings: Settings) -> JournalNames:
    topics = settings.topics
    return JournalNames(
        f"{settings.app.name}-x",
        topics.interactions_encoded,
        user_state_changelog(settings),
        (topics.interests,),
    )


class Owner:
    """An engine that owns partition 0, with a disk of its own."""

    def __init__(self, settings: Settings, fault: Fault = no_fault, store: MemoryStore | None = None) -> None:
        self.settings = settings
        self.store = MemoryStore() if store is None else store
        self.journals: list[KafkaJournal] = []
        self.engine: Engine[Event] = Engine(
            CountingProcessor(settings.topics.interests),
            Resources(lambda _: self.store, self._journal),
            EngineOptions("x", fault=fault),
        )

    def _journal(self, number: int) -> KafkaJournal:
        self.journals.append(KafkaJournal(self.settings.kafka, names(self.settings), number))
        return self.journals[-1]

    def open(self) -> int:
        return self.engine.adopt(self.engine.open(0))

    def process(self, records: list[bytes], first: int, last: int) -> Outcome:
        return self.engine.process({0: deque((n, records[n]) for n in range(first, last))}, NOW)

    def states(self) -> dict[bytes, bytes]:
        return {key[1:]: value for key, value in self.store.scan(KIND_USER)}

    def dump(self) -> dict[bytes, bytes]:
        return {key: value for key, value in self.store.scan(b"") if key != BOOKMARK_KEY}


def source(count: int) -> list[bytes]:
    return [pack(number, [f"u{number % 3}"]) for number in range(count)]


def expected(count: int) -> tuple[dict[bytes, bytes], list[bytes]]:
    states: dict[bytes, bytes] = {}
    outputs = []
    for number in range(count):
        user = f"u{number % 3}"
        states[user.encode()] = fold(states.get(user.encode()), Event(user, number))
        outputs.append(states[user.encode()])
    return states, sorted(outputs)


def outputs(settings: Settings, isolation: str = "read_committed") -> list[bytes]:
    return sorted(
        message.value() or b"" for message in read_all(settings, settings.topics.interests, isolation)
    )


def test_an_overtaken_owner_is_refused(settings: Settings) -> None:
    records = source(12)
    zombie, owner = Owner(settings), Owner(settings)
    assert zombie.open() == 0
    zombie.process(records, 0, 4)
    assert owner.open() == 4
    outcome = zombie.process(records, 4, 8)
    assert isinstance(outcome.lost[0].error, OwnershipLost)
    assert owner.process(records, 4, 12).lost == {}
    assert owner.states() == expected(12)[0]
    assert outputs(settings) == expected(12)[1]


@pytest.mark.parametrize("step", [3, 4])
def test_what_an_owner_had_in_flight_when_it_was_overtaken_is_never_seen(
    settings: Settings, step: int
) -> None:
    records = source(12)
    owner = Owner(settings)

    def overtaken(now: int) -> None:
        if now == step and not owner.journals:
            if step == 4:
                zombie.journals[0].flush(SECONDS)
            assert owner.open() == 0

    zombie = Owner(settings, overtaken)
    zombie.open()
    outcome = zombie.process(records, 0, 8)
    assert isinstance(outcome.lost[0].error, OwnershipLost)
    assert zombie.dump() == {}
    assert outputs(settings) == []
    # It was not merely never sent.
    assert len(outputs(settings, "read_uncommitted")) == (8 if step == 4 else 0)
    owner.process(records, 0, 12)
    assert outputs(settings) == expected(12)[1]
    assert owner.states() == expected(12)[0]


def test_an_owner_that_was_killed_after_its_commit_is_succeeded_from_the_log(settings: Settings) -> None:
    records = source(6)

    class Killed(BaseException):
        pass

    def kill(step: int) -> None:
        if step == 5:
            raise Killed

    owner = Owner(settings, kill)
    owner.open()
    with pytest.raises(Killed):
        owner.process(records, 0, 4)
    heir = Owner(settings, store=owner.store)
    assert heir.open() == 4
    heir.process(records, 0, 6)
    assert heir.states() == expected(6)[0]
    assert outputs(settings) == expected(6)[1]


@pytest.fixture(scope="module")
def cleaning(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    """A broker that compacts at once."""
    options = ClusterOptions(
        properties={"log.cleaner.backoff.ms": "50", "log.retention.check.interval.ms": "200"}
    )
    with LocalCluster(tmp_path_factory.mktemp("cleaning"), options) as cluster:
        yield cluster


def test_the_attack_by_compaction(cleaning: LocalCluster, tmp_path: Path) -> None:
    """A zombie writes, the owner dies between its restore and its next commit, the log is compacted for good,
    and an owner with an empty disk restores it: nothing of the zombie may come back."""
    settings = fresh_settings(cleaning.bootstrap_servers, tmp_path, partitions=1)
    _make_compacting_changelog(settings)
    create_topics(settings)
    records = source(60)
    zombie = Owner(settings)
    zombie.open()
    for first in range(0, 30, 3):
        zombie.process(records, first, first + 3)
    died = Owner(settings)

    def overtaken(step: int) -> None:
        if step == 4:
            zombie.journals[0].flush(SECONDS)
            died.open()

    zombie.engine._options = EngineOptions("x", fault=overtaken)
    assert zombie.process(records, 30, 45).lost
    # The log rolls and is cleaned under the next owner, who dies as well.
    rolling = Owner(settings)
    assert rolling.open() == 30
    _wait_until_compacted(settings, rolling, records)
    wiped = Owner(settings)
    start = wiped.open()
    assert wiped.dump() == rolling.dump()
    wiped.process(records, start, 60)
    assert wiped.states() == expected(60)[0]
    assert outputs(settings) == expected(60)[1]


def _make_compacting_changelog(settings: Settings) -> None:
    config = {
        "cleanup.policy": "compact",
        "segment.ms": "100",
        "min.cleanable.dirty.ratio": "0.0001",
        "min.compaction.lag.ms": "0",
        "max.compaction.lag.ms": "100",
        "delete.retention.ms": "86400000",
    }
    admin = admin_client(settings.kafka)
    topic = NewTopic(user_state_changelog(settings), 1, 1, config=config)
    for future in admin.create_topics([topic]).values():
        future.result(SECONDS)


def _wait_until_compacted(settings: Settings, owner: Owner, records: list[bytes]) -> None:
    """Commit an event now and then, since only segments that are closed are cleaned."""
    give_up = time.monotonic() + SECONDS
    for number in range(30, len(records)):
        owner.process(records, number, number + 1)
        keys = [message.key() for message in read_all(settings, user_state_changelog(settings))]
        if keys.count(PLACE_KEY) < number - 25:
            return
        assert time.monotonic() < give_up
        time.sleep(0.15)
    raise AssertionError(f"the log was not compacted: {keys.count(PLACE_KEY)} places")


def test_deleted_keys_are_deleted_by_the_restore(settings: Settings) -> None:
    owner = Owner(settings)
    journal = KafkaJournal(settings.kafka, names(settings), 0)
    facts = journal.fence(lambda: False)
    for changes in ({b"ua": b"1", b"ub": b"2"}, {b"ua": None, b"uc": b"3"}):
        place = {PLACE_KEY: Place(1, 1, facts.source_topic).encode()}
        journal.produce(
            [Output(settings.topics.interests, b"k", b"v", [("name", b"value")])], {**changes, **place}
        )
        journal.commit()
    journal.close()
    assert owner.open() == 1
    assert owner.dump() == {b"ub": b"2", b"uc": b"3", **place}
    message = read_all(settings, settings.topics.interests)[0]
    assert message.headers() == [("name", b"value")]


def test_what_the_broker_does_not_take_is_a_failed_commit(settings: Settings) -> None:
    hasty = replace(settings, kafka=replace(settings.kafka, transaction_timeout_ms=2_000))
    owner = Owner(hasty)
    owner.open()
    owner.engine._processor = CountingProcessor(f"{settings.topics.interests}-missing")
    outcome = owner.process(source(2), 0, 2)
    assert isinstance(outcome.lost[0].error, CommitFailed)
    heir = Owner(settings, store=owner.store)
    assert heir.open() == 0
    heir.process(source(2), 0, 2)
    assert outputs(settings) == expected(2)[1]


def test_a_source_that_was_made_anew_is_refused(settings: Settings) -> None:
    owner = Owner(settings)
    owner.open()
    owner.process(source(2), 0, 2)
    topic = settings.topics.interactions_encoded
    admin = admin_client(settings.kafka)
    admin.delete_topics([topic])[topic].result(SECONDS)
    _until_gone(settings, topic)
    create_topics(settings)
    with pytest.raises(SourceRecreated):
        Owner(settings).open()


def _until_gone(settings: Settings, topic: str) -> None:
    give_up = time.monotonic() + SECONDS
    admin = admin_client(settings.kafka)
    while topic in admin.list_topics(timeout=SECONDS).topics:
        assert time.monotonic() < give_up
        time.sleep(0.05)


def test_records_that_were_cut_unread_leave_a_hole(settings: Settings) -> None:
    topic = settings.topics.interactions_encoded
    feeder = producer(settings.kafka)
    for record in source(10):
        feeder.produce(topic, record, partition=0)
    assert feeder.flush(SECONDS) == 0
    owner = Owner(settings)
    owner.open()
    owner.process(source(10), 0, 3)
    admin = admin_client(settings.kafka)
    for future in admin.delete_records([TopicPartition(topic, 0, 6)]).values():
        future.result(SECONDS)
    late = Owner(settings)
    assert late.open() == 6
    outcome = late.process(source(10), 6, 10)
    assert outcome.rows == 0 and outcome.holes == {0: 6}
    fresh = Owner(_renamed(settings))
    create_topics(fresh.settings)
    assert fresh.open() == 6


def _renamed(settings: Settings) -> Settings:
    return replace(settings, app=replace(settings.app, name=f"t-{uuid.uuid4().hex[:8]}"))


def test_topics_that_do_not_fit_are_named(settings: Settings) -> None:
    admin = admin_client(settings.kafka)
    owner = Owner(_renamed(settings))
    changelog = user_state_changelog(owner.settings)
    with pytest.raises(TopicError, match=r"changelog: missing.*topics create"):
        owner.open()
    create(admin, NewTopic(changelog, 2, 1))
    with pytest.raises(TopicError, match="same number"):
        owner.open()
    owner = Owner(_renamed(settings))
    changelog = user_state_changelog(owner.settings)
    create(admin, NewTopic(changelog, 4, 1))
    with pytest.raises(TopicError, match=r"cleanup\.policy=delete"):
        owner.open()


def create(admin: AdminClient, topic: NewTopic) -> None:
    """Its broker hears of a topic some time after the controller has made it."""
    admin.create_topics([topic])[topic.topic].result(SECONDS)
    until("the topic to be known", lambda: topic.topic in partition_counts(admin, [topic.topic]))


def test_a_closed_journal_refuses(settings: Settings) -> None:
    journal = KafkaJournal(settings.kafka, names(settings), 0)
    journal.fence(lambda: False)
    journal.close()
    with pytest.raises(EngineError, match="closed"):
        journal.produce([], {b"a": b"b"})
