"""Which items follow upon which: counts of pairs that decay with event time, a bounded list for each item.

An event that welcomes item a, by a user whose latest other items were b1 ... bW, counts one for each pair
(b, a): a followed upon b. It is kept with b, as the likely next of whoever has just taken b. All counts of
one item stand at one reference time, as its demand does (`state.trending`); adding is commutative but for
what a full list drops.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from state.layout import RING

ENTRY = np.dtype([("item", "<u8"), ("count", "<f4")])
"""Hash of an item, and how often it followed. A list is sorted by the hash."""
WINDOW = 5
"""Earlier items that an event is paired with."""
LEAST = 1e-3
"""Counts that have faded below this are dropped."""

Entries = NDArray[np.void]


class Memory(NamedTuple):
    """How long pairs are remembered, and how many of an item."""

    half_life_ms: float
    most: int


class Followers(NamedTuple):
    """What follows upon an item: its list as bytes, the reference time of the counts, epoch milliseconds,
    and how often the item itself was taken, as a height (`state.trending`)."""

    entries: bytes
    time: int
    taken: float


class Past(NamedTuple):
    """A user's events, newest first: hashes of their ids and of their items, and which took their item."""

    events: Sequence[int]
    items: Sequence[int]
    taken: Sequence[bool]


def earlier_items(place: int, items: Sequence[int], taken: Sequence[bool]) -> list[int] | None:
    """Hashes of the WINDOW items taken before the event at a place, each once, given hashes of the items of a
    user's events newest first, and which of them took their item; None where the event's own item was among
    them, and is nothing new. Looks back as far as a ring reaches."""
    item, before = items[place], slice(place + 1, place + RING)
    found: dict[int, None] = {}
    for other, counts in zip(items[before], taken[before], strict=True):
        if not counts:
            continue
        if other == item:
            return None
        found[other] = None
        if len(found) == WINDOW:
            break
    return list(found)


def entries_of(held: bytes) -> Entries:
    """The list as an array of ENTRY [m]; an incomplete entry at the end is passed over."""
    return np.frombuffer(held[: len(held) // ENTRY.itemsize * ENTRY.itemsize], ENTRY)


def add_followers(held: bytes, gained: Mapping[int, float], fade: float, most: int) -> bytes:
    """The list after its counts have faded by a factor, with what is gained, cut to the `most` largest.

    What was gained just now stays in a full list, and the smallest of the others make room: else nothing new
    could ever enter it.
    """
    before = entries_of(held)
    if not gained and fade == 1.0:
        return held
    items = np.concatenate([before["item"], np.fromiter(gained, np.uint64, len(gained))])
    counts = np.concatenate([before["count"] * fade, np.fromiter(gained.values(), np.float64, len(gained))])
    unique, at = np.unique(items, return_inverse=True)
    sums = np.bincount(at, counts, len(unique))
    new = np.zeros(len(unique), np.bool_)
    new[at[len(before) :]] = True
    kept = np.flatnonzero(sums > LEAST)
    if len(kept) > most:
        order = np.lexsort((unique[kept], -sums[kept], ~new[kept]))
        kept = np.sort(kept[order[:most]])
    out = np.empty(len(kept), ENTRY)
    out["item"], out["count"] = unique[kept], sums[kept]
    return out.tobytes()
