"""What is in demand with everybody: counts that fade with time."""

import numpy as np
from numpy.typing import NDArray

from state.catalogue import Catalogue
from state.strategies.base import Ask
from state.strategies.field import NO_ROW, Float32, Int64

HALVINGS = 10.0
"""Demand that lies so many halvings below the highest says nothing."""
_LOOKED_AT = 4_096
"""Rows that are put in order at first."""


class Demand:
    """Rows by demand, then by date of publishing, for one state of both."""

    def __init__(self, catalogue: Catalogue) -> None:
        columns, rows = catalogue.columns, catalogue.rows
        self._catalogue = catalogue
        self._heights = columns.heights[:rows]
        self.version = (catalogue.version, catalogue.ratings)
        self.top = float(self._heights[columns.live[:rows]].max(initial=-np.inf))
        self._first = self._ordered(self._foremost(rows))
        self._all: Int64 | None = None if len(self._first) < rows else self._first

    @property
    def first(self) -> Int64:
        """The foremost rows, in order: all of a small catalogue."""
        return self._first

    @property
    def order(self) -> Int64:
        """All rows."""
        if self._all is None:
            self._all = self._ordered(np.arange(self._catalogue.rows))
        return self._all

    def shares(self, rows: Int64) -> NDArray[np.float64]:
        """Demand as a part of the highest."""
        if self.top == -np.inf:
            return np.zeros(rows.shape)
        return np.asarray(np.exp2(self._heights.take(np.maximum(rows, 0)) - self.top))

    def _foremost(self, rows: int) -> Int64:
        if rows <= _LOOKED_AT:
            return np.arange(rows)
        published = self._catalogue.columns.published[:rows]
        for values in (self._heights, published):
            least = np.partition(values, rows - _LOOKED_AT)[rows - _LOOKED_AT]
            found = np.flatnonzero(values >= least)
            if len(found) < 2 * _LOOKED_AT:
                rated = np.flatnonzero(self._heights > -np.inf)
                # Those without demand stand behind all others: dates order only among them.
                return found if values is self._heights else np.union1d(found, rated)
        return np.arange(rows)

    def _ordered(self, rows: Int64) -> Int64:
        columns = self._catalogue.columns
        keys = (columns.hashes[rows], -columns.published[rows], -columns.heights[rows])
        return np.asarray(rows[np.lexsort(keys)])


class Demanded:
    """`Demand` of the catalogue as it is now, made anew only when it has changed."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._demand = Demand(catalogue)

    def latest(self) -> Demand:
        if self._demand.version != (self._catalogue.version, self._catalogue.ratings):
            self._demand = Demand(self._catalogue)
        return self._demand


class Trending:
    """How far an item's demand lies below the highest: 1 - halvings / HALVINGS."""

    from_zero = True

    def __init__(self, demanded: Demanded) -> None:
        self._demanded = demanded

    def propose(self, ask: Ask, count: int) -> Int64:
        order = self._demanded.latest().first
        heights = ask.field.catalogue.columns.heights
        order = order[heights.take(order) > -np.inf]
        out = np.full((len(ask.audience), count), NO_ROW)
        for user in range(len(out)):
            found = order[ask.field.open_to(user, order)][:count]
            out[user, : len(found)] = found
        return out

    def rate(self, ask: Ask, rows: Int64) -> Float32:
        demand, heights = self._demanded.latest(), ask.field.catalogue.columns.heights
        if demand.top == -np.inf:
            return np.full(rows.shape, -np.inf, np.float32)
        below = demand.top - heights.take(np.maximum(rows, 0))
        told = (rows >= 0) & (below < HALVINGS)
        return np.asarray(np.where(told, 1 - below / HALVINGS, -np.inf), np.float32)
