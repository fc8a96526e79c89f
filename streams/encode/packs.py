"""Rows to packs that cover their raw range without a gap."""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from state.events import NO_TOPIC, Pack, Row
from streams.encode.placing import RawEnd

ROWS_PER_PACK = 64
MAX_PACK_BYTES = 900_000
"""Kafka refuses records above 1,000,000 bytes by default."""

_encoder = msgspec.msgpack.Encoder()


class Border(NamedTuple):
    """Where the packs of a partition go on: `first` is the raw offset behind the last one.

    Where a raw topic begins, `follows` is the end of the last pack, which is of the topic before.
    """

    first: int
    topic: bytes = NO_TOPIC
    follows: RawEnd | None = None


NO_RANGE = Border(-1)
"""What packs of corrections begin at."""


def cut_packs(border: Border, end: int, rows: Sequence[Row]) -> list[Pack]:
    """Packs of at most ROWS_PER_PACK rows from the border to `end`, rows in the order of their offsets.

    One empty pack where there is no row. Packs of corrections begin at NO_RANGE, and end there.
    """
    first, topic, follows = border
    if not rows:
        return [Pack(first, end, [], topic, follows)] if end > first else []
    packs: list[Pack] = []
    for start in range(0, len(rows), ROWS_PER_PACK):
        chunk = list(rows[start : start + ROWS_PER_PACK])
        last = start + ROWS_PER_PACK >= len(rows)
        chunk_end = end if last or end < 0 else chunk[-1].offset + 1
        packs.append(Pack(first, chunk_end, chunk, topic, follows))
        first, follows = chunk_end, None
    return packs


def encode_pack(pack: Pack) -> list[bytes]:
    """The pack as record values: one, or several where it would be too large for one record."""
    content = _encoder.encode(pack)
    if len(content) <= MAX_PACK_BYTES or len(pack.rows) < 2:
        return [content]
    middle = len(pack.rows) // 2
    left, right = pack.rows[:middle], pack.rows[middle:]
    border = -1 if pack.end < 0 else left[-1].offset + 1
    before = Pack(pack.first, border, left, pack.topic, pack.follows)
    return encode_pack(before) + encode_pack(Pack(border, pack.end, right, pack.topic))
