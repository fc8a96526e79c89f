"""An approximate index of the catalogue's vectors (`state.strategies.cells`).

The writer of the catalogue keeps it level, the reader searches; both hold a lock, the writer for a few items
at a time. What is found is scored by the catalogue's own vectors, and judged by its own columns, so an index
that lags by a moment misses a new item, and shows nothing that is gone.
"""

import logging
import threading
from collections.abc import Sequence

import numpy as np

from state.catalogue import Columns
from state.strategies.cells import Cells, probes_of
from state.strategies.field import NO_ROW, Float32, Int64

_AT_ONCE = 64
"""Items that are added while a reader waits."""
_STALE = 0.25
"""Changes for each item since the cells were learned, before they are learned anew."""
_STRANGER = 5
"""Changes that an item counts as which lies where no item was: a third of those near it would be missed."""

_log = logging.getLogger(__name__)


class NearestRows:
    """Rows of the catalogue by their vectors; in use once there are more than `above`."""

    def __init__(self, above: int, probes: int = 0) -> None:
        """A search looks into `probes` cells; 0 lets it follow their number."""
        self._above, self._probes = above, probes
        self._lock = threading.Lock()
        self._cells: Cells | None = None

    @property
    def ready(self) -> bool:
        """Whether it knows every item."""
        return self._cells is not None

    def __len__(self) -> int:
        cells = self._cells
        return 0 if cells is None else len(cells)

    def changed(self, columns: Columns, rows: Sequence[int], count: int) -> None:
        """Bring rows to what the columns say; `count` rows are in use."""
        if count <= self._above:
            with self._lock:
                self._cells = None
            return
        cells = self._cells
        changed = np.unique(np.array(rows, np.int64))
        if cells is None or _stale(cells, len(changed)):
            self._build(columns, count)
            return
        for start in range(0, len(changed), _AT_ONCE):
            self._replace(cells, columns, changed[start : start + _AT_ONCE])
        if _stale(cells):
            self._build(columns, count)

    def search(self, asked: Float32, count: int) -> Int64:
        """About the `count` rows of the largest inner products with float32 [n, 64]: int64 [n, count],
        NO_ROW where there are no more."""
        with self._lock:
            # The writer may have let go of it since it was ready.
            cells = self._cells
            if cells is None:
                return np.full((len(asked), count), NO_ROW)
            return cells.search(asked, count, self._probes or probes_of(cells.number))

    def _build(self, columns: Columns, count: int) -> None:
        rows = np.flatnonzero(columns.hashes[:count] != 0)
        rows = rows[columns.vectors[rows].any(axis=1)]
        built = Cells(columns.vectors, rows) if len(rows) else None
        with self._lock:
            self._cells = built
        _log.info("an index of %d items is in use", len(rows))

    def _replace(self, cells: Cells, columns: Columns, rows: Int64) -> None:
        vectors = columns.vectors[rows]
        there = (columns.hashes[rows] != 0) & vectors.any(axis=1)
        with self._lock:
            cells.discard(rows)
            cells.put(vectors[there], rows[there])


def _stale(cells: Cells, more: int = 0) -> bool:
    """Whether so many more changes are too many."""
    return cells.changes + more + (_STRANGER - 1) * cells.strangers > _STALE * cells.built
