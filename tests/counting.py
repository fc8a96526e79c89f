"""A small processor for the engine's tests: counts per user, and a digest that knows order and doubles."""

import hashlib
import struct
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from state.store import Store
from streams.engine.processor import KIND_HELD, NO_TOPIC, Effects, Output, RawEnd, SourceBatch, Work

TOPIC = "out"
KIND_USER = b"u"

_STATE = struct.Struct("<qq16s")
_DUE = struct.Struct("<q")


class Event(msgspec.Struct, array_like=True, gc=False):
    user: str
    offset: int
    amount: int = 1


class Batch(msgspec.Struct, array_like=True):
    first: int
    end: int
    rows: list[Event]
    topic: bytes = NO_TOPIC
    follows: RawEnd | None = None


encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Batch).decode


def pack(
    first: int,
    rows: Iterable[tuple[str, int]] | Sequence[str],
    end: int | None = None,
    topic: bytes = NO_TOPIC,
    follows: RawEnd | None = None,
) -> bytes:
    """A record that covers [first, end); users alone take the offsets from `first` on."""
    events = [
        Event(row, first + index) if isinstance(row, str) else Event(*row) for index, row in enumerate(rows)
    ]
    return encode(Batch(first, first + len(events) if end is None else end, events, topic, follows))


def correction(*users: str) -> bytes:
    return encode(Batch(-1, -1, [Event(user, -1) for user in users]))


def fold(state: bytes | None, event: Event) -> bytes:
    """The reference: count, sum and a chain over all that was applied, in order."""
    count, total, chain = _STATE.unpack(state) if state else (0, 0, bytes(16))
    seed = chain + f"{event.user}/{event.offset}/{event.amount}".encode()
    return _STATE.pack(count + 1, total + event.amount, hashlib.blake2b(seed, digest_size=16).digest())


def count_of(state: bytes) -> int:
    return int(_STATE.unpack(state)[0])


class CountingProcessor:
    """Where `hold_ms` is set, an output waits as a record of the state until so long after its event."""

    def __init__(self, topic: str = TOPIC, hold_ms: int = 0) -> None:
        self._topic = topic
        self._hold_ms = hold_ms
        self._held: dict[int, dict[bytes, int]] = defaultdict(dict)
        self.batches: list[dict[int, int]] = []
        self.next_raw: dict[int, int] = {}
        self.raw_topics: dict[int, bytes] = {}

    def decode(self, value: bytes) -> SourceBatch[Event]:
        batch = _decode(value)
        offsets = [row.offset for row in batch.rows]
        return SourceBatch(batch.first, batch.end, batch.rows, offsets, batch.topic, batch.follows)

    def keys(self, work: Work[Event]) -> Iterable[bytes]:
        yield from (KIND_USER + row.user.encode() for row in work.rows)
        yield from (KIND_USER + key[1:] for key in work.due)

    def apply(
        self,
        work: Mapping[int, Work[Event]],
        stored: Mapping[int, Mapping[bytes, bytes | None]],
        clock_ms: int,
    ) -> dict[int, Effects]:
        self.batches.append({number: len(each.rows) for number, each in work.items()})
        self.next_raw.update({number: each.next_raw for number, each in work.items()})
        self.raw_topics.update({number: each.raw_topic for number, each in work.items()})
        return {number: self._apply(number, each, stored[number], clock_ms) for number, each in work.items()}

    def opened(self, partition: int, store: Store) -> None:
        self._held[partition] = {key: _DUE.unpack(value)[0] for key, value in store.scan(KIND_HELD)}

    def closed(self, partition: int) -> None:
        del self._held[partition]

    def due(self, partition: int, clock_ms: int) -> list[bytes]:
        return [key for key, when in self._held[partition].items() if when <= clock_ms]

    def _apply(
        self, number: int, work: Work[Event], stored: Mapping[bytes, bytes | None], clock_ms: int
    ) -> Effects:
        effects = Effects(counts=defaultdict(int, applied=len(work.rows)))  # type: ignore[arg-type]
        states = dict(stored)
        for row in work.rows:
            key = KIND_USER + row.user.encode()
            states[key] = effects.puts[key] = fold(states[key], row)
            if self._hold_ms:
                held = KIND_HELD + row.user.encode()
                self._held[number][held] = clock_ms + self._hold_ms
                effects.puts[held] = _DUE.pack(clock_ms + self._hold_ms)
            else:
                effects.outputs.append(self._output(row.user.encode(), states[key]))
        for held in work.due:
            effects.puts[held] = None
            self._held[number].pop(held)
            effects.outputs.append(self._output(held[1:], states[KIND_USER + held[1:]]))
        return effects

    def _output(self, user: bytes, state: bytes | None) -> Output:
        return Output(self._topic, user, state)
