"""Rows to packs that cover their raw range without a gap."""

from collections.abc import Sequence

import msgspec

from state.events import Pack, Row

ROWS_PER_PACK = 64
MAX_PACK_BYTES = 900_000
"""Kafka refuses records above 1,000,000 bytes by default."""

_encoder = msgspec.msgpack.Encoder()


def cut_packs(first: int, end: int, rows: Sequence[Row]) -> list[Pack]:
    """Packs of at most ROWS_PER_PACK rows that cover [first, end), rows in the order of their offsets.

    One empty pack where there is no row. Corrections have first = end = -1, and so have their packs.
    """
    if not rows:
        return [Pack(first, end, [])] if end > first else []
    packs: list[Pack] = []
    for start in range(0, len(rows), ROWS_PER_PACK):
        chunk = list(rows[start : start + ROWS_PER_PACK])
        last = start + ROWS_PER_PACK >= len(rows)
        chunk_end = end if last or end < 0 else chunk[-1].offset + 1
        packs.append(Pack(first, chunk_end, chunk))
        first = chunk_end
    return packs


def encode_pack(pack: Pack) -> list[bytes]:
    """The pack as record values: one, or several where it would be too large for one record."""
    content = _encoder.encode(pack)
    if len(content) <= MAX_PACK_BYTES or len(pack.rows) < 2:
        return [content]
    middle = len(pack.rows) // 2
    left, right = pack.rows[:middle], pack.rows[middle:]
    border = -1 if pack.end < 0 else left[-1].offset + 1
    return encode_pack(Pack(pack.first, border, left)) + encode_pack(Pack(border, pack.end, right))
