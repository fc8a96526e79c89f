"""What may be shown to the users of a batch, and the search among it: in all items, or by an index."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from state.audience import Audience
from state.catalogue import Catalogue
from state.filters import MarkIndex, Span, available, days_of, hide_known, known_marks
from state.ranking import Ties, barred, best, is_open, scores
from state.recency import MARK_BYTES

Float32 = NDArray[np.float32]
Int64 = NDArray[np.int64]
Bool = NDArray[np.bool_]

NO_ROW = -1
MORE = 4
"""Of an index one more is asked for so many."""
LEAST_MORE = 16
ENOUGH = 0.5
"""Where filters leave less than this part of what is asked for, the index does not do."""
_MARK = np.uint64(2 ** (8 * MARK_BYTES) - 1)


class Items:
    """What is derived from one version of the catalogue's items."""

    def __init__(self, catalogue: Catalogue) -> None:
        columns, rows = catalogue.columns, catalogue.rows
        self.version = catalogue.version
        hashes = columns.hashes[:rows]
        self.ties = Ties(hashes)
        self.hashes = hashes[self.ties.rows]
        """In ascending order."""
        self.marks = MarkIndex(hashes)
        self.encoded = np.asarray(columns.vectors[:rows].any(axis=1), dtype=np.bool_)

    def rows_of(self, hashes: NDArray[np.uint64]) -> Int64:
        """Rows of items by their hashes; NO_ROW for those that are not there."""
        places = self.hashes.searchsorted(hashes)
        places[places == len(self.hashes)] = 0
        found = (self.hashes.take(places) == hashes) & (hashes != 0)
        return np.where(found, self.ties.rows.take(places), NO_ROW)


class Field(Protocol):
    """What may be shown to n users."""

    catalogue: Catalogue
    items: Items

    def open(self, rows: Int64) -> Bool:
        """Whether rows [n, c] may be shown to their user; not where a row is NO_ROW."""
        ...

    def open_to(self, user: int, rows: Int64) -> Bool:
        """As `open`, rows [c] of one user."""
        ...

    def close(self, rows: Int64) -> None:
        """Let rows [n, c] be shown no more to their user; NO_ROW closes nothing."""
        ...

    def nearest(self, asked: Float32, count: int) -> Int64:
        """Open rows of the largest inner products with float32 [n, 64], best first: int64 [n, c], c up to
        `count`, NO_ROW where there are no more."""
        ...


class WholeField:
    """Knows every item of every user: bool [n, rows]."""

    def __init__(self, catalogue: Catalogue, items: Items, audience: Audience, span: Span) -> None:
        self.catalogue, self.items = catalogue, items
        self.allowed = available(catalogue, audience.moments)
        hide_known(self.allowed, items.marks, audience.profiles, days_of(audience.readouts.time_ms), span)

    def open(self, rows: Int64) -> Bool:
        users = np.arange(len(rows))[:, None]
        return np.asarray(self.allowed[users, np.maximum(rows, 0)] & (rows >= 0))

    def open_to(self, user: int, rows: Int64) -> Bool:
        return np.asarray(self.allowed[user].take(rows))

    def close(self, rows: Int64) -> None:
        users, places = np.nonzero(rows != NO_ROW)
        self.allowed[users, rows[users, places]] = False

    def nearest(self, asked: Float32, count: int) -> Int64:
        bar = barred(self.allowed & self.items.encoded)
        values = scores(asked, self.catalogue.columns.vectors[: self.catalogue.rows], bar)
        found = best(values, count, self.items.ties)
        users = np.arange(len(found))[:, None]
        return np.where(is_open(values[users, found]), found, NO_ROW)


class Searcher(Protocol):
    """An index of the catalogue's vectors (`state.strategies.nearest`)."""

    def search(self, asked: Float32, count: int) -> Int64: ...


class FoundField:
    """Looks at those items alone that an index brings: for catalogues where looking at all takes too long."""

    def __init__(
        self, catalogue: Catalogue, items: Items, audience: Audience, span: Span, index: Searcher
    ) -> None:
        self.catalogue, self.items = catalogue, items
        self._audience = audience
        self._index = index
        parts = list(known_marks(audience.profiles, days_of(audience.readouts.time_ms), span))
        known = [_of_user(users, marks.astype(np.uint64)) for users, marks in parts]
        self._known = np.unique(np.concatenate(known)) if known else np.zeros(0, np.uint64)

    def open(self, rows: Int64) -> Bool:
        columns, taken = self.catalogue.columns, np.maximum(rows, 0)
        at = self._audience.moments[:, None]
        allowed = (rows >= 0) & columns.live.take(taken)
        allowed &= (columns.published.take(taken) <= at) & (columns.expires.take(taken) > at)
        allowed &= self._unknown(np.arange(len(rows))[:, None], taken)
        return np.asarray(allowed, np.bool_)

    def open_to(self, user: int, rows: Int64) -> Bool:
        columns, at = self.catalogue.columns, self._audience.moments[user]
        allowed = columns.live.take(rows) & (columns.published.take(rows) <= at)
        allowed &= (columns.expires.take(rows) > at) & self._unknown(np.array(user), rows)
        return np.asarray(allowed, np.bool_)

    def close(self, rows: Int64) -> None:
        users, places = np.nonzero(rows != NO_ROW)
        keys = _of_user(users, self.catalogue.columns.hashes.take(rows[users, places]) & _MARK)
        self._known = np.union1d(self._known, keys)

    def nearest(self, asked: Float32, count: int) -> Int64:
        """Some more are looked at: those nearest to a user are what the user has seen already. Users of whom
        too few are left are served by looking at all items."""
        found = self._index.search(asked, count + max(count // MORE, LEAST_MORE))
        values = dots(self.catalogue, found, asked)
        values[~self.open(found)] = -np.inf
        order = np.lexsort((self.items.ties.places.take(found), -values), axis=1)[:, :count]
        ranked = np.take_along_axis(found, order, axis=1)
        ranked[np.take_along_axis(values, order, axis=1) == -np.inf] = NO_ROW
        few = (ranked != NO_ROW).sum(axis=1) < count * ENOUGH
        for user in np.flatnonzero(few & np.asarray(asked.any(axis=1))).tolist():
            ranked[user] = self._looked_through(user, asked[user], count)
        return ranked

    def _looked_through(self, user: int, asked: Float32, count: int) -> Int64:
        """The nearest rows of one user, int64 [count], by looking at all."""
        rows = np.flatnonzero(self.items.encoded)
        rows = rows[self.open_to(user, rows)]
        values = self.catalogue.columns.vectors[rows] @ asked
        if len(rows) > count:
            kept = np.argpartition(-values, count - 1)[:count]
            rows, values = rows[kept], values[kept]
        order = np.lexsort((self.items.ties.places.take(rows), -values))
        out = np.full(count, NO_ROW)
        out[: len(rows)] = rows[order]
        return out

    def _unknown(self, users: Int64, rows: Int64) -> Bool:
        if not len(self._known):
            return np.ones(rows.shape, np.bool_)
        keys = _of_user(users, self.catalogue.columns.hashes.take(rows) & _MARK)
        places = self._known.searchsorted(keys)
        places[places == len(self._known)] = 0
        return np.asarray(self._known.take(places) != keys)


def dots(catalogue: Catalogue, rows: Int64, asked: Float32) -> Float32:
    """Inner products of rows [n, c] with float32 [n, 64]; -inf where there is no row, or no vector."""
    vectors = catalogue.columns.vectors.take(np.maximum(rows, 0), axis=0, mode="clip")
    values = np.matvec(vectors, asked)
    values[(rows < 0) | ~vectors.any(axis=2)] = -np.inf
    return np.asarray(values, np.float32)


def _of_user(users: Int64, marks: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """User and mark as one number."""
    return (users.astype(np.uint64) << np.uint64(8 * MARK_BYTES)) | marks


def union(found: Sequence[Int64]) -> Int64:
    """Rows of several searches [n, c] together, each once, int64 [n, c1 + c2 + ...]; NO_ROW in the rest."""
    rows = np.sort(np.concatenate(found, axis=1), axis=1)
    rows[:, 1:][rows[:, 1:] == rows[:, :-1]] = NO_ROW
    return rows
