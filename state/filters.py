"""Which items may be shown to whom. Every slate passes through here, whatever its source."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from state.catalogue import Catalogue
from state.profile import DAY_MS, DAY_STAMP, TIME_STAMP, Profile
from state.recency import MARK_BYTES

Bool = NDArray[np.bool_]
Int64 = NDArray[np.int64]

_SEEN = np.dtype([("stamp", f">u{DAY_STAMP}"), ("mark", f">u{MARK_BYTES}")])
_DISLIKED = np.dtype([("stamp", f"V{TIME_STAMP}"), ("mark", f">u{MARK_BYTES}")])


class MarkIndex:
    """Rows of the catalogue by the four bytes that profiles know an item by; made anew when it changes."""

    def __init__(self, hashes: NDArray[np.uint64]) -> None:
        marks = (hashes & np.uint64(0xFFFFFFFF)).astype(np.uint32)
        self._rows = np.argsort(marks, kind="stable")
        self._marks = marks[self._rows]

    def hide(self, allowed: Bool, users: Int64, marks: NDArray[np.uint32]) -> None:
        """Clear allowed[user, row] for every row with the mark, where several share one too."""
        if not len(self._marks):
            return
        place = np.searchsorted(self._marks, marks)
        while len(place):
            hit = place < len(self._marks)
            hit[hit] = self._marks[place[hit]] == marks[hit]
            place, users, marks = place[hit], users[hit], marks[hit]
            allowed[users, self._rows[place]] = False
            place = place + 1


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
    allowed: Bool, index: MarkIndex, profiles: Sequence[Profile], days: Int64, seen_days: float
) -> None:
    """Clear what each user disliked, or saw within `seen_days` before the day of the latest event.

    Sights are kept by the day, so an item stays hidden for up to a day longer, never shorter.
    """
    disliked, users = disliked_marks(profiles)
    index.hide(allowed, users, disliked.astype(np.uint32))
    if seen_days <= 0:
        return
    seen, users = _joined([profile.seen for profile in profiles], _SEEN)
    fresh = days[users] - seen["stamp"].astype(np.int64) <= math.ceil(seen_days)
    index.hide(allowed, users[fresh], seen["mark"][fresh].astype(np.uint32))


def disliked_marks(profiles: Sequence[Profile]) -> tuple[NDArray[np.uint64], Int64]:
    """The marks of what users dislike, uint64 [d], and the place of the user of each, int64 [d]."""
    disliked, users = _joined([profile.disliked for profile in profiles], _DISLIKED)
    return disliked["mark"].astype(np.uint64), users


def days_of(times_ms: Int64) -> Int64:
    """Day of each time, as sights are kept by."""
    return np.asarray(times_ms // DAY_MS, dtype=np.int64)


def _joined(parts: Sequence[bytes], dtype: np.dtype[np.void]) -> tuple[NDArray[np.void], Int64]:
    counts = [len(part) // dtype.itemsize for part in parts]
    return np.frombuffer(b"".join(parts), dtype), np.repeat(np.arange(len(parts)), counts)
