"""Vectors in cells around learned centres, of which a search looks into the nearest: an inverted file (Sivic
and Zisserman, 2003; Jegou, Douze and Schmid, 2011), of whole vectors.

Unlike a graph it cannot lose its way: what is nearest to a vector lies in the cells whose centres are near,
wherever else it is alike to something. Not safe for threads: `state.strategies.nearest` holds a lock.
"""

import math

import numpy as np

from state.layout import DIM
from state.strategies.field import NO_ROW, Float32, Int64

CENTRES = 2.0
"""Times the root of the number of vectors: more cells are no better at the same cost, and dearer to learn."""
PROBES = 3.0
"""Times the root of the number of cells: what finds 95 in 100 or more (docs/quality.md)."""
LEAST = 16
"""Vectors that are looked at, at least, for each that is asked for."""
_SAMPLE = 40
"""Vectors for each centre that it is learned from."""
_ROUNDS = 8
_SEED = 1
_TILE = 2_048
"""Vectors whose products with all centres lie in memory at once."""
_TOGETHER = 64
"""Users who are searched for together, at most."""
_VALUES = 8_000_000
"""Products in memory at once, where one user's do not come to more."""
_STRANGE = 0.01
"""Share of the vectors at building that are no nearer to a centre than what is strange afterwards."""
_ROOM = 8
_TAIL = 4
"""Of the room of all cells one part in so many lies behind them, for those that outgrow their own."""
_THIN = 8
"""Of so many values one is looked at to tell what is large."""


def probes_of(cells: int) -> int:
    """Cells that a search looks into where nothing else is asked for."""
    return math.ceil(PROBES * math.sqrt(cells))


class Cells:
    """Rows by their vectors, which lie in one array, cell by cell, each with room for more. A cell that
    outgrows its own moves behind the others."""

    def __init__(self, vectors: Float32, rows: Int64) -> None:
        """Of vectors float32 [n, 64], those of `rows`, int64 [m], m at least 1; none of them zero."""
        self._centres = _learned(vectors, rows)
        cells, near = _nearest(vectors, rows, self._centres)
        self._strange = float(np.quantile(near, _STRANGE))
        order = np.argsort(cells, kind="stable")
        cells, rows = cells[order], rows[order]
        self._sizes = np.bincount(cells, minlength=len(self._centres))
        self._rooms = self._sizes + self._sizes // 4 + _ROOM
        self._starts = np.cumsum(self._rooms) - self._rooms
        self._end = int(self._rooms.sum())
        first = np.cumsum(self._sizes) - self._sizes
        places = self._starts[cells] + np.arange(len(rows)) - first[cells]
        room = self._end + self._end // _TAIL
        self._vectors = np.empty((room, DIM), np.float32)
        self._rows = np.full(room, NO_ROW)
        for start in range(0, len(rows), _TILE):
            part = slice(start, start + _TILE)
            self._vectors[places[part]] = vectors[rows[part]]
        self._rows[places] = rows
        self._places = np.full(int(rows.max()) + 1, NO_ROW)
        self._places[rows] = places
        self._cells = np.zeros(len(self._places), np.int32)
        self._cells[rows] = cells
        self._count = self.built = len(rows)
        self.changes = 0
        """Since it was built of `built` vectors."""
        self.strangers = 0
        """Of the changes those that brought a vector to where there is no cell for it: little finds it."""

    def __len__(self) -> int:
        return self._count

    @property
    def number(self) -> int:
        """Of cells."""
        return len(self._centres)

    @property
    def nbytes(self) -> int:
        """With the room that is held for cells to grow."""
        arrays = (self._vectors, self._rows, self._places, self._cells, self._centres)
        return sum(array.nbytes for array in arrays)

    def put(self, vectors: Float32, rows: Int64) -> None:
        """Take in rows that are not there."""
        if not len(rows):
            return
        self._known(int(rows.max()))
        near = vectors @ self._centres.T
        cells = near.argmax(axis=1)
        for row, cell, vector in zip(rows.tolist(), cells.tolist(), vectors, strict=True):
            size = int(self._sizes[cell])
            if size == self._rooms[cell]:
                self._move(cell)
            place = int(self._starts[cell]) + size
            self._vectors[place], self._rows[place] = vector, row
            self._places[row], self._cells[row] = place, cell
            self._sizes[cell] = size + 1
        self._count += len(rows)
        self.changes += len(rows)
        self.strangers += int((near.max(axis=1) < self._strange).sum())

    def discard(self, rows: Int64) -> None:
        """Let go of those rows that are there. The last of a cell takes the place."""
        for row in rows[rows < len(self._places)].tolist():
            place = int(self._places[row])
            if place == NO_ROW:
                continue
            cell = int(self._cells[row])
            self._sizes[cell] -= 1
            last = int(self._starts[cell] + self._sizes[cell])
            moved = self._rows[last]
            self._vectors[place], self._rows[place] = self._vectors[last], moved
            self._places[moved] = place
            self._places[row] = self._rows[last] = NO_ROW
            self._count -= 1
            self.changes += 1

    def search(self, asked: Float32, count: int, probes: int) -> Int64:
        """The `count` rows of the largest inner products with each of float32 [n, 64], of the `probes` cells
        nearest to it, or more where these hold little: int64 [n, count] in no order, NO_ROW in the rest."""
        out = np.full((len(asked), count), NO_ROW)
        for start in range(0, len(asked), _TOGETHER):
            part = slice(start, start + _TOGETHER)
            self._search(asked[part], out[part], probes)
        return out

    def _search(self, asked: Float32, out: Int64, probes: int) -> None:
        # One product a user, so that nobody's hangs on who else is asked for.
        near = np.matvec(self._centres, asked)
        probes = min(probes, self.number)
        cells = np.argpartition(near, self.number - probes, axis=1)[:, self.number - probes :]
        sizes = self._sizes[cells]
        thin = sizes.sum(axis=1) < min(LEAST * out.shape[1], self._count)
        if thin.any():
            more = np.full((int(thin.sum()), out.shape[1]), NO_ROW)
            self._search(asked[thin], more, 2 * probes)
            out[thin] = more
            asked, cells, sizes = asked[~thin], cells[~thin], sizes[~thin]
        ends = np.cumsum(sizes, axis=1)
        users = np.flatnonzero(~thin)
        together = max(1, _VALUES // max(1, int(ends[:, -1].max(initial=0))))
        for start in range(0, len(users), together):
            part = slice(start, start + together)
            self._take(asked[part], cells[part], ends[part], out, users[part])

    def _take(self, asked: Float32, cells: Int64, ends: Int64, out: Int64, users: Int64) -> None:
        """The best of each user's cells, the vectors of which end at `ends`, into rows `users` of out."""
        begins = ends - self._sizes[cells]
        values = self._values(asked, cells, begins)
        for at, user in enumerate(users.tolist()):
            found = _largest(values[at, : ends[at, -1]], out.shape[1])
            place = ends[at].searchsorted(found, side="right")
            inside = found - begins[at, place]
            out[user, : len(found)] = self._rows[self._starts[cells[at, place]] + inside]

    def _values(self, asked: Float32, cells: Int64, at: Int64) -> Float32:
        """Inner products with all vectors of each user's cells, which begin `at`: float32 [n, most].

        Users who look into the same cell do so one after the other, while it lies in the core's cache."""
        most = int((at[:, -1] + self._sizes[cells[:, -1]]).max(initial=0))
        out = np.empty((len(asked), most), np.float32)
        order = np.argsort(cells, axis=None, kind="stable")
        chosen = cells.ravel()[order]
        starts = self._starts[chosen]
        turns = zip(
            (order // cells.shape[1]).tolist(),
            at.ravel()[order].tolist(),
            starts.tolist(),
            (starts + self._sizes[chosen]).tolist(),
            strict=True,
        )
        vectors = self._vectors
        for user, begin, start, end in turns:
            np.dot(vectors[start:end], asked[user], out=out[user, begin : begin + end - start])
        return out

    def _move(self, cell: int) -> None:
        """To the end, with twice the room."""
        size, start, room = int(self._sizes[cell]), int(self._starts[cell]), 2 * int(self._rooms[cell])
        to = self._end
        lacking = to + room - len(self._rows)
        if lacking > 0:
            lacking = max(lacking, len(self._rows) // _TAIL)
            self._vectors = np.concatenate([self._vectors, np.empty((lacking, DIM), np.float32)])
            self._rows = np.concatenate([self._rows, np.full(lacking, NO_ROW)])
        self._vectors[to : to + size] = self._vectors[start : start + size]
        rows = self._rows[start : start + size]
        self._rows[to : to + size] = rows
        self._places[rows] = np.arange(to, to + size)
        rows[:] = NO_ROW
        self._starts[cell], self._rooms[cell] = to, room
        self._end = to + room

    def _known(self, row: int) -> None:
        """Make room for places of rows up to this one."""
        lacking = row + 1 - len(self._places)
        if lacking > 0:
            lacking = max(lacking, len(self._places) // 4)
            self._places = np.concatenate([self._places, np.full(lacking, NO_ROW)])
            self._cells = np.concatenate([self._cells, np.zeros(lacking, np.int32)])


def _learned(vectors: Float32, rows: Int64) -> Float32:
    """Centres by spherical k-means (Dhillon and Modha, 2001), unit float32 [c, 64], from a sample."""
    number = min(len(rows), math.ceil(CENTRES * math.sqrt(len(rows))))
    rng = np.random.default_rng(_SEED)
    sample = rng.choice(rows, min(len(rows), _SAMPLE * number), replace=False)
    centres = vectors[sample[:number]].copy()
    for _ in range(_ROUNDS):
        cells, _ = _nearest(vectors, sample, centres)
        order = np.argsort(cells, kind="stable")
        there, first = np.unique(cells[order], return_index=True)
        sums = np.add.reduceat(vectors[sample[order]], first, axis=0)
        lengths = np.linalg.norm(sums, axis=1, keepdims=True)
        centres[there] = np.where(lengths > 0, sums / np.where(lengths > 0, lengths, 1), centres[there])
    return np.asarray(centres, np.float32)


def _nearest(vectors: Float32, rows: Int64, centres: Float32) -> tuple[Int64, Float32]:
    """The cell of each of the rows, int64, and the product with its centre."""
    cells, near = np.empty(len(rows), np.int64), np.empty(len(rows), np.float32)
    for start in range(0, len(rows), _TILE):
        part = slice(start, start + _TILE)
        values = vectors[rows[part]] @ centres.T
        cells[part] = values.argmax(axis=1)
        near[part] = values.max(axis=1)
    return cells, near


def _largest(values: Float32, count: int) -> Int64:
    """Places of the `count` largest, in no order; all of them where there are no more."""
    if len(values) <= count:
        return np.arange(len(values))
    rank = count // _THIN + count // (2 * _THIN) + 16
    few = values[::_THIN]
    if rank < len(few):
        bound = np.partition(few, len(few) - rank)[len(few) - rank]
        large = np.flatnonzero(values >= bound)
        if len(large) >= count:
            return np.asarray(large[_last(values[large], count)], np.int64)
    return _last(values, count)


def _last(values: Float32, count: int) -> Int64:
    return np.argpartition(values, len(values) - count)[len(values) - count :]
