"""The events: the same ones for every engine, in the form that it reads, at once or at an even pace."""

import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Literal

import msgspec
import numpy as np

from state.events import ACTIONS, Pack, Row
from state.items import EncodedItem
from streams import kafka
from streams.partitioning import partition_of
from streams.settings import Settings
from tests.bench.engines.full import catalogue_items
from tests.bench.engines.job import WorkName
from tests.bench.engines.small import ITEMS, Event

Form = Literal["json", "rows", "packs"]
"""JSON events and single encoded rows lie in the raw topic, keyed by user; packs in the topic of packs."""

EVENT_BYTES = 190
_PACK_ROWS = 64
_ACTIONS = ("click", "view", "like", "purchase")
_ID = "{:013d}-{:022d}"
_encode_json = msgspec.json.Encoder().encode
_encode_msgpack = msgspec.msgpack.Encoder().encode


@dataclass(frozen=True, slots=True)
class Plan:
    """What is fed. Users are drawn with weights 1 / rank^.9, or each comes once, one after the other."""

    work: WorkName
    form: Form
    users: int = 5_000
    in_turn: bool = False
    seed: int = 1


class Feed:
    """Writes events by their numbers; an event's number tells its user, item and action."""

    def __init__(self, settings: Settings, plan: Plan, events: int) -> None:
        self._topics = settings.topics
        self._plan = plan
        random = np.random.default_rng(plan.seed)
        weights = 1.0 / np.arange(1, plan.users + 1) ** 0.9
        drawn = random.choice(plan.users, events, p=weights / weights.sum())
        self.users: list[int] = (np.arange(events) % plan.users if plan.in_turn else drawn).tolist()
        self.items: list[int] = random.integers(0, ITEMS, events).tolist()
        self._raw = [0] * settings.topics.partitions
        self._rows = _row_maker(plan.work)
        bare = _encode_json(Event("", user_name(0), "i000000", "click", 1_700_000_000_000))
        # The full work names its events in its outputs: there they have the length of a UUID.
        self._padding = "x" * (EVENT_BYTES - len(bare) - 36) if plan.work == "small" else ""
        self._producer = kafka.producer(settings.kafka, overrides={"linger.ms": 1})

    def write(self, first: int, end: int, now_ms: int) -> None:
        """Events of the numbers [first, end), all of this moment."""
        if self._plan.form == "packs":
            self._write_packs(first, end, now_ms)
            return
        make = self._json if self._plan.form == "json" else self._row
        for number in range(first, end):
            user = user_name(self.users[number])
            self._send(self._topics.interactions, make(number, user, now_ms), user)

    def flush(self) -> None:
        assert self._producer.flush(60) == 0

    def pace(self, rate: float, seconds: float, pause: float) -> None:
        """`rate` events a second, those due every `pause` seconds together."""
        began, sent = time.monotonic(), 0
        while sent < len(self.users):
            elapsed = time.monotonic() - began
            if elapsed > seconds:
                break
            due = min(int(elapsed * rate), len(self.users))
            if due > sent:
                self.write(sent, due, time.time_ns() // 1_000_000)
                sent = due
                self._producer.poll(0)
            time.sleep(max(0.0, pause - (time.monotonic() - began - elapsed)))
        self.flush()

    def continue_from(self, raw: list[int]) -> None:
        """Go on where another feed of packs has ended."""
        self._raw = list(raw)

    @property
    def raw(self) -> list[int]:
        """Raw offset that comes next, by partition, of a feed of packs."""
        return list(self._raw)

    def _json(self, number: int, user: str, now_ms: int) -> bytes:
        name = _ID.format(now_ms, number) + self._padding
        action = _ACTIONS[number & 3]
        return _encode_json(Event(name, user, f"i{self.items[number]:06d}", action, now_ms))

    def _row(self, number: int, user: str, now_ms: int) -> bytes:
        return _encode_msgpack(self._made_row(number, user, number, now_ms))

    def _made_row(self, number: int, user: str, offset: int, now_ms: int) -> Row:
        name = _ID.format(now_ms, number) + self._padding
        row = Row(user, name, ACTIONS.index(_ACTIONS[number & 3]), now_ms, offset, now_ms)
        return self._rows(row, self.items[number])

    def _write_packs(self, first: int, end: int, now_ms: int) -> None:
        parts: dict[int, list[Row]] = defaultdict(list)
        for number in range(first, end):
            user = user_name(self.users[number])
            partition = _partition(user, len(self._raw))
            row = self._made_row(number, user, self._raw[partition], now_ms)
            self._raw[partition] += 1
            parts[partition].append(row)
            if len(parts[partition]) == _PACK_ROWS:
                self._send_pack(partition, parts.pop(partition))
        for partition, rows in parts.items():
            self._send_pack(partition, rows)

    def _send_pack(self, partition: int, rows: list[Row]) -> None:
        pack = Pack(rows[0].offset, rows[-1].offset + 1, rows)
        self._send(self._topics.interactions_encoded, _encode_msgpack(pack), None, partition)

    def _send(self, topic: str, value: bytes, key: str | None, partition: int | None = None) -> None:
        rest = {} if partition is None else {"partition": partition}
        while True:
            try:
                self._producer.produce(topic, value, key, **rest)
                return
            except BufferError:
                self._producer.poll(0.05)


def user_name(number: int) -> str:
    return f"u{number:07d}"


@cache
def _partition(user: str, partitions: int) -> int:
    """Where the encode worker writes them: outputs of a pack go to one partition of each topic then."""
    return partition_of(user.encode(), partitions)


def load_catalogue(settings: Settings) -> None:
    """Encoded items, as the encode worker would have written them."""
    producer = kafka.producer(settings.kafka)
    for item in catalogue_items():
        producer.produce(settings.topics.items_encoded, _encode_msgpack(item), item.item_id)
    assert producer.flush(30) == 0


def _row_maker(work: WorkName) -> Callable[[Row, int], Row]:
    """Fills in what a row has of its item: its name and, in the full work, all that is encoded."""
    items: list[EncodedItem] = catalogue_items() if work == "full" else []

    def fill(row: Row, item: int) -> Row:
        row.item_id = f"i{item:06d}"
        if items:
            row.vectors = items[item].vectors
            row.topics = items[item].topics
        return row

    return fill
