"""Which items may be shown to whom. Every slate passes through here, whatever its source."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from state.catalogue import Catalogue
from state.profile import DAY_MS, DAY_STAMP, TIME_STAMP, Profile
from state.recency import MARK_BYTES

Bool = NDArray[np.bool_]
Int64 = NDArray[np.int64]

_SEEN = np.dtype([("stamp", f">u{DAY_STAMP}"), ("mark", f">u{MARK_BYTES}")])
_ROOM = 4
"""Places of the table for each row: with so many, most marks are found at once."""
_NO_MARK = -1
_NOBODY = np.zeros(0, dtype=np.int64)
_DISLIKED = np.dtype([("stamp", f"V{TIME_STAMP}"), ("mark", f">u{MARK_BYTES}")])


class MarkIndex:
    """Rows of the catalogue by the four bytes that profiles know an item by; made anew when it changes.

    A table by the low bits of a mark, which names the first of the rows that share them; each row names the
    next. A search in sorted marks takes ten times as long.
    """

    def __init__(self, hashes: NDArray[np.uint64]) -> None:
        count = len(hashes)
        size = 1 << (_ROOM * count).bit_length()
        self._low = size - 1
        self._marks = np.full(count + 1, _NO_MARK, dtype=np.int64)
        self._marks[:count] = hashes & np.uint64(0xFFFFFFFF)
        slots = self._marks[:count] & self._low
        order = np.argsort(slots, kind="stable")
        slots = slots[order]
        starts = np.flatnonzero(np.concatenate(([True], slots[1:] != slots[:-1]))[:count])
        self._first = np.full(size, count, dtype=np.int64)
        self._first[slots[starts]] = order[starts]
        self._next = np.full(count + 1, count, dtype=np.int64)
        self._next[order[:-1]] = np.where(slots[1:] == slots[:-1], order[1:], count)

    def hide(self, allowed: Bool, users: Int64, marks: Int64) -> None:
        """Clear allowed[user, row] for every row with the mark, where several share one too."""
        count, cells = len(self._next) - 1, allowed.reshape(-1)
        rows = self._first.take(marks & self._low)
        while len(rows):
            hit = self._marks.take(rows) == marks
            found = users * count + rows
            cells[found if hit.all() else found[hit]] = False
            rows = self._next.take(rows)
            left = np.flatnonzero(rows < count)
            rows, users, marks = rows[left], users[left], marks[left]


def available(catalogue: Catalogue, moments: Int64) -> Bool:
    """Items that are live, published and not expired at each user's moment: bool [n, rows]."""
    columns, rows = catalogue.columns, catalogue.rows
    live = columns.live[:rows]
    published, expires = columns.published[:rows], columns.expires[:rows]
    first, last = moments.min(), moments.max()
    changing = ((published > first) & (published <= last)) | ((expires > first) & (expires <= last))
    if not changing.any():
        same: Bool = np.repeat((live & (published <= last) & (expires > last))[None], len(moments), axis=0)
        return same
    at = moments[:, None]
    return np.asarray(live & (published <= at) & (expires > at), dtype=np.bool_)


def hide_known(
    allowed: Bool, index: MarkIndex, profiles: Sequence[Profile], days: Int64, span: "Span"
) -> None:
    """Clear what each user disliked, or saw within a span before the day of the latest event."""
    for users, marks in known_marks(profiles, days, span):
        index.hide(allowed, users, marks)


@dataclass(slots=True, frozen=True)
class Span:
    """How long an item stays out after the user met it: days after anything, and further days by action.

    Meetings are kept by the day, so an item stays hidden for up to a day longer, never shorter.
    """

    seen_days: float
    repeat_days: Mapping[int, float] = field(default_factory=dict)
    """By index into ACTIONS."""


def known_marks(profiles: Sequence[Profile], days: Int64, span: Span) -> Iterator[tuple[Int64, Int64]]:
    """Places of users, int64 [m], and marks of what they are not to see now, int64 [m]; some come twice."""
    disliked, users = disliked_marks(profiles)
    if len(disliked):
        yield users, disliked
    if span.seen_days > 0:
        yield _recent([profile.seen for profile in profiles], days, span.seen_days)
    for action, limit in span.repeat_days.items():
        parts = [profile.acted.get(action, b"") for profile in profiles]
        if limit > 0 and any(parts):
            yield _recent(parts, days, limit)


def _recent(parts: Sequence[bytes], days: Int64, limit: float) -> tuple[Int64, Int64]:
    met, users = _joined(parts, _SEEN)
    marks = met["mark"].astype(np.int64)
    fresh = days.take(users) - met["stamp"] <= math.ceil(limit)
    return (users, marks) if fresh.all() else (users[fresh], marks[fresh])


def disliked_marks(profiles: Sequence[Profile]) -> tuple[Int64, Int64]:
    """The marks of what users dislike, int64 [d], and the place of the user of each, int64 [d]."""
    parts = [profile.disliked for profile in profiles]
    if not any(parts):
        return _NOBODY, _NOBODY
    disliked, users = _joined(parts, _DISLIKED)
    return disliked["mark"].astype(np.int64), users


def days_of(times_ms: Int64) -> Int64:
    """Day of each time, as sights are kept by."""
    return np.asarray(times_ms // DAY_MS, dtype=np.int64)


def _joined(parts: Sequence[bytes], dtype: np.dtype[np.void]) -> tuple[NDArray[np.void], Int64]:
    counts = [len(part) // dtype.itemsize for part in parts]
    return np.frombuffer(b"".join(parts), dtype), np.repeat(np.arange(len(parts)), counts)
