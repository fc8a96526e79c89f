"""What is in demand: counts of each item that decay with event time.

A score halves every half-life. It is kept at a reference time, the latest one seen; adding is
commutative, so late events need no special case:

    s(t') = s(t) 2^(-(t' - t) / half-life)

As all items share one half-life, `height` = log2 s + t / half-life orders them for any moment.
"""

import math
from collections.abc import Mapping

import msgspec

from state.events import ACTIONS, Action
from state.strategies.following import Memory, add_followers
from state.versions import decoded

VERSION = 1

WEIGHTS: Mapping[Action, float] = {
    Action.VIEW: 1.0,
    Action.CLICK: 1.0,
    Action.LIKE: 3.0,
    Action.UNLIKE: -3.0,
    Action.DISLIKE: -3.0,
    Action.SKIP: -0.5,
    Action.SHARE: 4.0,
    Action.SAVE: 3.0,
    Action.PURCHASE: 5.0,
    Action.COMMENT: 2.0,
    Action.SEARCH: 0.0,
}

_WEIGHTS_BY_CODE = tuple(WEIGHTS[action] for action in ACTIONS)


class ItemDelta(msgspec.Struct, array_like=True, gc=False):
    """What happened to one item in one micro-batch, on `item-deltas`."""

    item_id: str
    time: int
    """Latest event time of it, epoch milliseconds."""
    counts: dict[int, int]
    """Index into ACTIONS to the number of events."""
    followed: dict[int, float] = {}
    """Hash of an item to how often it was taken soon after this one."""
    taken: int = 0
    """Events that welcomed it anew, less what was taken back."""
    explored: int = 0
    """Slates that it stood in for exploration's sake."""


class ItemSignal(msgspec.Struct, array_like=True, gc=False):
    """The demand for one item, on `item-signals` and in the state behind it."""

    version: int
    item_id: str
    time: int
    """Reference time of the score, epoch milliseconds."""
    score: float
    events: int
    taken: float = 0.0
    """Events that welcomed it, decayed by the half-life of `followers`."""
    followers: bytes = b""
    """What follows upon it, as `state.strategies.following` has it; the counts are at `time`."""
    explored: int = 0


_decoder = msgspec.msgpack.Decoder(ItemSignal)
_encoder = msgspec.msgpack.Encoder()


def encode_signal(signal: ItemSignal) -> bytes:
    return _encoder.encode(signal)


def decode_signal(value: bytes) -> ItemSignal:
    """Raises CodecError for bytes of an unknown version or form."""
    return decoded(_decoder, value, "an item signal", VERSION)


def add(
    signal: ItemSignal | None, delta: ItemDelta, half_life_ms: float, memory: Memory | None = None
) -> ItemSignal:
    """The signal with what the delta counts; followers are kept with a memory alone."""
    gained = sum(_WEIGHTS_BY_CODE[action] * count for action, count in delta.counts.items())
    events = sum(delta.counts.values())
    if signal is None:
        signal = ItemSignal(VERSION, delta.item_id, delta.time, 0.0, 0)
    time = max(signal.time, delta.time)
    score = signal.score * _decay(time - signal.time, half_life_ms)
    score += gained * _decay(time - delta.time, half_life_ms)
    added = ItemSignal(VERSION, delta.item_id, time, score, signal.events + events)
    added.explored = signal.explored + delta.explored
    if memory is not None:
        fade, late = (_decay(time - then, memory.half_life_ms) for then in (signal.time, delta.time))
        added.taken = signal.taken * fade + delta.taken * late
        gains = {item: count * late for item, count in delta.followed.items()}
        added.followers = add_followers(signal.followers, gains, fade, memory.most)
    return added


def height(signal: ItemSignal, half_life_ms: float) -> float:
    """Logarithm of the score, in half-lives, comparable between items; -inf where nothing is left."""
    return height_of(signal.score, signal.time, half_life_ms)


def height_of(score: float, time_ms: int, half_life_ms: float) -> float:
    """As `height`, of any score at its reference time."""
    if score <= 0:
        return -math.inf
    return math.log2(score) + time_ms / half_life_ms


def _decay(age_ms: float, half_life_ms: float) -> float:
    return math.pow(2.0, -(age_ms / half_life_ms))
