"""Input topics made anew, cut unread, or whose group's offsets are gone: nothing is skipped silently."""

import threading
import time
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from state.events import NO_TOPIC, Pack
from state.items import EncodedItem
from streams.broker import LocalCluster
from streams.encode.covered import FIRST_STEP, covered_ends
from streams.encode.placing import NOTHING
from streams.encode.worker import EncodeWorker
from streams.errors import SourceRecreated, SourceTrimmed
from streams.interests.processor import InterestsProcessor
from streams.kafka import KafkaException, NewTopic, TopicPartition, admin_client, producer
from streams.metrics import LOST_OFFSETS, RECREATED
from streams.records import Interest
from streams.settings import Settings
from streams.testing import Driver
from streams.topic_ids import identify
from streams.topics import create_topics, partition_counts
from tests.encode_child import make_media
from tests.encode_harness import SECONDS, covered, decode, event, packs_of, rows_of, running, until
from tests.integration.conftest import fresh_settings, produce_json, read_all
from tests.tastes import catalogue


@pytest.fixture
def settings(kafka: LocalCluster, tmp_path: Path) -> Settings:
    """One partition: all that happens is in one order."""
    made = fresh_settings(kafka.bootstrap_servers, tmp_path, partitions=1)
    create_topics(made)
    return made


def remake(settings: Settings, topic: str) -> None:
    admin = admin_client(settings.kafka)
    before = topic_of(settings, topic)
    admin.delete_topics([topic])[topic].result(SECONDS)
    deadline = time.monotonic() + SECONDS
    while True:
        try:
            admin.create_topics([NewTopic(topic, settings.topics.partitions, 1)])[topic].result(SECONDS)
            break
        except KafkaException:
            # It is being deleted still.
            assert time.monotonic() < deadline
            time.sleep(0.02)
    assert topic_of(settings, topic) != before


def topic_of(settings: Settings, topic: str) -> bytes:
    """Waits for the broker to hear of a topic that is new."""
    admin = admin_client(settings.kafka)
    until("the topic to be known", lambda: topic in partition_counts(admin, [topic]))
    return identify(admin, [topic])[topic].topic


def events(settings: Settings, *numbers: int) -> None:
    """Without ids of their own, so that they are named after their places."""
    records = [event(number) for number in numbers]
    for _, value in records:
        del value["event_id"]
    produce_json(settings, settings.topics.interactions, records)


def cut(settings: Settings, offset: int) -> None:
    place = TopicPartition(settings.topics.interactions, 0, offset)
    admin = admin_client(settings.kafka)
    admin.delete_records([place])[place].result(SECONDS)


def forget_group(settings: Settings) -> None:
    """As Kafka does with a group that was away for `offsets.retention.minutes`."""
    group = f"{settings.app.name}-encode"
    admin = admin_client(settings.kafka)
    admin.delete_consumer_groups([group])[group].result(SECONDS)


def counted(settings: Settings) -> list[Interest]:
    """The last interest of each user, once an interests worker has read all packs that there are."""
    made, fusion = catalogue([])
    driver = Driver(InterestsProcessor(fusion, made, settings))
    for message in read_all(settings, settings.topics.interactions_encoded):
        driver.push(message.value() or b"")
    last: dict[bytes, Interest] = {}
    for output in driver.outputs(settings.topics.interests):
        last[output.key] = msgspec.json.decode(output.value or b"", type=Interest)
    return [last[key] for key in sorted(last)]


def test_events_of_a_topic_made_anew_count(settings: Settings) -> None:
    with running(settings):
        events(settings, 1, 2, 51)
        until("all to be covered", lambda: covered(settings) == 3)
    old = topic_of(settings, settings.topics.interactions)
    remake(settings, settings.topics.interactions)
    events(settings, 1, 3)
    before = RECREATED.labels(settings.topics.interactions)._value.get()
    with running(settings):
        until("the new events", lambda: len(rows_of(settings)) == 5)
    assert RECREATED.labels(settings.topics.interactions)._value.get() == before + 1
    new = topic_of(settings, settings.topics.interactions)
    ranges = [(pack.topic, pack.first, pack.follows) for pack in packs_of(settings)[0] if pack.rows]
    assert ranges[0] == (old, 0, NOTHING)
    assert next(each for each in ranges if each[0] == new) == (new, 0, (old, 3))
    assert len({row.event_id for row in rows_of(settings)}) == 5
    assert {made.user_id: made.event_count for made in counted(settings)} == {
        "user-1": 3,
        "user-2": 1,
        "user-3": 1,
    }


def test_a_topic_made_anew_under_a_running_worker_ends_it_and_nothing_is_skipped(settings: Settings) -> None:
    with pytest.raises(SourceRecreated, match="made anew"), running(settings) as worker:
        events(settings, 1, 2, 51)
        until("all to be covered", lambda: covered(settings) == 3)
        remake(settings, settings.topics.interactions)
        events(settings, *range(10, 20))
        until("the worker to end", lambda: not worker.ready())
    assert len(rows_of(settings)) == 3
    with running(settings):
        until("the new events", lambda: len(rows_of(settings)) == 13)
    assert sum(made.event_count for made in counted(settings)) == 13


def test_what_was_cut_unread_is_passed_over_on_demand(settings: Settings) -> None:
    with running(settings):
        events(settings, 1)
        until("the event to be covered", lambda: covered(settings) == 1)
    events(settings, 2, 3, 4, 5)
    cut(settings, 4)
    with pytest.raises(SourceTrimmed, match=r"offsets 1 to 3 .* encode\.skip_trimmed"):
        EncodeWorker(settings, make_media).run(threading.Event())
    lost = LOST_OFFSETS.labels(settings.topics.interactions)
    before = lost._value.get()
    skipping = replace(settings, encode=replace(settings.encode, skip_trimmed=True))
    with running(skipping):
        until("the rest", lambda: covered(settings) == 5)
    assert lost._value.get() == before + 3
    assert [row.offset for row in rows_of(settings)] == [0, 4]
    assert [made.user_id for made in counted(settings)] == ["user-1", "user-5"]


def test_what_was_cut_is_covered_where_no_further_event_comes(settings: Settings) -> None:
    with running(settings):
        events(settings, 1)
        until("the event to be covered", lambda: covered(settings) == 1)
    events(settings, 2, 3)
    cut(settings, 3)
    skipping = replace(settings, encode=replace(settings.encode, skip_trimmed=True))
    with running(skipping):
        until("the lost offsets", lambda: covered(settings) == 3)


def test_where_the_groups_offsets_are_gone_the_packs_tell_where_to_go_on(settings: Settings) -> None:
    with running(settings):
        events(settings, 1, 2)
        until("both to be covered", lambda: covered(settings) == 2)
    forget_group(settings)
    events(settings, 3)
    with running(settings):
        until("the third", lambda: covered(settings) == 3)
    assert len(rows_of(settings)) == 3
    forget_group(settings)
    events(settings, 4, 5)
    cut(settings, 4)
    with pytest.raises(SourceTrimmed, match="offsets 3 to 3 "):
        EncodeWorker(settings, make_media).run(threading.Event())
    skipping = replace(settings, encode=replace(settings.encode, skip_trimmed=True))
    with running(skipping):
        until("the rest", lambda: covered(settings) == 5)
    assert [row.offset for row in rows_of(settings)] == [0, 1, 2, 4]


def test_items_of_a_topic_made_anew_take_the_place_of_those_before(settings: Settings) -> None:
    names = settings.topics
    with running(settings) as worker:
        records = [(f"i{n % 2}", {"item_id": f"i{n % 2}", "title": f"old {n}"}) for n in range(6)]
        produce_json(settings, names.items, records)
        until("the items", lambda: worker.knows("i0") and worker.knows("i1"))
    remake(settings, names.items)
    produce_json(settings, names.items, [("i0", {"item_id": "i0", "title": "new", "tags": ["fresh"]})])
    with running(settings):
        until("the new item", lambda: titles(settings).get("i0") == "new")
        produce_json(settings, names.interactions, [event(0, item_id="i0"), event(1, item_id="i1")])
        until("the events", lambda: len(rows_of(settings)) == 2)
    rows = {row.item_id: row for row in rows_of(settings)}
    assert rows["i0"].topics == ("fresh",)
    assert rows["i1"].vectors
    made, _ = catalogue([])
    for message in read_all(settings, names.items_encoded):
        made.apply([((message.key() or b"").decode(), decode(message, EncodedItem))])
    assert {made.ids[row]: made.titles[row] for row in made.row_of.values()} == {"i0": "new", "i1": "old 5"}


def titles(settings: Settings) -> dict[str, str]:
    """The last one of each item in the log."""
    found = (decode(message, EncodedItem) for message in read_all(settings, settings.topics.items_encoded))
    return {item.item_id: item.title for item in found}


def test_the_last_pack_with_a_range_is_found_behind_corrections_and_odd_records(settings: Settings) -> None:
    topic = settings.topics.interactions_encoded
    assert covered_ends(settings, [0]) == {0: NOTHING}
    client = producer(settings.kafka, f"{settings.app.name}-packs")
    client.init_transactions(SECONDS)

    def write(*values: bytes, commit: bool = True) -> None:
        client.begin_transaction()
        for value in values:
            client.produce(topic, value, partition=0)
        client.flush(SECONDS)
        (client.commit_transaction if commit else client.abort_transaction)(SECONDS)

    encode = msgspec.msgpack.encode
    correction = encode(Pack(-1, -1, []))
    write(*[correction] * 3)
    assert covered_ends(settings, [0]) == {0: NOTHING}
    write(encode(Pack(0, 7, [], b"x" * 16)), encode(Pack(7, 9, [], b"x" * 16)), b"odd")
    write(*[correction] * (3 * FIRST_STEP))
    write(encode(Pack(9, 12, [], b"x" * 16)), commit=False)
    assert covered_ends(settings, [0]) == {0: (b"x" * 16, 9)}
    write(encode([9, 10, []]))
    assert covered_ends(settings, [0]) == {0: (NO_TOPIC, 10)}
