"""What is remembered of users who were forgotten, or became part of another.

A mark lies under a digest of the user's id, so that nothing which knows the id can be found by it. The digest
has no secret: who has an id can ask whether it is marked. Marks are asked by every row, so that they are kept
in memory, too.
"""

from collections.abc import Mapping
from hashlib import blake2b

import msgspec

from state.events import Row
from state.versions import decoded
from streams.interests.deadlines import Deadlines
from streams.partitioning import murmur2

KIND_MARK = b"f"
VERSION = 1
NEVER = -1
_DIGEST_BYTES = 16
_MERGE_BYTES = 8
_HASH_BYTES = 4


class Mark(msgspec.Struct, array_like=True, frozen=True):
    """`until`: when the mark itself ends. All times are epoch milliseconds."""

    version: int
    until: int
    forgotten: int = NEVER
    """What is not later than this is gone for good."""
    into: str | None = None
    """Whom the user has become part of, by the merge `by`: its time and id."""
    by: tuple[int, str] = (NEVER, "")

    def covers(self, row: Row) -> bool:
        """Whether the row is of the time that was forgotten, by its own time or by when it was sent."""
        sent = row.broker_time if row.sent is None else row.sent
        return row.time <= self.forgotten or sent <= self.forgotten

    def without_way(self) -> "Mark | None":
        """What is left of the mark once the user is followed to nobody any more."""
        return None if self.forgotten == NEVER else Mark(VERSION, self.until, self.forgotten)

    def encode(self) -> bytes:
        return _encoder.encode(self)

    @staticmethod
    def decode(value: bytes) -> "Mark":
        """Raises CodecError for bytes of an unknown version or form."""
        return decoded(_decoder, value, "a mark", VERSION)


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Mark)


def mark_key(user_id: str) -> bytes:
    """Where the user's mark is stored: murmur2 tells the partition, also when there are more, and the digest
    the user.
    """
    user = user_id.encode()
    digest = blake2b(user, digest_size=_DIGEST_BYTES, person=b"penchant-mark").digest()
    return KIND_MARK + murmur2(user).to_bytes(_HASH_BYTES, "big") + digest


def merge_digest(merge_id: str) -> bytes:
    """Stands for a merge's id where only equality is asked for."""
    return blake2b(merge_id.encode(), digest_size=_MERGE_BYTES, person=b"penchant-merge").digest()


def mark_hash(key: bytes) -> int:
    """murmur2 of the user's id, of the key of a mark."""
    return int.from_bytes(key[1 : 1 + _HASH_BYTES], "big")


class Marks:
    """The marks of one partition, and which of them end when."""

    def __init__(self, stored: Mapping[bytes, bytes]) -> None:
        self._marks = {key: Mark.decode(value) for key, value in stored.items()}
        self._deadlines = Deadlines(self._marks, lambda mark: mark.until)

    def __bool__(self) -> bool:
        return bool(self._marks)

    def get(self, user_id: str) -> Mark | None:
        return self._marks.get(mark_key(user_id)) if self._marks else None

    def put(self, user_id: str, mark: Mark | None) -> tuple[bytes, bytes | None]:
        """Set or drop the user's mark; returns what must be stored."""
        key = mark_key(user_id)
        if mark is None:
            self._marks.pop(key, None)
            return key, None
        self._marks[key] = mark
        self._deadlines.note(key)
        return key, mark.encode()

    def drop(self, key: bytes) -> None:
        self._marks.pop(key, None)

    def ended(self, clock_ms: int) -> list[bytes]:
        """Keys of some marks that have ended; they are told until they are dropped."""
        return self._deadlines.due(clock_ms)
