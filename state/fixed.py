"""Places of a slate that are given before the others are chosen: pins, and what is explored."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from state.catalogue import Catalogue
from state.settings import Pin
from state.slates import EXPLORED, PINNED, SOURCES
from state.strategies.base import Ask
from state.strategies.exploring import Explorer
from state.strategies.field import NO_ROW

Int64 = NDArray[np.int64]
Float64 = NDArray[np.float64]

_PINNED, _EXPLORED = SOURCES.index(PINNED), SOURCES.index(EXPLORED)


@dataclass(slots=True)
class Picks:
    """What stands at k places of n slates: rows int64 [n, k], NO_ROW for none; scores float64; codes of
    sources uint8; each strategy's part of the score, float32 [strategies, n, k]; hashes uint64 of the user's
    own item that a strategy rests on, 0 for none; chances float64 of a draw, 0 for none."""

    rows: Int64
    scores: Float64
    sources: NDArray[np.uint8]
    parts: NDArray[np.float32]
    causes: NDArray[np.uint64]
    propensities: Float64

    @classmethod
    def empty(cls, shape: tuple[int, int], strategies: int = 0) -> "Picks":
        return cls(
            np.full(shape, NO_ROW),
            np.zeros(shape),
            np.zeros(shape, np.uint8),
            np.zeros((strategies, *shape), np.float32),
            np.zeros(shape, np.uint64),
            np.zeros(shape),
        )


class Fixtures:
    """Gives the fixed places."""

    def __init__(
        self, catalogue: Catalogue, pins: Sequence[Pin], explorer: tuple[Explorer, int] | None, cap: int
    ) -> None:
        """`explorer` comes with the number of its places; `cap` bounds items of a category."""
        self._catalogue = catalogue
        self._pins = sorted(pins, key=lambda pin: pin.place)
        self._explorer = explorer
        self._cap = cap

    def __bool__(self) -> bool:
        return bool(self._pins) or self._explorer is not None

    def picks(self, ask: Ask) -> Picks:
        """The fixed items of each user that may be shown, pins before what is explored; they are closed to
        everything else."""
        pinned = self._pinned(ask)
        if self._explorer is None:
            return pinned
        explorer, count = self._explorer
        drawn = explorer.draw(ask, count)
        found = Picks.empty(drawn.rows.shape)
        found.rows, found.scores, found.propensities = drawn.rows, drawn.values, drawn.propensities
        found.sources[:] = _EXPLORED
        both = joined([pinned, found])
        self._hold_cap(both.rows)
        ask.field.close(both.rows)
        return both

    def place(self, chosen: Picks, fixed: Picks, place_count: int) -> Picks:
        """Slates of the chosen, in their order, with what is fixed: pins at their places, what is explored at
        the last ones."""
        both = joined([chosen, fixed])
        width = chosen.rows.shape[1]
        order = np.full((len(chosen.rows), place_count), -1)
        for user, rows in enumerate(fixed.rows.tolist()):
            free = iter(np.flatnonzero(chosen.rows[user] != NO_ROW).tolist())
            mine = [place for place, row in enumerate(rows) if row != NO_ROW]
            pins = {self._pins[place].place - 1: width + place for place in mine if place < len(self._pins)}
            explored = [width + place for place in mine if place >= len(self._pins)]
            slots = [place for place in range(place_count) if place not in pins]
            last = dict(zip(slots[len(slots) - len(explored) :], explored, strict=False))
            for place in range(place_count):
                taken = pins.get(place, last.get(place))
                order[user, place] = next(free, -1) if taken is None else taken
        return taken_along(both, order)

    def categories(self, fixed: Picks) -> NDArray[np.int32]:
        """int32 [n, f, g], -1 for none."""
        categories = self._catalogue.columns.categories[np.maximum(fixed.rows, 0)]
        return np.where((fixed.rows == NO_ROW)[:, :, None], np.int32(-1), categories)

    def _pinned(self, ask: Ask) -> Picks:
        rows = [self._catalogue.row_of.get(pin.item_id, NO_ROW) for pin in self._pins]
        found = Picks.empty((len(ask.audience), len(rows)))
        if rows:
            found.rows[:] = rows
            found.rows[~ask.field.open(found.rows)] = NO_ROW
            self._hold_cap(found.rows)
            found.sources[:] = _PINNED
            ask.field.close(found.rows)
        return found

    def _hold_cap(self, rows: Int64) -> None:
        """Drop what would be too many of a category, the first ones first served."""
        if self._cap <= 0:
            return
        categories = self._catalogue.columns.categories
        for mine in rows:
            taken: Counter[int] = Counter()
            for place, row in enumerate(mine.tolist()):
                own = {code for code in categories[row].tolist() if code >= 0} if row != NO_ROW else set()
                if any(taken[code] >= self._cap for code in own):
                    mine[place] = NO_ROW
                else:
                    taken.update(own)


def joined(parts: Sequence[Picks]) -> Picks:
    """Side by side; parts of strategies are of the first."""
    strategies = len(parts[0].parts)
    wide = [np.zeros((strategies, *part.rows.shape), np.float32) for part in parts[1:]]
    return Picks(
        np.concatenate([part.rows for part in parts], axis=1),
        np.concatenate([part.scores for part in parts], axis=1),
        np.concatenate([part.sources for part in parts], axis=1),
        np.concatenate([parts[0].parts, *wide], axis=2),
        np.concatenate([part.causes for part in parts], axis=1),
        np.concatenate([part.propensities for part in parts], axis=1),
    )


def taken_along(picks: Picks, order: Int64) -> Picks:
    """The picks at places [n, k], none at -1."""
    at = np.maximum(order, 0)
    rows = np.where(order < 0, NO_ROW, np.take_along_axis(picks.rows, at, axis=1))
    return Picks(
        rows,
        np.take_along_axis(picks.scores, at, axis=1),
        np.take_along_axis(picks.sources, at, axis=1),
        np.take_along_axis(picks.parts, at[None], axis=2),
        np.take_along_axis(picks.causes, at, axis=1),
        np.take_along_axis(picks.propensities, at, axis=1),
    )
