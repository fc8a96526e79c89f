"""What others took after the items that a user took lately."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from state.strategies.base import Ask
from state.strategies.field import NO_ROW, Field, Float32, Int64
from state.strategies.following import ENTRY, Followers, entries_of

LATEST = 12
"""Items of the user that are looked at."""
FADING = 3.0
"""Of these, the one so many back counts half."""
SHRINK = 20.0
"""Pairs as though so many more had taken both: a few that agree by chance say little."""


@dataclass(slots=True, frozen=True)
class Evidence:
    """Items that followed upon those of the user, one row for each pair: the place of the user, the row of
    the item, what the pair adds, and the hash of the user's own item. Sorted by user and row, and within
    these by what is added."""

    users: Int64
    rows: Int64
    parts: NDArray[np.float64]
    causes: NDArray[np.uint64]
    keys: Int64
    """User and row as one number."""
    width: int

    def keys_of(self, rows: Int64) -> Int64:
        return np.arange(len(rows))[:, None] * self.width + np.maximum(rows, 0)

    def sums(self) -> tuple[Int64, NDArray[np.float64]]:
        """Each user's items once, as keys, and the sum of what their pairs add."""
        unique, at = np.unique(self.keys, return_inverse=True)
        return unique, np.asarray(np.bincount(at, self.parts, len(unique)), np.float64)

    def causes_of(self, rows: Int64) -> NDArray[np.uint64]:
        """The own item that adds most to rows [n, k], 0 where none does."""
        if not len(self.keys):
            return np.zeros(rows.shape, np.uint64)
        keys = self.keys_of(rows)
        last = np.maximum(self.keys.searchsorted(keys, side="right") - 1, 0)
        return np.where((self.keys.take(last) == keys) & (rows >= 0), self.causes.take(last), np.uint64(0))


class Collaborative:
    """The sum over a user's latest items b of 2^(-back / FADING) s(b, a), where with counts at one time

    s(b, a) = (times that a followed b) / (sqrt(times b was taken * times a was taken) + SHRINK).
    """

    from_zero = True

    def __init__(self, half_life_ms: float) -> None:
        self._half_life_ms = half_life_ms
        self._last: tuple[Ask, Evidence, tuple[Int64, NDArray[np.float64]]] | None = None

    def propose(self, ask: Ask, count: int) -> Int64:
        evidence, (keys, sums) = self._worked_out(ask)
        users, rows = np.divmod(keys, evidence.width)
        out = np.full((len(ask.audience), count), NO_ROW)
        if not len(keys):
            return out
        ties = ask.field.items.ties.places.take(rows)
        order = np.lexsort((ties, -sums, users))
        users, rows = users[order], rows[order]
        shown = _open(ask.field, users, rows)
        users, rows = users[shown], rows[shown]
        places = np.arange(len(users)) - users.searchsorted(users)
        kept = places < count
        out[users[kept], places[kept]] = rows[kept]
        return out

    def rate(self, ask: Ask, rows: Int64) -> Float32:
        evidence, (unique, sums) = self._worked_out(ask)
        if not len(unique):
            return np.full(rows.shape, -np.inf, np.float32)
        keys = evidence.keys_of(rows)
        places = np.minimum(unique.searchsorted(keys), len(unique) - 1)
        found = (unique.take(places) == keys) & (rows >= 0)
        return np.asarray(np.where(found, sums.take(places), -np.inf), np.float32)

    def evidence(self, ask: Ask) -> Evidence:
        return self._worked_out(ask)[0]

    def _worked_out(self, ask: Ask) -> tuple[Evidence, tuple[Int64, NDArray[np.float64]]]:
        """The evidence and its sums, once for all that is asked of one batch."""
        if self._last is None or self._last[0] is not ask:
            evidence = self._gathered(ask)
            self._last = (ask, evidence, evidence.sums())
        return self._last[1:]

    def _gathered(self, ask: Ask) -> Evidence:
        readouts, catalogue = ask.audience.readouts, ask.field.catalogue
        width = max(1, catalogue.rows)
        users, places = np.nonzero(readouts.recent_taken)
        back = (np.cumsum(readouts.recent_taken, axis=1) - 1)[users, places]
        near = back < LATEST
        users, back, causes = users[near], back[near], readouts.recent_items[users[near], places[near]]
        held = [catalogue.followers.get(item) for item in causes.tolist()]
        kept = np.array([each is not None and bool(each.entries) for each in held], np.bool_)
        lists = [each for each in held if each is not None and each.entries]
        if not lists:
            nothing = np.zeros(0, np.int64)
            return Evidence(nothing, nothing, np.zeros(0), np.zeros(0, np.uint64), nothing, width)
        entries = entries_of(b"".join([each.entries for each in lists]))
        of = np.repeat(np.arange(len(lists)), [len(each.entries) // ENTRY.itemsize for each in lists])
        rows = ask.field.items.rows_of(entries["item"])
        owners, sources = users[kept][of], causes[kept][of]
        parts = np.exp2(-back[kept] / FADING)[of] * self._similarity(ask, lists, entries["count"], (of, rows))
        there = (rows != NO_ROW) & (parts > 0)
        keys = owners[there] * width + rows[there]
        order = np.lexsort((sources[there], parts[there], keys))
        return Evidence(
            owners[there][order],
            rows[there][order],
            parts[there][order],
            sources[there][order],
            keys[order],
            width,
        )

    def _similarity(
        self, ask: Ask, lists: list[Followers], counts: Float32, places: tuple[Int64, Int64]
    ) -> NDArray[np.float64]:
        """Of each entry, at the latest time of any of the lists."""
        of, rows = places
        times = np.array([each.time for each in lists], np.float64)
        now = times.max()
        fades = np.exp2((times - now) / self._half_life_ms)
        taken = np.array([each.taken for each in lists])[of]
        other = ask.field.catalogue.columns.taken.take(np.maximum(rows, 0))
        both = np.exp2((taken + other) / 2 - now / self._half_life_ms)
        return np.asarray(counts * fades[of] / (both + SHRINK))


def _open(field: Field, users: Int64, rows: Int64) -> NDArray[np.bool_]:
    """Whether each row may be shown to its user, users ascending."""
    shown = np.zeros(len(rows), np.bool_)
    starts = users.searchsorted(np.unique(users)).tolist()
    for start, end in zip(starts, [*starts[1:], len(users)], strict=True):
        shown[start:end] = field.open_to(int(users[start]), rows[start:end])
    return shown
