"""More partitions: every user keeps the one state, wherever it moves, and nothing runs or waits meanwhile."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result

from streams.broker import LocalCluster
from streams.commands.topics import topics
from streams.errors import TopicError
from streams.interests.worker import InterestsWorker
from streams.kafka import NewPartitions, admin_client, producer
from streams.partitioning import partition_of
from streams.records import Interest
from streams.settings import Settings
from streams.topic_plans import user_state_changelog
from streams.topics import add_partitions, create_topics, partition_counts
from tests.encode_harness import SECONDS, event, packs_of, running, until
from tests.integration.conftest import fresh_settings, produce_json, read_all

USERS = 30


@pytest.fixture
def settings(kafka: LocalCluster, tmp_path: Path) -> Settings:
    made = fresh_settings(kafka.bootstrap_servers, tmp_path, partitions=2)
    create_topics(made)
    return made


@contextmanager
def counting(settings: Settings) -> Iterator[None]:
    """An encode worker and an interests worker, ready, in threads of this process."""
    worker, stop = InterestsWorker(settings), threading.Event()
    thread = threading.Thread(target=worker.run, args=(stop,), daemon=True)
    thread.start()
    try:
        with running(settings):
            until("the interests worker", worker.ready)
            yield
    finally:
        stop.set()
        thread.join(SECONDS)
    assert not thread.is_alive()


def send(settings: Settings, numbers: range) -> None:
    """Event `number` is of user `number % USERS`."""
    records = []
    for number in numbers:
        user = f"user-{number % USERS}"
        records.append((user, {**event(number)[1], "user_id": user}))
    produce_json(settings, settings.topics.interactions, records)


def counted(settings: Settings) -> dict[str, tuple[int, int]]:
    """Events and version of each user's last interest."""
    found: dict[str, tuple[int, int]] = {}
    for message in read_all(settings, settings.topics.interests):
        made = msgspec.json.decode(message.value() or b"", type=Interest)
        before = found.get(made.user_id, (0, 0))
        assert made.event_count > before[0] and made.version > before[1]
        found[made.user_id] = (made.event_count, made.version)
    return found


def events_counted(settings: Settings) -> int:
    return sum(events for events, _ in counted(settings).values())


def grow(settings: Settings, partitions: int) -> Result:
    return CliRunner().invoke(topics, ["grow", "--partitions", str(partitions)], obj=settings)


def test_states_move_to_where_their_users_events_come_and_none_is_lost(settings: Settings) -> None:
    send(settings, range(USERS))
    assert "is not counted yet" in str(grow(settings, 5).exception)
    with counting(settings):
        send(settings, range(USERS, 2 * USERS))
        until("all to be counted", lambda: events_counted(settings) == 2 * USERS)
        assert "stop them all first" in str(grow(settings, 5).exception)
    assert "fewer than the 2" in str(grow(settings, 1).exception)

    grown = grow(settings, 5)
    assert grown.exception is None, grown.output
    moving = {user for user in counted(settings) if homes(user, 2) != homes(user, 5)}
    assert f"the states of {len(moving)} users moved" in grown.output
    names = (settings.topics.interactions, settings.topics.interactions_encoded)
    chain = (*names, user_state_changelog(settings))
    assert set(partition_counts(admin_client(settings.kafka), chain).values()) == {5}
    again = grow(settings, 5)
    assert "the states of 0 users moved" in again.output

    with counting(settings):
        send(settings, range(2 * USERS, 4 * USERS))
        until("all to be counted", lambda: events_counted(settings) == 4 * USERS)
    assert {events for events, _ in counted(settings).values()} == {4}
    assert {len(packs.rows) > 0 for packs in packs_of(settings)[4]} >= {True}


def homes(user: str, partitions: int) -> int:
    return partition_of(user.encode(), partitions)


def test_events_wait_where_the_input_alone_has_grown_and_then_count(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    """From two partitions to three nearly every user moves, also between those that were there before."""
    with counting(settings):
        send(settings, range(USERS))
        until("all to be counted", lambda: events_counted(settings) == USERS)
    send(settings, range(USERS, 2 * USERS))
    name = settings.topics.interactions
    add_partitions(admin_client(settings.kafka), [name], 3)
    send(settings, range(2 * USERS, 3 * USERS))
    with counting(settings):
        until("it to be told", lambda: f"{name}-2: events wait" in caplog.text)
        until("those from before", lambda: events_counted(settings) >= 2 * USERS)
    assert {events for events, _ in counted(settings).values()} <= {2, 3}
    grown = grow(settings, 3)
    assert grown.exception is None, grown.output
    assert "apart from the state" not in grown.output
    with counting(settings):
        until("the rest", lambda: events_counted(settings) == 3 * USERS)
    assert {events for events, _ in counted(settings).values()} == {3}


def test_a_worker_ends_when_its_input_grows_under_it(settings: Settings) -> None:
    name = settings.topics.interactions
    with pytest.raises(TopicError, match="has 3 partitions now, of which 2"), running(settings) as worker:
        send(settings, range(USERS))
        until("all to be packed", lambda: packed(settings) == USERS)
        add_partitions(admin_client(settings.kafka), [name], 3)
        send(settings, range(USERS, 2 * USERS))
        until("the worker to end", lambda: not worker.ready())
    packs = packs_of(settings)
    assert all(
        homes(row.user_id, 2) == number for number in packs for each in packs[number] for row in each.rows
    )


def packed(settings: Settings) -> int:
    return sum(len(pack.rows) for packs in packs_of(settings).values() for pack in packs)


def test_keys_belong_where_producers_put_them(settings: Settings) -> None:
    topic = settings.topics.interests
    admin = admin_client(settings.kafka)
    admin.create_partitions([NewPartitions(topic, 7)])[topic].result(SECONDS)
    client = producer(settings.kafka)
    until("the partitions", lambda: len(client.list_topics(topic, timeout=10).topics[topic].partitions) == 7)
    keys = [b"x" * length + bytes([length]) for length in range(40)] + [
        f"üser-{n}".encode() for n in range(60)
    ]
    for key in keys:
        client.produce(topic, b"{}", key)
    assert client.flush(SECONDS) == 0
    found = {message.key(): message.partition() for message in read_all(settings, topic)}
    assert found == {key: partition_of(key, 7) for key in keys}
