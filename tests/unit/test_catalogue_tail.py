"""The tail of the catalogue against a consumer that says what a broker would say."""

import queue
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from state.catalogue import Catalogue
from state.items import EncodedItem
from state.trending import ItemDelta, add, encode_signal
from streams import kafka
from streams.errors import EngineError, TopicError
from streams.interests import catalogue_tail
from streams.interests.catalogue_tail import CatalogueTail
from streams.settings import Settings
from tests.tastes import START, catalogue, item

SETTINGS = Settings()
ITEMS = SETTINGS.topics.items_encoded
SIGNALS = SETTINGS.topics.item_signals
SECONDS = 20.0
HOUR = 3_600_000


class Message:
    def __init__(self, place: tuple[str, int], offset: int, **fields: Any) -> None:
        self._place, self._offset, self._fields = place, offset, fields

    def topic(self) -> str:
        return self._place[0]

    def partition(self) -> int:
        return self._place[1]

    def offset(self) -> int:
        return self._offset

    def key(self) -> bytes | None:
        return self._fields.get("key")

    def value(self) -> bytes | None:
        return self._fields.get("value")

    def error(self) -> kafka.KafkaError | None:
        return self._fields.get("error")


def written(offset: int, made: EncodedItem | None, key: str | None = None, partition: int = 0) -> Message:
    value = None if made is None else msgspec.msgpack.encode(made)
    name = key if made is None else made.item_id
    return Message((ITEMS, partition), offset, key=(name or "").encode(), value=value)


def ended(topic: str, offset: int, partition: int = 0) -> Message:
    return Message((topic, partition), offset, error=kafka.KafkaError(kafka.KafkaError._PARTITION_EOF))


class Consumer:
    """Hands out batches in order; watermarks are (first, end) by topic and partition."""

    def __init__(self, watermarks: dict[tuple[str, int], tuple[int, int]]) -> None:
        self.watermarks = watermarks
        self.batches: queue.Queue[list[Message] | Exception] = queue.Queue()
        self.assigned: list[tuple[str, int, int]] = []
        self.unreachable = 0
        self.closed = False

    def list_topics(self, topic: str, timeout: float) -> Any:
        if self.unreachable:
            self.unreachable -= 1
            raise kafka.KafkaException(kafka.KafkaError(kafka.KafkaError._TRANSPORT))
        numbers = {number: None for name, number in self.watermarks if name == topic}
        found = SimpleNamespace(error=None, partitions=numbers)
        return SimpleNamespace(topics={topic: found} if numbers else {})

    def get_watermark_offsets(self, partition: Any, timeout: float) -> tuple[int, int]:
        return self.watermarks[partition.topic, partition.partition]

    def incremental_assign(self, partitions: list[Any]) -> None:
        self.assigned += [(made.topic, made.partition, made.offset) for made in partitions]

    def consume(self, count: int, timeout: float) -> list[Message]:
        try:
            batch = self.batches.get(timeout=0.01)
        except queue.Empty:
            return []
        if isinstance(batch, Exception):
            raise batch
        return batch

    def close(self) -> None:
        self.closed = True


@contextmanager
def tailing(consumer: Consumer) -> Iterator[tuple[CatalogueTail, Catalogue]]:
    made, _ = catalogue([])
    opened: Callable[[], Any] = lambda: consumer  # noqa: E731
    tail = CatalogueTail(SETTINGS, made, opened)
    tail.start()
    try:
        yield tail, made
    finally:
        assert tail.stop(SECONDS)
        assert consumer.closed


def test_it_reads_all_partitions_from_their_beginning() -> None:
    consumer = Consumer({(ITEMS, 0): (0, 0), (ITEMS, 1): (3, 3), (SIGNALS, 0): (0, 0)})
    with tailing(consumer) as (tail, _):
        assert tail.wait(SECONDS)
    start = kafka.OFFSET_BEGINNING
    assert consumer.assigned == [(ITEMS, 0, start), (ITEMS, 1, start), (SIGNALS, 0, start)]


def test_it_is_caught_up_when_every_end_seen_at_the_start_is_reached() -> None:
    consumer = Consumer({(ITEMS, 0): (0, 3), (ITEMS, 1): (0, 2), (SIGNALS, 0): (0, 1)})
    with tailing(consumer) as (tail, made):
        consumer.batches.put([written(0, item(0)), written(2, item(1))])
        assert not tail.wait(0.1)
        consumer.batches.put([written(0, item(2), partition=1)])
        assert not tail.wait(0.1)
        consumer.batches.put([ended(ITEMS, 2, 1), ended(SIGNALS, 1)])
        assert tail.wait(SECONDS)
        assert sorted(made.row_of) == ["item-0", "item-1", "item-2"]


def test_a_withdrawal_and_its_null_take_the_item_away() -> None:
    consumer = Consumer({(ITEMS, 0): (0, 4), (SIGNALS, 0): (0, 0)})
    with tailing(consumer) as (tail, made):
        gone = EncodedItem("item-0", 0, 9, withdrawn=True)
        consumer.batches.put([written(0, item(0)), written(1, item(1))])
        consumer.batches.put([written(2, gone), written(3, None, "item-0")])
        assert tail.wait(SECONDS)
        assert list(made.row_of) == ["item-1"]


def test_signals_become_demand() -> None:
    consumer = Consumer({(ITEMS, 0): (0, 1), (SIGNALS, 0): (0, 1)})
    signal = add(None, ItemDelta("item-0", START, {0: 4}), 24.0 * HOUR)
    with tailing(consumer) as (tail, made):
        consumer.batches.put(
            [written(0, item(0)), Message((SIGNALS, 0), 0, key=b"item-0", value=encode_signal(signal))]
        )
        assert tail.wait(SECONDS)
        assert made.columns.heights[made.row_of["item-0"]] == pytest.approx(2.0 + START / (24 * HOUR))


@pytest.mark.parametrize("value", [b"", b"\xc1", b"[]", b"\x80"])
def test_a_record_that_cannot_be_read_is_passed_over(value: bytes) -> None:
    consumer = Consumer({(ITEMS, 0): (0, 2), (SIGNALS, 0): (0, 1)})
    with tailing(consumer) as (tail, made):
        odd = Message((ITEMS, 0), 0, key=b"odd", value=value)
        odd_signal = Message((SIGNALS, 0), 0, key=b"odd", value=value)
        consumer.batches.put([odd, odd_signal, written(1, item(1))])
        assert tail.wait(SECONDS)
        assert list(made.row_of) == ["item-1"]


def test_a_broker_that_is_away_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue_tail, "MISSING_SECONDS", 0.0)
    monkeypatch.setattr(catalogue_tail, "POLL_SECONDS", 0.01)
    consumer = Consumer({(ITEMS, 0): (0, 1), (SIGNALS, 0): (0, 0)})
    consumer.unreachable = 7
    away = kafka.KafkaError(kafka.KafkaError._ALL_BROKERS_DOWN)
    with tailing(consumer) as (tail, _):
        consumer.batches.put([Message(("", 0), 0, error=away)])
        consumer.batches.put([written(0, item(0))])
        assert tail.wait(SECONDS)


def test_a_missing_topic_is_an_error_that_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue_tail, "MISSING_SECONDS", 0.0)
    monkeypatch.setattr(catalogue_tail, "POLL_SECONDS", 0.01)
    with tailing(Consumer({(ITEMS, 0): (0, 0)})) as (tail, _):
        with pytest.raises(TopicError, match=f"missing: {SIGNALS}; run `penchant topics create`"):
            tail.wait(SECONDS)
        assert not tail.caught_up.is_set()


def test_a_topic_that_goes_away_ends_the_tail() -> None:
    consumer = Consumer({(ITEMS, 0): (0, 1), (SIGNALS, 0): (0, 0)})
    with tailing(consumer) as (tail, _):
        gone = kafka.KafkaError(kafka.KafkaError.UNKNOWN_TOPIC_OR_PART)
        consumer.batches.put([Message((ITEMS, 0), 0, error=gone)])
        with pytest.raises(TopicError, match="cannot be read"):
            tail.wait(SECONDS)


def test_an_unforeseen_failure_is_raised_to_who_asks() -> None:
    consumer = Consumer({(ITEMS, 0): (0, 0), (SIGNALS, 0): (0, 0)})
    with tailing(consumer) as (tail, _):
        assert tail.wait(SECONDS)
        tail.check()
        consumer.batches.put(MemoryError("no room"))
        tail._thread.join(SECONDS)
        with pytest.raises(EngineError, match="no room"):
            tail.check()


def test_new_partitions_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue_tail, "WIDEN_SECONDS", 0.0)
    consumer = Consumer({(ITEMS, 0): (0, 0), (SIGNALS, 0): (0, 0)})
    with tailing(consumer) as (tail, made):
        assert tail.wait(SECONDS)
        consumer.watermarks[ITEMS, 1] = (0, 5)
        consumer.batches.put([written(0, item(0))])
        consumer.batches.put([written(0, item(1), partition=1)])
        deadline = catalogue_tail.time.monotonic() + SECONDS
        while len(made) < 2 or len(consumer.assigned) < 3:
            assert catalogue_tail.time.monotonic() < deadline
            tail._stopped.wait(0.01)
        assert tail.caught_up.is_set()
    assert (ITEMS, 1, kafka.OFFSET_BEGINNING) in consumer.assigned
