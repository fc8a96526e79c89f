"""A broker without replicas that ends in the wrong moment ends a transaction and skips its markers."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from state.events import Pack
from streams import kafka
from streams.broker import ClusterOptions, LocalCluster
from streams.encode.instance import Instance
from streams.engine.place import BOOKMARK_KEY, PLACE_KEY, Bookmark, Place
from streams.partitioning import partition_of
from streams.settings import Settings
from streams.topic_plans import user_state_changelog
from streams.topics import create_topics
from tests.counting import KIND_USER
from tests.encode_harness import event, packs_of, rows_of, running, until
from tests.integration.conftest import fresh_settings, produce_json
from tests.integration.test_engine_fencing import Owner, expected, names, outputs, source
from tests.raw_wire import Offsets, leave_open
from tests.tastes import row


@pytest.fixture(scope="module")
def forgetful(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    options = ClusterOptions(properties={"transaction.partition.verification.enable": "false"})
    with LocalCluster(tmp_path_factory.mktemp("kafka"), options) as cluster:
        yield cluster


@pytest.mark.parametrize(("told", "undone"), [(False, False), (True, False), (True, True)])
def test_what_a_broker_forgot_to_end_is_never_seen(
    forgetful: LocalCluster, tmp_path_factory: pytest.TempPathFactory, told: bool, undone: bool
) -> None:
    """Also where its owner was told that it was committed, and so has it in its store; and where the next
    transaction, which was aborted, has ended it since."""
    settings = fresh_settings(forgetful.bootstrap_servers, tmp_path_factory.mktemp("data"))
    create_topics(settings)
    records = source(12)
    first = Owner(settings)
    first.open()
    first.process(records, 0, 4)
    first.engine.close(0)
    batch = fifth_batch(Place.decode(first.dump()[PLACE_KEY]))
    forget(settings, batch)
    if told:
        bookmark = Bookmark.decode(first.store.get(BOOKMARK_KEY) or b"")
        # Behind the marker of the batch before.
        first.store.write({**batch, BOOKMARK_KEY: replace(bookmark, offset=bookmark.offset + 3).encode()})
    if undone:
        abort_another(settings)
    owner = Owner(settings, store=first.store if told else None)
    assert owner.open() == 4
    assert owner.process(records, 4, 12).lost == {}
    assert owner.states() == expected(12)[0]
    assert outputs(settings) == expected(12)[1]
    again = Owner(settings)
    assert again.open() == 12
    assert again.dump() == owner.dump()


def fifth_batch(before: Place) -> dict[bytes, bytes]:
    """State and place, as the batch with the fifth record changes them."""
    states, after = expected(5)
    [output] = set(after) - set(expected(4)[1])
    [user] = [user for user, state in states.items() if state == output]
    return {KIND_USER + user: output, PLACE_KEY: replace(before, source=5, raw=5).encode()}


def forget(settings: Settings, batch: dict[bytes, bytes]) -> None:
    """The batch as it lies there when the markers of its transaction are missing."""
    key, output = next(iter(batch.items()))
    user = key.removeprefix(KIND_USER)
    written = partition_of(user, settings.topics.partitions)
    leave_open(
        settings.kafka.bootstrap_servers,
        f"{names(settings).owner}-0",
        {
            (user_state_changelog(settings), 0): list(batch.items()),
            (settings.topics.interests, written): [(user, output)],
        },
    )


def abort_another(settings: Settings) -> None:
    """A transaction of the same producer in the same partitions."""
    producer = kafka.producer(settings.kafka, f"{names(settings).owner}-0")
    producer.init_transactions(30)
    producer.begin_transaction()
    for number in range(settings.topics.partitions):
        producer.produce(settings.topics.interests, None, b"", partition=number)
    producer.produce(user_state_changelog(settings), None, b"", partition=0)
    producer.flush(30)
    producer.abort_transaction(30)


def ids(settings: Settings) -> list[str]:
    return [each.event_id for each in rows_of(settings)]


def lost_event(settings: Settings) -> tuple[int, bytes]:
    """A worker has counted events of one partition, then one more came: its partition, and the pack of it."""
    with running(settings):
        produce_json(settings, settings.topics.interactions, [event(7), event(57)])
        until("two rows", lambda: len(rows_of(settings)) == 2)
    last = max((pack for packs in packs_of(settings).values() for pack in packs), key=lambda pack: pack.end)
    produce_json(settings, settings.topics.interactions, [event(107)])
    missing = msgspec.structs.replace(last.rows[0], event_id="e107", offset=last.end)
    pack = Pack(last.end, last.end + 1, [missing], last.topic)
    number = partition_of(missing.user_id.encode(), settings.topics.partitions)
    return number, msgspec.msgpack.encode(pack)


def leave_packs_open(settings: Settings, packs: dict[int, bytes], offsets: Offsets | None = None) -> None:
    with Instance(Path(settings.app.data)) as instance:
        name = f"{settings.app.name}-encode-{instance.id}"
    topic = settings.topics.interactions_encoded
    records = {(topic, number): [(b"", pack)] for number, pack in packs.items()}
    leave_open(settings.kafka.bootstrap_servers, name, records, offsets)


def assert_counted_once(settings: Settings, quiet: int) -> None:
    """Each event has one row, and a partition that the worker does not write to is not blocked either."""
    until("the last event", lambda: "e107" in ids(settings), 20)
    client = kafka.producer(settings.kafka)
    behind = msgspec.msgpack.encode(Pack(-1, -1, [row("later", 0, None, offset=-1)]))
    client.produce(settings.topics.interactions_encoded, behind, partition=quiet)
    assert client.flush(20) == 0
    until("what comes behind", lambda: "event-0" in ids(settings), 20)
    assert sorted(ids(settings)) == ["e107", "e57", "e7", "event-0"]


@pytest.mark.parametrize("offsets_hang", [False, True])
def test_packs_that_a_broker_forgot_block_no_reader(
    forgetful: LocalCluster,
    tmp_path: Path,
    offsets_hang: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("streams.encode.forgotten.OFFSET_SECONDS", 0.0)
    settings = fresh_settings(forgetful.bootstrap_servers, tmp_path, partitions=2)
    settings = msgspec.structs.replace(
        settings, kafka=msgspec.structs.replace(settings.kafka, transaction_timeout_ms=3_000)
    )
    create_topics(settings)
    number, pack = lost_event(settings)
    place = (settings.topics.interactions, number)
    offsets = (f"{settings.app.name}-encode", {place: 3}) if offsets_hang else None
    quiet = msgspec.msgpack.encode(Pack(-1, -1, [row("later", 1, None, offset=-1)]))
    leave_packs_open(settings, {number: pack, 1 - number: quiet}, offsets)
    with running(settings):
        assert_counted_once(settings, 1 - number)


def test_packs_whose_events_were_consumed_are_not_lost(forgetful: LocalCluster, tmp_path: Path) -> None:
    """The broker ended the offsets' part of the transaction, and forgot the packs'."""
    settings = fresh_settings(forgetful.bootstrap_servers, tmp_path, partitions=2)
    create_topics(settings)
    number, pack = lost_event(settings)
    leave_packs_open(settings, {number: pack})
    topic, end = settings.topics.interactions, msgspec.msgpack.decode(pack, type=Pack).end
    client = kafka.consumer(settings.kafka, f"{settings.app.name}-encode")
    client.commit(offsets=[kafka.TopicPartition(topic, number, end)], asynchronous=False)
    client.close()
    with running(settings):
        assert_counted_once(settings, number)
