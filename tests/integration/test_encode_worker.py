"""The encode worker on a real Kafka: what it writes, and that a kill loses and doubles nothing."""

import base64
import json
import random
import threading
import time
from contextlib import ExitStack
from pathlib import Path

import msgspec
import numpy as np
import pytest
from media import picture
from msgspec.structs import replace

from state.events import RowKind
from state.items import EncodedItem
from streams.encode.media import EncodedMedia, Found, MediaEncoder
from streams.encode.vectors import from_wire
from streams.encode.worker import EncodeWorker
from streams.errors import SourceTrimmed, TopicError
from streams.kafka import TopicPartition, admin_client, producer
from streams.settings import Settings
from tests.encode_child import make_media
from tests.encode_harness import (
    SECONDS,
    child,
    covered,
    decode,
    event,
    packs_of,
    progress,
    rows_of,
    running,
    until,
)
from tests.integration.conftest import produce_json, read_all


def test_events_items_and_odd_input(settings: Settings) -> None:
    names = settings.topics
    produce_json(settings, names.items, [("i1", {"item_id": "i1", "title": "A cat", "tags": ["cats"]})])
    with running(settings) as worker:
        until("the item to be encoded", lambda: len(read_all(settings, names.items_encoded)) == 1)
        until("the item to be known", lambda: worker.knows("i1"))
        odd = [("user-1", b"not json"), event(1, action="stare"), ("someone", event(2)[1])]
        produce_json(settings, names.interactions, [event(0, item_id="i1", text=None), *odd, event(3)])
        until("all to be covered", lambda: covered(settings) == 5)
    rows = {row.event_id: row for row in rows_of(settings)}
    assert set(rows) == {"e0", "e3"}
    assert rows["e0"].topics == ("cats",)
    assert list(rows["e0"].vectors) == [0]
    letters = {
        message.value(): dict(message.headers() or []) for message in read_all(settings, names.dead_letters)
    }
    assert {value: headers["error_class"] for value, headers in letters.items()} == {
        b"not json": b"not_json",
        json.dumps(event(1, action="stare")[1]).encode(): b"unknown_action",
        json.dumps(event(2)[1]).encode(): b"key_mismatch",
    }
    headers = letters[b"not json"]
    assert headers["topic"] == names.interactions.encode()
    assert headers["stage"] == b"encode"
    assert {"partition", "offset", "message", "time"} <= set(headers)


def test_events_that_come_in_a_pause_share_a_transaction(settings: Settings) -> None:
    count, slowness = 30, 0.2
    paced = replace(settings, encode=replace(settings.encode, interval_ms=4_000))

    def slow(settings: Settings, folder: Path, stack: ExitStack) -> MediaEncoder:
        media = make_media(settings, folder, stack)
        encode_found = media.encode_found

        def encode(found: Found) -> EncodedMedia:
            time.sleep(slowness)
            return encode_found(found)

        media.encode_found = encode  # type: ignore[method-assign]
        return media

    client = producer(settings.kafka, overrides={"linger.ms": 0})
    with running(paced, slow):
        began = time.monotonic()
        for number in range(count):
            user, value = event(0, event_id=f"e{number}")
            client.produce(settings.topics.interactions, json.dumps(value), user)
            assert client.flush(SECONDS) == 0
            time.sleep(0.04)
        until("all to be covered", lambda: covered(settings) == count)
        seconds = time.monotonic() - began
    (packs,) = packs_of(settings).values()
    assert [row.event_id for pack in packs for row in pack.rows] == [f"e{number}" for number in range(count)]
    assert len(packs) <= 2 + seconds / (3 * slowness)


def test_an_item_that_comes_late_amends_its_events(settings: Settings) -> None:
    names = settings.topics
    with running(settings):
        produce_json(settings, names.interactions, [event(0, item_id="late", text=None)])
        until("the event to be covered", lambda: covered(settings) == 1)
        produce_json(settings, names.items, [("late", {"item_id": "late", "title": "A dog"})])
        until("the correction", lambda: len(rows_of(settings)) == 2)
    for partition, packs in packs_of(settings).items():
        original, amended = (row for pack in packs for row in pack.rows)
        assert partition == packs_partition(settings, "user-0")
        assert original.masked[0] == "unknown_item"
        assert (amended.kind, amended.event_id, amended.sequence) == (RowKind.AMEND, "e0", 1)
        assert list(amended.vectors) == [0]


def test_what_a_killed_worker_waited_for_is_not_forgotten(settings: Settings) -> None:
    names = settings.topics
    with child(settings):
        produce_json(settings, names.interactions, [event(0, item_id="late", text=None)])
        until("the event to be covered", lambda: covered(settings) == 1)
    produce_json(settings, names.items, [("late", {"item_id": "late", "title": "A dog"})])
    with running(settings):
        until("the correction", lambda: len(rows_of(settings)) == 2)
    amended = rows_of(settings)[1]
    assert (amended.kind, amended.event_id, amended.sequence) == (RowKind.AMEND, "e0", 1)
    assert list(amended.vectors) == [0]


def packs_partition(settings: Settings, key: str) -> int:
    """The partition that the raw record of the key is in."""
    (partition,) = {
        m.partition() for m in read_all(settings, settings.topics.interactions) if m.key() == key.encode()
    }
    return partition or 0


def test_a_withdrawn_item_leaves_a_mark_and_a_null(settings: Settings) -> None:
    names = settings.topics
    with running(settings) as worker:
        produce_json(settings, names.items, [("i1", {"item_id": "i1", "title": "A cat"})])
        until("the item to be known", lambda: worker.knows("i1"))
        produce_json(settings, names.items, [("i1", None)])
        until("the withdrawal", lambda: not worker.knows("i1"))
    items = [decode(message, EncodedItem) for message in read_all(settings, names.items_encoded)]
    assert [item and item.withdrawn for item in items] == [False, True, None]


def test_records_as_large_as_kafka_takes(settings: Settings) -> None:
    """Kafka's limit of 1,048,588 bytes holds for the dead letter too, whose headers come on top."""
    names = settings.topics
    bomb = b"[" * 1_000_000
    with running(settings):
        produce_json(
            settings, names.interactions, [("user-1", b"x" * 999_000), ("user-1", bomb[:999_900]), event(1)]
        )
        until("all to be covered", lambda: covered(settings) == 3)
    letters = read_all(settings, names.dead_letters)
    assert [len(message.value() or b"") for message in letters] == [999_000, 999_900]


def test_killed_again_and_again_under_load(settings: Settings) -> None:
    """Every raw offset is covered exactly once for a read_committed reader, whenever the worker dies."""
    names = settings.topics
    stop = threading.Event()
    sent = 0

    def feed() -> None:
        nonlocal sent
        while not stop.is_set():
            batch = [event(number, item_id=f"i{number % 20}") for number in range(sent, sent + 20)]
            produce_json(settings, names.interactions, batch)
            sent += 20
            stop.wait(0.05)

    feeder = threading.Thread(target=feed, daemon=True)
    feeder.start()
    chance = random.Random(7)
    for _ in range(3):
        with child(settings):
            progress(settings)
            stop.wait(chance.uniform(0.0, 0.3))
    stop.set()
    feeder.join(SECONDS)
    with child(settings) as worker:
        worker.wait_ready()
        until("all to be covered", lambda: covered(settings) == sent)
        assert worker.terminate() == 0
    assert sorted(int(row.event_id[1:]) for row in rows_of(settings)) == list(range(sent))


@pytest.mark.soak
def test_workers_come_and_go_under_load(settings: Settings) -> None:
    names = settings.topics
    total = 1_500
    done = threading.Event()

    def feed() -> None:
        for start in range(0, total, 50):
            produce_json(settings, names.interactions, [event(n) for n in range(start, start + 50)])
            done.wait(0.1)

    feeder = threading.Thread(target=feed, daemon=True)
    with child(settings) as first:
        first.wait_ready()
        feeder.start()
        with child(settings) as second:
            second.wait_ready()
            progress(settings)
            assert second.terminate() == 0
        feeder.join(SECONDS)
        until("all to be covered", lambda: covered(settings) == total)
        assert first.terminate() == 0
    assert len({row.event_id for row in rows_of(settings)}) == len(rows_of(settings)) == total


def test_a_trimmed_source_is_told(settings: Settings) -> None:
    names = settings.topics
    with running(settings):
        produce_json(settings, names.interactions, [event(0)])
        until("the event to be covered", lambda: covered(settings) == 1)
    partition = packs_partition(settings, "user-0")
    produce_json(settings, names.interactions, [event(50), event(100)])
    admin = admin_client(settings.kafka)
    place = TopicPartition(names.interactions, partition, 2)
    for future in admin.delete_records([place]).values():
        future.result(SECONDS)
    with pytest.raises(SourceTrimmed, match="were cut before they were read"):
        EncodeWorker(settings, make_media).run(threading.Event())


def test_missing_topics_are_named(settings: Settings) -> None:
    names = msgspec.structs.replace(settings.topics, items_encoded="no-such-topic")
    worker = EncodeWorker(msgspec.structs.replace(settings, topics=names), make_media)
    with pytest.raises(TopicError, match="no-such-topic"):
        worker.run(threading.Event())


@pytest.mark.timeout(240)
def test_the_configured_encoders_serve(settings: Settings, tmp_path: Path) -> None:
    """Real models, a real picture, and one that is cut off; the vectors outlive the worker in its cache."""
    names = settings.topics
    red = data_uri(picture(tmp_path / "red.png").read_bytes())
    cut = data_uri(picture(tmp_path / "cut.png").read_bytes()[:60])
    item = {"item_id": "i1", "title": "A red circle", "media": [{"modality": "image", "uri": red}]}
    produce_json(settings, names.items, [("i1", item)])
    events = [
        event(0, text="a red circle", action="search"),
        event(1, text=None, media=[{"uri": red}]),
        event(2, text=None, media=[{"modality": "image", "uri": cut}]),
        event(3, text=None, item_id="i1"),
    ]
    produce_json(settings, names.interactions, events)
    with running(settings, make_media=None):
        until("all to be covered", lambda: covered(settings) == len(events))
        until(
            "the item to be known",
            lambda: len({r.event_id for r in rows_of(settings) if 1 in r.vectors}) == 2,
        )
    rows = {row.event_id: row for row in rows_of(settings)}
    assert set(rows["e0"].vectors) == {0}
    assert set(rows["e1"].vectors) == {1}
    assert rows["e1"].vectors[1] == rows["e3"].vectors[1]
    assert set(rows["e3"].vectors) == {0, 1}
    assert (rows["e2"].vectors, rows["e2"].masked) == ({}, {1: "broken"})
    for row in rows.values():
        for vector in row.vectors.values():
            assert np.linalg.norm(from_wire(vector)) == pytest.approx(1.0, abs=1e-2)
    assert any((tmp_path / "encode" / "0" / "vectors").iterdir())


def data_uri(content: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(content).decode()
