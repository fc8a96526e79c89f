"""Input that is not keyed by user, on a real Kafka: each event once, and one state for each user."""

import json
import random
import threading
from collections import Counter, defaultdict
from pathlib import Path

import pytest
from conftest import read_all
from msgspec.structs import replace
from test_commands import penchant
from test_crashes import changelog_states, packs_by_partition, reference_states
from test_topics_on_kafka import make
from test_whole_way import latest

from streams.broker import LocalCluster
from streams.broker.ports import free_ports
from streams.demo.stage import workers
from streams.kafka import admin_client, producer
from streams.records import Interest
from streams.settings import Settings
from streams.topics import create_topics
from tests.encode_harness import SECONDS, child, covered, rows_of, until
from tests.integration.conftest import fresh_settings
from tests.letter_harness import good, headers_of, letters_of, place_of, redriven, send

pytestmark = pytest.mark.timeout(240)
CHILD = "tests.repartition_child"
USERS = 12
INPUT_PARTITIONS = 3


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
        self._topic = settings.topics.interactions
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
                partition=number % INPUT_PARTITIONS,
            )
        assert self._producer.flush(SECONDS) == 0

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
    settings: Settings, tmp_path: Path
) -> None:
    feed = Feed(settings)
    stop = threading.Event()
    feeder = threading.Thread(target=feed.keep_sending, args=(stop,), daemon=True)
    (port,) = free_ports(1)
    with workers(settings, tmp_path, {"interests": port}):
        feeder.start()
        for _ in range(2):
            before = len(copies(settings))
            with child(settings, CHILD):
                until("progress", lambda before=before: len(copies(settings)) > before)
        stop.set()
        feeder.join(SECONDS)
        with child(settings, CHILD) as last:
            until("all to be copied", lambda: len(copies(settings)) >= len(feed.users))
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
    assert {row.event_id for row in rows_of(settings)} == {
        f"{names.interactions}-{message.partition()}-{message.offset()}" for message in sent.values()
    }
    assert {row.user_id for row in rows_of(settings)} == {"u"}
    for message in redriven(settings):
        original = next(each for each in sent.values() if each.key() == message.key())
        assert message.partition() == original.partition()
