"""The demand for items: a second instance of the state engine, from `item-deltas` to `item-signals`."""

from collections.abc import Iterable, Mapping

import msgspec

from state.catalogue import Demand
from state.errors import UNREADABLE, StateError
from state.store import Store
from state.strategies.following import Followers, Memory
from state.trending import ItemDelta, ItemSignal, add, decode_signal, encode_signal, height, height_of
from streams.engine.processor import Effects, Output, SourceBatch, Work
from streams.errors import EngineError, RecordError
from streams.settings import Settings

KIND_SIGNAL = b"c"
_HOUR_MS = 3_600_000.0
_DAY_MS = 86_400_000.0


class SignalsProcessor:
    """Keeps a decayed count per item and what follows upon it, and publishes each one that changed, once per
    micro-batch."""

    def __init__(self, settings: Settings) -> None:
        self._topic = settings.topics.item_signals
        self._half_life_ms = half_life_ms(settings)
        self._memory = memory_of(settings)
        self._decoder = msgspec.msgpack.Decoder(ItemDelta)

    def decode(self, value: bytes) -> SourceBatch[ItemDelta]:
        """Raises RecordError for bytes that are no delta."""
        try:
            return SourceBatch(-1, -1, [self._decoder.decode(value)], [-1])
        except UNREADABLE as error:
            raise RecordError("not_a_delta", str(error)) from error

    def keys(self, work: Work[ItemDelta]) -> Iterable[bytes]:
        return [KIND_SIGNAL + item_id.encode() for item_id in {delta.item_id: None for delta in work.rows}]

    def apply(
        self,
        work: Mapping[int, Work[ItemDelta]],
        stored: Mapping[int, Mapping[bytes, bytes | None]],
        clock_ms: int,
    ) -> dict[int, Effects]:
        try:
            return {
                partition: self._effects(part.rows, stored[partition]) for partition, part in work.items()
            }
        except StateError as error:
            raise EngineError(str(error)) from error

    def opened(self, partition: int, store: Store) -> None:
        """Nothing is held back here."""

    def closed(self, partition: int) -> None:
        """Nothing is kept per partition here."""

    def due(self, partition: int, clock_ms: int) -> list[bytes]:
        return []

    def _effects(self, deltas: Iterable[ItemDelta], stored: Mapping[bytes, bytes | None]) -> Effects:
        signals: dict[bytes, ItemSignal | None] = {}
        effects = Effects()
        for delta in deltas:
            key = KIND_SIGNAL + delta.item_id.encode()
            if key not in signals:
                value = stored.get(key)
                signals[key] = None if value is None else decode_signal(value)
            signals[key] = add(signals[key], delta, self._half_life_ms, self._memory)
            effects.counts["applied"] += 1
        for key, signal in signals.items():
            if signal is not None:
                value = encode_signal(signal)
                effects.puts[key] = value
                effects.outputs.append(Output(self._topic, key[1:], value))
        return effects


def half_life_ms(settings: Settings) -> float:
    """Half-life of demand, in milliseconds."""
    return settings.recommend.trending_half_life_hours * _HOUR_MS


def memory_of(settings: Settings) -> Memory | None:
    """How what follows upon items is remembered; None where it is not."""
    recommend = settings.recommend
    if recommend.neighbours == 0:
        return None
    return Memory(recommend.neighbours_half_life_days * _DAY_MS, recommend.neighbours)


def learned(signal: ItemSignal, half_life: float, memory: Memory | None) -> tuple[Demand, Followers | None]:
    """What the catalogue learns of a signal, given the half-life of demand, in milliseconds."""
    demand = Demand(height(signal, half_life), events=signal.events, explored=signal.explored)
    if memory is None:
        return demand, None
    taken = height_of(signal.taken, signal.time, memory.half_life_ms)
    return demand._replace(taken=taken), Followers(signal.followers, signal.time, taken)
