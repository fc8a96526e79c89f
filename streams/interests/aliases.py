"""Users who became part of one: that one's record names them, so that forgetting it reaches their marks.

Each is remembered for longer than its mark lasts, and then taken off the record; who is silent longest goes
first where there are too many.
"""

from collections.abc import Iterable, Mapping

import msgspec

from state.events import Alias
from streams.interests.deadlines import Deadlines

KIND_ALIASES = b"a"
MAX_ALIAS_BYTES = 400_000
"""Of the ids of one user, in UTF-8: with its state they fit a record, some ten thousand of 36 letters."""
MARGIN_MS = 2 * 86_400_000
"""How much longer than its mark an old id is remembered: marks are renewed once a day."""
_ENTRY_BYTES = 32

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(list[Alias | str])


def aliases_of(value: bytes | None) -> list[Alias]:
    """The value that is stored of a user, if any is. Raises msgspec.DecodeError."""
    return [] if value is None else known_aliases(_decoder.decode(value))


def known_aliases(each: Iterable[Alias | str]) -> list[Alias]:
    """Those of which only the id is known are due, to be remembered anew."""
    return [Alias(one, 0, 0, b"") if isinstance(one, str) else one for one in each]


def bounded(aliases: Iterable[Alias]) -> tuple[list[Alias], list[Alias]]:
    """Those that there is room for, the last to end first, and those that are too many."""
    kept: list[Alias] = []
    left: list[Alias] = []
    room = MAX_ALIAS_BYTES
    for each in sorted(aliases, key=lambda each: (each.until, each.time, each.user_id), reverse=True):
        room -= len(each.user_id.encode()) + _ENTRY_BYTES
        (kept if room >= 0 else left).append(each)
    return kept, left


class Aliases:
    """When a record of one partition has something to take off. Keys are those of the store."""

    def __init__(self, stored: Mapping[bytes, bytes]) -> None:
        self._ends = {key: _first_end(aliases_of(value)) for key, value in stored.items()}
        self._deadlines = Deadlines(self._ends, lambda end: end)

    def put(self, key: bytes, aliases: list[Alias]) -> bytes | None:
        """These are the old ids of the user now; returns what must be stored."""
        if not aliases:
            self._ends.pop(key, None)
            return None
        self._ends[key] = _first_end(aliases)
        self._deadlines.note(key)
        return _encoder.encode(aliases)

    def ended(self, clock_ms: int) -> list[bytes]:
        """Keys of some records with old ids whose time is over; they are told until they are put."""
        return self._deadlines.due(clock_ms)


def _first_end(aliases: Iterable[Alias]) -> int:
    return min((each.until for each in aliases), default=0)
