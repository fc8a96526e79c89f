"""Input that is not keyed by user, on a real Kafka: each event once, and one state for each user."""

import json
import random
import signal
import threading
from collections import Counter, defaultdict
from pathlib import Path

import pytest
from msgspec.structs import replace
from test_commands import penchant
from test_crashes import changelog_states, packs_by_partition, reference_states
from test_topics_on_kafka import make
from test_whole_way import latest

from streams.broker import LocalCluster
from streams.broker.ports import free_ports
from streams.demo.stage import workers
from streams.engine.faults import VARIABLE
from streams.errors import EngineError, SettingsError
from streams.groups import living
from streams.kafka import NewPartitions, admin_client, producer
from streams.records import Interest
from streams.repartition.worker import RepartitionWorker
from streams.settings import Settings
from streams.topics import create_topics
from tests.encode_harness import SECONDS, child, covered, event, rows_of, running, until
from tests.integration.conftest import fresh_settings, produce_json, read_all
from tests.letter_harness import good, headers_of, letters_of, place_of, redriven, send

pytestmark = pytest.mark.timeout(240)
CHILD = "tests.repartition_child"
USERS = 12
INPUT_PARTITIONS = 3


@pytest.fixture
def even(kafka: LocalCluster, tmp_path: Path) -> Settings:
    """As many partitions by user as the input has."""
    made = fresh_settings(kafka.bootstrap_servers, tmp_path)
    made = replace(made, topics=replace(made.topics, repartition=True))
    create_topics(made)
    return made


@pytest.fixture
def settings(kafka: LocalCluster, tmp_path: Path) -> Settings:
    """Three partitions of input, four by user."""
    made = fresh_settings(kafka.bootstrap_servers, tmp_path)
    made = replace(made, topics=replace(made.topics, repartition=True))
    make(admin_client(made.kafka), made.topics.interactions, INPUT_PARTITIONS)
    create_topics(made)
    return made


class Feed:
    """Sends events of each user to all partitions, with keys that say nothing; keeps their names."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._topic = settings.topics.interactions
        self.partitions = INPUT_PARTITIONS
        self._chance = random.Random(5)
        self._producer = producer(settings.kafka)
        self.users: dict[str, str] = {}
        """Event id to user, of all that were acknowledged."""

    def send(self, count: int) -> None:
        for _ in range(count):
            number = len(self.users)
            user, event_id = f"u{self._chance.randrange(USERS)}", f"e{number}"
            self.users[event_id] = user
            value = {
                "user_id": user,
                "action": self._chance.choice(["view", "like", "skip", "click"]),
                "timestamp": 1_700_000_000_000 + number * 1_000,
                "event_id": event_id,
                "text": f"words {number % 7}",
            }
            self._producer.produce(
                self._topic,
                json.dumps(value),
                key=self._chance.choice([None, b"session", user.encode(), b"\xff"]),
                partition=number % self.partitions,
            )
        assert self._producer.flush(SECONDS) == 0

    def forget_partitions(self) -> None:
        """Ask anew how many there are."""
        self._producer = producer(self._settings.kafka)

    def keep_sending(self, stop: threading.Event) -> None:
        while not stop.wait(0.1):
            self.send(10)


def copies(settings: Settings) -> list[tuple[str, int, bytes | None]]:
    """Event id, partition and key of each committed copy."""
    return [
        (json.loads(message.value() or b"")["event_id"], message.partition() or 0, message.key())
        for message in read_all(settings, settings.topics.interactions_by_user)
    ]


def test_killed_under_load_every_event_counts_once_in_its_users_one_state(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process of both stages kills itself between two steps of a commit, of whichever comes there."""
    feed = Feed(settings)
    stop = threading.Event()
    feeder = threading.Thread(target=feed.keep_sending, args=(stop,), daemon=True)
    (port,) = free_ports(1)
    with workers(settings, tmp_path, {"interests": port}):
        feeder.start()
        for fault in ("3", "4x3", "5x5"):
            monkeypatch.setenv(VARIABLE, fault)
            with child(settings, CHILD) as killed:
                assert killed.process.wait(SECONDS) == -signal.SIGKILL
        monkeypatch.delenv(VARIABLE)
        stop.set()
        feeder.join(SECONDS)
        with child(settings, CHILD) as last:
            # All may be counted already, and a signal that comes before the handler would end it.
            last.wait_ready()
            until("all to be counted", lambda: counted(settings) >= len(feed.users))
            assert last.terminate() == 0

    found = copies(settings)
    assert Counter(event_id for event_id, _, _ in found) == Counter(feed.users.keys())
    homes: dict[bytes | None, set[int]] = defaultdict(set)
    for event_id, partition, key in found:
        assert key == feed.users[event_id].encode()
        homes[key].add(partition)
    assert all(len(partitions) == 1 for partitions in homes.values())

    packs = packs_by_partition(settings)
    assert covered(settings) >= len(feed.users)
    assert Counter(row.event_id for row in rows_of(settings)) == Counter(feed.users.keys())
    assert changelog_states(settings) == reference_states(settings, packs)
    assert Counter(feed.users.values()) == {
        user: interest.event_count
        for user, interest in latest(settings, settings.topics.interests, Interest).items()
        if isinstance(interest, Interest)
    }


def counted(settings: Settings) -> int:
    found = latest(settings, settings.topics.interests, Interest).values()
    return sum(each.event_count for each in found if isinstance(each, Interest))


def test_what_has_no_user_is_set_aside_and_redriven_once_it_has(settings: Settings) -> None:
    """The letters of both stages name the original, under its own key, and go back to where it lies."""
    names = settings.topics
    userless, odd = good("u", user_id=""), good("u", action="stare")
    with child(settings, CHILD):
        send(settings, names.interactions, None, userless)
        send(settings, names.interactions, b"session-1", odd, {"traceparent": b"t"})
        until("both letters", lambda: len(letters_of(settings)) == 2)
        letters = {headers_of(letter)["stage"]: letter for letter in letters_of(settings)}
        sent = {message.value(): message for message in read_all(settings, names.interactions)}
        for stage, value in ((b"repartition", userless), (b"encode", odd)):
            told, original = headers_of(letters[stage]), sent[value]
            assert (letters[stage].key(), letters[stage].value()) == (original.key(), value)
            assert told["topic"] == names.interactions.encode()
            assert told["partition"] == str(original.partition()).encode()
            assert told["offset"] == str(original.offset()).encode()
            assert not [name for name in told if "origin-key" in name]
        for letter in letters.values():
            told = penchant(
                settings, "dead-letters", "redrive", place_of(letter), "--edit", "-", stdin=good("u")
            )
            assert told.stdout == "1 letters redriven\n", told.output
        until("both rows", lambda: len(rows_of(settings)) == 2)
    # Behind the place stands the topic's id: offsets of a topic that is made anew start again.
    assert {row.event_id.partition("@")[0] for row in rows_of(settings)} == {
        f"{names.interactions}-{message.partition()}-{message.offset()}" for message in sent.values()
    }
    assert {row.user_id for row in rows_of(settings)} == {"u"}
    for message in redriven(settings):
        original = next(each for each in sent.values() if each.key() == message.key())
        assert message.partition() == original.partition()


def test_a_deployment_that_read_its_input_itself_goes_on_with_copies(even: Settings, tmp_path: Path) -> None:
    """No event is lost or counted twice where the setting changes, and states go on as they were."""
    settings = even
    keyed = replace(settings, topics=replace(settings.topics, repartition=False))
    (port,) = free_ports(1)
    with workers(settings, tmp_path, {"interests": port}):
        with child(keyed) as first:
            produce_json(keyed, keyed.topics.interactions, [event(n) for n in range(40)])
            until("the first to be counted", lambda: counted(settings) == 40)
            produce_json(keyed, keyed.topics.interactions, [event(n) for n in range(40, 60)])
            first.kill()
        with child(settings, CHILD) as second:
            produce_json(settings, settings.topics.interactions, [event(n) for n in range(60, 80)])
            until("all to be counted", lambda: counted(settings) >= 80)
            assert second.terminate() == 0
    assert sorted(int(row.event_id[1:]) for row in rows_of(settings)) == list(range(80))
    assert len(copies(settings)) <= 40
    with pytest.raises(SettingsError, match=r"topics\.repartition: .* set it on again"), running(keyed):
        pass
    assert counted(settings) == 80


def test_new_partitions_are_read_and_offsets_that_are_lost_are_told(settings: Settings) -> None:
    """Without its offsets the stage would copy everything once more."""
    feed = Feed(settings)
    admin = admin_client(settings.kafka)
    with child(settings, CHILD):
        feed.send(30)
        until("all to be copied", lambda: len(copies(settings)) == 30)
    feed.partitions = INPUT_PARTITIONS + 1
    grown = NewPartitions(settings.topics.interactions, feed.partitions)
    for future in admin.create_partitions([grown]).values():
        future.result(SECONDS)
    feed.forget_partitions()
    feed.send(30)
    with child(settings, CHILD):
        until("those of the new partition, too", lambda: len(copies(settings)) == 60)
    group = f"{settings.app.name}-repartition"
    until("the group to be empty", lambda: not living(admin, [group]))
    admin.delete_consumer_groups([group])[group].result(SECONDS)
    with pytest.raises(EngineError, match="has no offsets any more"):
        RepartitionWorker(settings).run(threading.Event())
    assert Counter(event_id for event_id, _, _ in copies(settings)) == Counter(feed.users.keys())


def test_copies_that_would_leave_their_states_are_refused(kafka: LocalCluster, tmp_path: Path) -> None:
    """Four partitions of input and three by user: states that were made from four lie elsewhere."""
    keyed = fresh_settings(kafka.bootstrap_servers, tmp_path)
    create_topics(keyed)
    make(admin_client(keyed.kafka), keyed.topics.interactions_by_user, 3)
    with running(keyed):
        produce_json(keyed, keyed.topics.interactions, [event(0)])
        until("the event to be covered", lambda: len(rows_of(keyed)) == 1)
    with pytest.raises(EngineError, match="make it with 4 partitions"):
        RepartitionWorker(replace(keyed, topics=replace(keyed.topics, repartition=True))).run(
            threading.Event()
        )
