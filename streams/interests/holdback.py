"""Slates that wait, because their user got one a moment ago: records of the state, so a crash drops none."""

from collections.abc import Iterable

import msgspec

from state.versions import decoded
from streams.interests.outputs import Cause

VERSION = 1


class Held(msgspec.Struct, array_like=True):
    """When a user got the last slate, and what has happened since; `waiting` None means nothing."""

    version: int
    emitted_ms: int
    waiting: Cause | None

    def encode(self) -> bytes:
        return _encoder.encode(self)

    @staticmethod
    def decode(value: bytes) -> "Held":
        """Raises CodecError for bytes of an unknown version or form."""
        return decoded(_decoder, value, "a held slate", VERSION)


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Held)


class Holdback:
    """Keeps `interval_ms` between two slates of one user. The first of a burst goes out at once, the
    last when the interval is over."""

    def __init__(self, interval_ms: int) -> None:
        self._interval_ms = interval_ms
        self._due: dict[int, dict[bytes, int]] = {}

    @property
    def active(self) -> bool:
        return self._interval_ms > 0

    def decide(
        self, before: Held | None, cause: Cause | None, clock_ms: int
    ) -> tuple[Cause | None, Held | None]:
        """The cause of a slate to be made now, if any, and the record to keep, if any.

        `before` is the stored record, `cause` what happened now; None for a key that fell due.
        """
        waiting = before.waiting if before is not None else None
        if cause is not None:
            waiting = cause if waiting is None else waiting.followed_by(cause)
        if before is not None and clock_ms < before.emitted_ms + self._interval_ms:
            return None, Held(VERSION, before.emitted_ms, waiting)
        if waiting is None or not self.active:
            return waiting, None
        return waiting, Held(VERSION, clock_ms, None)

    def note(self, partition: int, key: bytes, held: Held | None) -> None:
        """Remember when the key falls due."""
        due = self._due.setdefault(partition, {})
        at = None if held is None else held.emitted_ms + self._interval_ms
        if at is None:
            due.pop(key, None)
        elif due.get(key) != at:
            # Due times are noted in rising order, so the first that is not due ends the search.
            due.pop(key, None)
            due[key] = at

    def opened(self, partition: int, held: Iterable[tuple[bytes, bytes]]) -> None:
        due = [(Held.decode(value).emitted_ms + self._interval_ms, key) for key, value in held]
        self._due[partition] = {key: at for at, key in sorted(due)}

    def closed(self, partition: int) -> None:
        self._due.pop(partition, None)

    def due(self, partition: int, clock_ms: int) -> list[bytes]:
        keys = []
        for key, at in self._due.get(partition, {}).items():
            if at > clock_ms:
                break
            keys.append(key)
        return keys
