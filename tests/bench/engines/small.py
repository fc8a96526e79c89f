"""The small work, the same for every engine: a running average of 64 numbers per user, and a record of it."""

import struct

import msgspec
import numpy as np
from numpy.typing import NDArray

DIM = 64
ITEMS = 2_000
STEP = np.float32(0.1)
"""Weight of the newest event in the average."""

Float32 = NDArray[np.float32]

VECTORS: Float32 = np.random.default_rng(7).standard_normal((ITEMS, DIM)).astype(np.float32)
_KEEP = np.float32(1.0) - STEP
_TAIL = struct.Struct("<qq")
_TAIL_AT = DIM * 4
_encode = msgspec.json.Encoder().encode


class Event(msgspec.Struct, gc=False):
    """An event as it lies in the source topic, JSON; a row of a pack has the same three names."""

    event_id: str
    user_id: str
    item_id: str
    action: str
    timestamp: int


decode_event = msgspec.json.Decoder(Event).decode


def fold(state: bytes | None, item_id: str, time_ms: int) -> tuple[bytes, Float32]:
    """The state after one event (272 bytes: 64 float32, a count, a time), and its vector."""
    item = VECTORS[int(item_id[1:])]
    if state is None:
        vector, count = item.copy(), 1
    else:
        vector = np.frombuffer(state, np.float32, DIM) * _KEEP + item * STEP
        count = _TAIL.unpack_from(state, _TAIL_AT)[0] + 1
    return vector.tobytes() + _TAIL.pack(count, time_ms), vector


def record(user_id: str, time_ms: int, vector: Float32) -> bytes:
    """What goes out: JSON with 64 numbers of four decimals."""
    numbers = np.round(vector.astype(np.float64), 4).tolist()
    return _encode({"user": user_id, "t": time_ms, "interest": numbers})
