"""The catalogue's vectors on a real Kafka: each item once, and what is withdrawn goes."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from streams.broker import LocalCluster
from streams.item_vectors.worker import ItemVectorsWorker
from streams.kafka import admin_client, producer
from streams.models import live
from streams.models.artifacts import add_artifact
from streams.models.board import POINTER, Entry, Pointer, artifacts_topic, models_topic, turned_key
from streams.models.control import write
from streams.records import ItemVector
from streams.settings import Settings
from streams.topics import create_topics, make_topics
from tests.encode_harness import SECONDS, until
from tests.integration.conftest import fresh_settings, read_all
from tests.models_world import saved
from tests.tastes import item


@contextmanager
def publishing(settings: Settings) -> Iterator[None]:
    worker, stop = ItemVectorsWorker(settings), threading.Event()
    thread = threading.Thread(target=worker.run, args=(stop,), daemon=True)
    thread.start()
    try:
        until("the worker to be ready", lambda: worker.ready() or not thread.is_alive())
        yield
    finally:
        stop.set()
        thread.join(SECONDS)
    assert not thread.is_alive()


def put(settings: Settings, *values: tuple[str, bytes | None]) -> None:
    client = producer(settings.kafka)
    for item_id, value in values:
        client.produce(settings.topics.items_encoded, value, item_id.encode())
    assert client.flush(SECONDS) == 0


def test_items_come_once_and_withdrawn_ones_are_null(settings: Settings) -> None:
    wanted = replace(settings, interests=replace(settings.interests, item_vectors=True))
    create_topics(wanted)
    topic = wanted.topics.item_vectors
    put(wanted, *((f"item-{number}", msgspec.msgpack.encode(item(number))) for number in range(20)))
    with publishing(wanted):
        until("all items", lambda: len(read_all(wanted, topic)) == 20)
    put(wanted, ("item-3", None))
    with publishing(wanted):
        until("the withdrawal", lambda: len(read_all(wanted, topic)) == 21)
    told = {message.key(): message.value() for message in read_all(wanted, topic)}
    assert told.pop(b"item-3") is None
    vectors = {msgspec.json.decode(value or b"", type=ItemVector).item_id for value in told.values()}
    assert vectors == {f"item-{number}" for number in range(20)} - {"item-3"}


def serve(settings: Settings, generation: int, live: Entry, former: Entry | None = None) -> None:
    """As the board has it when all partitions have gone over."""
    pointer = Pointer(generation, live.fingerprint, None if former is None else former.fingerprint)
    records = {turned_key(generation, 0): b"{}", POINTER: msgspec.json.encode(pointer)}
    write(settings, models_topic(settings), records)


def told(settings: Settings) -> dict[str, str]:
    """Of each item, the model that the latest vector is of."""
    latest: dict[str, str] = {}
    for message in read_all(settings, settings.topics.item_vectors):
        vector = msgspec.json.decode(message.value() or b"", type=ItemVector)
        latest[vector.item_id] = vector.model
    return latest


def test_vectors_follow_the_model_that_serves_and_back_again(kafka: LocalCluster, tmp_path: Path) -> None:
    """Those who index the vectors compare them with interests, which are of the model that serves."""
    base = fresh_settings(kafka.bootstrap_servers, tmp_path / "data", partitions=1)
    settings = replace(base, interests=replace(base.interests, item_vectors=True))
    create_topics(settings)
    topics = [(models_topic(settings), 1), (artifacts_topic(settings), 1)]
    make_topics(settings, admin_client(settings.kafka), topics, changelog=False)
    put(settings, *((f"item-{number}", msgspec.msgpack.encode(item(number))) for number in range(5)))
    with publishing(settings):
        names = {f"item-{number}" for number in range(5)}
        until("the settings' model", lambda: told(settings) == dict.fromkeys(names, "content-prior-1"))
        first = add_artifact(settings, "", first=True)
        other = add_artifact(settings, saved(tmp_path / "model"))
        serve(settings, 0, first)
        serve(settings, 1, other, first)
        until("the other model", lambda: told(settings) == dict.fromkeys(names, "other-1"))
        put(settings, ("item-5", msgspec.msgpack.encode(item(5))))
        names.add("item-5")
        until("a new item", lambda: told(settings) == dict.fromkeys(names, "other-1"))
        serve(settings, 2, first, other)
        until("the first one again", lambda: told(settings) == dict.fromkeys(names, "content-prior-1"))
    # The settings' model is no other one when it gets its entry: nothing was written again for that.
    assert len(read_all(settings, settings.topics.item_vectors)) == 5 + 5 + 1 + 6


def test_no_vector_of_a_model_goes_out_once_another_one_serves(
    kafka: LocalCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker may look late at what serves; by then another worker has written the item's new vector."""
    monkeypatch.setattr(live, "LOOK_SECONDS", 3_600.0)
    base = fresh_settings(kafka.bootstrap_servers, tmp_path / "data", partitions=1)
    settings = replace(base, interests=replace(base.interests, item_vectors=True))
    create_topics(settings)
    topics = [(models_topic(settings), 1), (artifacts_topic(settings), 1)]
    make_topics(settings, admin_client(settings.kafka), topics, changelog=False)
    put(settings, ("item-0", msgspec.msgpack.encode(item(0))))
    with publishing(settings):
        until("the settings' model", lambda: told(settings) == {"item-0": "content-prior-1"})
        first = add_artifact(settings, "", first=True)
        serve(settings, 1, add_artifact(settings, saved(tmp_path / "model")), first)
        put(settings, ("item-1", msgspec.msgpack.encode(item(1))))
        until("the new item", lambda: "item-1" in told(settings))
        assert told(settings)["item-1"] == "other-1"
        until("the item before", lambda: told(settings)["item-0"] == "other-1")
