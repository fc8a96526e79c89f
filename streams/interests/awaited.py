"""Merges of which the fusion has not come yet.

While one artifact serves and another one's states are kept beside it, the rows of a merge carry what the
first one made of the user. Under the other artifact, the user who takes it in remembers the merge, and what
that artifact made of it comes in a row of its own (`RowKind.CARRY`). Forgetting the user forgets what was
awaited, so that nothing which comes late brings anything back.
"""

from collections.abc import Iterable

import msgspec

from state.events import Row
from streams.interests.marks import merge_digest

KIND_AWAITED = b"w"
_TIME_BYTES = 8

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(tuple[bytes, ...])


def merge_key(row: Row) -> bytes:
    """Stands for a merge, of any row that it sends."""
    return row.time.to_bytes(_TIME_BYTES, "big", signed=True) + merge_digest(row.event_id)


def awaited_of(value: bytes | None) -> tuple[bytes, ...]:
    """The value that is stored of a user, if any is. Raises msgspec.DecodeError."""
    return () if value is None else _decoder.decode(value)


def awaiting(merges: Iterable[bytes]) -> bytes | None:
    """What is to be stored of a user, each merge once."""
    kept = tuple(dict.fromkeys(merges))
    return _encoder.encode(kept) if kept else None
