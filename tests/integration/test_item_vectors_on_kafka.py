"""The catalogue's vectors on a real Kafka: each item once, and what is withdrawn goes."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec
from msgspec.structs import replace

from streams.item_vectors.worker import ItemVectorsWorker
from streams.kafka import producer
from streams.records import ItemVector
from streams.settings import Settings
from streams.topics import create_topics
from tests.encode_harness import SECONDS, until
from tests.integration.conftest import read_all
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
