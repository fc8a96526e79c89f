"""Where a partition goes on, and how far its local store has come."""

import struct
from dataclasses import dataclass

from streams.engine.processor import KIND_PLACE
from streams.errors import EngineError

PLACE_KEY = KIND_PLACE
BOOKMARK_KEY = b"\0"
"""A key of the local store alone: no record of the changelog begins with this byte."""

NO_RAW = -1
ID_LENGTH = 16

_VERSION = 1
_PLACE = struct.Struct(f"<Bqq{ID_LENGTH}s")
_BOOKMARK = struct.Struct(f"<Bqq{ID_LENGTH}s")


@dataclass(frozen=True, slots=True)
class Place:
    """A record of the changelog and of the store, written with the states that belong to it."""

    source: int
    """Offset in the source topic that comes next. Markers of transactions may lie there."""
    raw: int
    """Raw offset that comes next; NO_RAW where no record with a raw range was seen yet."""
    topic: bytes
    """Id of the source topic."""

    def encode(self) -> bytes:
        return _PLACE.pack(_VERSION, self.source, self.raw, self.topic)

    @classmethod
    def decode(cls, value: bytes) -> "Place":
        return cls(*_fields(_PLACE, value, "place"))


@dataclass(frozen=True, slots=True)
class Bookmark:
    """A record of the local store alone, written with what it tells of."""

    offset: int
    """Offset in the changelog that comes next."""
    written_ms: int
    """When the store was last known to be level with the changelog."""
    topic: bytes
    """Id of the changelog topic."""

    def encode(self) -> bytes:
        return _BOOKMARK.pack(_VERSION, self.offset, self.written_ms, self.topic)

    @classmethod
    def decode(cls, value: bytes) -> "Bookmark":
        return cls(*_fields(_BOOKMARK, value, "bookmark"))


def _fields(layout: struct.Struct, value: bytes, name: str) -> tuple[int, int, bytes]:
    if len(value) != layout.size or value[0] != _VERSION:
        raise EngineError(f"{name}: written by a version that this one cannot read ({value[:1].hex()})")
    _, first, second, topic = layout.unpack(value)
    return first, second, topic
