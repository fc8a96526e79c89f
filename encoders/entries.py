"""Entries of the vector cache, of whatever kind: how they are written, and read where that can be."""

from typing import Generic, TypeVar

import msgspec

EntryT = TypeVar("EntryT", bound=msgspec.Struct)


class Entries(Generic[EntryT]):
    """Reads and writes entries of one kind. An entry that cannot be read is none: it is made again."""

    def __init__(self, kind: type[EntryT]) -> None:
        self._encoder = msgspec.msgpack.Encoder()
        self._decoder = msgspec.msgpack.Decoder(kind)

    def pack(self, entry: EntryT) -> bytes:
        """The cache's bytes."""
        return self._encoder.encode(entry)

    def unpack(self, content: bytes | None) -> EntryT | None:
        """None for None, and for bytes that are no such entry."""
        if content is None:
            return None
        try:
            return self._decoder.decode(content)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return None
