"""Where a partition goes on, and how far its local store has come."""

import struct
from dataclasses import dataclass

from streams.engine.processor import KIND_PLACE, NO_TOPIC, RawEnd
from streams.errors import EngineError

PLACE_KEY = KIND_PLACE
BOOKMARK_KEY = b"\0"
"""A key of the local store alone: no record of the changelog begins with this byte."""

NO_RAW = -1
ID_LENGTH = 16
MAX_PAST = 4
"""Raw topics before the present one whose ends are kept."""

_VERSION = 1
_OWN_VERSION = 2
"""Of bookmarks with `own`."""
_PLACE_VERSION = 2
_PLACE_BEFORE = struct.Struct(f"<Bqq{ID_LENGTH}s")
_PLACE = struct.Struct(f"<Bqq{ID_LENGTH}s{ID_LENGTH}sB")
_PAST = struct.Struct(f"<{ID_LENGTH}sq")
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
    raw_topic: bytes = NO_TOPIC
    """Id of the topic that `raw` counts in; a topic made anew has another, and counts from its own start."""
    past: tuple[RawEnd, ...] = ()
    """Raw topics before it, the latest first, each with the raw offset that would have come next."""

    def encode(self) -> bytes:
        head = (_PLACE_VERSION, self.source, self.raw, self.topic, self.raw_topic, len(self.past))
        return b"".join((_PLACE.pack(*head), *(_PAST.pack(*each) for each in self.past)))

    @classmethod
    def decode(cls, value: bytes) -> "Place":
        """Raises EngineError. Places of the first version know nothing of raw topics."""
        if len(value) == _PLACE_BEFORE.size and value[0] == _VERSION:
            return cls(*_fields(_PLACE_BEFORE, value, "place"))
        if len(value) < _PLACE.size or value[0] != _PLACE_VERSION:
            raise _unknown("place", value)
        _, source, raw, topic, raw_topic, count = _PLACE.unpack_from(value)
        if len(value) != _PLACE.size + count * _PAST.size:
            raise _unknown("place", value)
        return cls(source, raw, topic, raw_topic, tuple(_PAST.iter_unpack(value[_PLACE.size :])))


@dataclass(frozen=True, slots=True)
class Bookmark:
    """A record of the local store alone, written with what it tells of."""

    offset: int
    """Offset in the changelog that comes next."""
    written_ms: int
    """When the store was last known to be level with the changelog."""
    topic: bytes
    """Id of the changelog topic."""
    own: bool = False
    """Whether an owner was told that the record before `offset` is committed; else it was read as such."""

    def encode(self) -> bytes:
        version = _OWN_VERSION if self.own else _VERSION
        return _BOOKMARK.pack(version, self.offset, self.written_ms, self.topic)

    @classmethod
    def decode(cls, value: bytes) -> "Bookmark":
        """Raises EngineError."""
        own = value[:1] == bytes([_OWN_VERSION])
        return cls(*_fields(_BOOKMARK, value, "bookmark", _OWN_VERSION if own else _VERSION), own)


def _fields(
    layout: struct.Struct, value: bytes, name: str, version: int = _VERSION
) -> tuple[int, int, bytes]:
    if len(value) != layout.size or value[0] != version:
        raise _unknown(name, value)
    _, first, second, topic = layout.unpack(value)
    return first, second, topic


def _unknown(name: str, value: bytes) -> EngineError:
    return EngineError(f"{name}: written by a version that this one cannot read ({value[:1].hex()})")
