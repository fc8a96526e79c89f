"""An approximate index of the catalogue's vectors: HNSW (Malkov and Yashunin, 2016), by usearch.

The writer of the catalogue keeps it level, the reader searches; both hold a lock, the writer for a few items
at a time. What is found is scored by the catalogue's own vectors, and judged by its own columns, so an index
that lags by a moment misses a new item, and shows nothing that is gone.
"""

import logging
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np

from state.catalogue import Columns
from state.errors import ModelError
from state.layout import DIM
from state.strategies.field import NO_ROW, Float32, Int64

LINKS = 16
BUILD = 128
"""Candidates that are kept while an item is added."""
_AT_ONCE = 64
"""Items that are added while a reader waits."""
_BULK = 10_000
_STALE = 0.5
"""Share of all adding that may be of changed items before the index is built anew: what is taken out leaves
ways behind that lead nowhere."""

_log = logging.getLogger(__name__)


class NearestRows:
    """Rows of the catalogue by their vectors; in use once there are more than `above`."""

    def __init__(self, above: int) -> None:
        """Raises ModelError where usearch is not installed."""
        self._above = above
        self._new = _factory()
        self._lock = threading.Lock()
        self._index: Any = None
        self._replaced = 0

    @property
    def ready(self) -> bool:
        """Whether it knows every item."""
        return self._index is not None

    def __len__(self) -> int:
        return 0 if self._index is None else len(self._index)

    def changed(self, columns: Columns, rows: Sequence[int], count: int) -> None:
        """Bring rows to what the columns say; `count` rows are in use."""
        if count <= self._above:
            with self._lock:
                self._index = None
            return
        if self._index is None or self._replaced > _STALE * count:
            self._build(columns, count)
            return
        changed = np.unique(np.array(rows, np.int64))
        for start in range(0, len(changed), _AT_ONCE):
            self._replace(columns, changed[start : start + _AT_ONCE], count)

    def search(self, asked: Float32, count: int) -> Int64:
        """About the `count` rows of the largest inner products with float32 [n, 64]: int64 [n, count],
        NO_ROW where there are no more."""
        out = np.full((len(asked), count), NO_ROW)
        with self._lock:
            # The writer may have let go of it since it was ready.
            if self._index is None:
                return out
            found = self._index.search(np.ascontiguousarray(asked), count, threads=1)
        if len(asked) == 1:
            out[0, : len(found.keys)] = np.asarray(found.keys, np.int64).reshape(-1)[:count]
            return out
        for user, number in enumerate(np.asarray(found.counts).tolist()):
            out[user, :number] = found.keys[user][:number].astype(np.int64)
        return out

    def _build(self, columns: Columns, count: int) -> None:
        index = self._new()
        rows = np.flatnonzero(columns.hashes[:count] != 0)
        rows = rows[columns.vectors[rows].any(axis=1)]
        for start in range(0, len(rows), _BULK):
            part = rows[start : start + _BULK]
            index.add(part.astype(np.uint64), columns.vectors[part], copy=True)
        with self._lock:
            self._index, self._replaced = index, 0
        _log.info("an index of %d items is in use", len(rows))

    def _replace(self, columns: Columns, rows: Int64, count: int) -> None:
        vectors = columns.vectors[rows]
        there = (columns.hashes[rows] != 0) & vectors.any(axis=1)
        with self._lock:
            for row in rows.tolist():
                if row in self._index:
                    self._index.remove(row)
                    self._replaced += 1
            if there.any():
                self._index.add(rows[there].astype(np.uint64), vectors[there], threads=1, copy=True)


def _factory() -> Any:
    try:
        from usearch.index import Index
    except ImportError as error:
        raise ModelError(
            "recommend.index_above asks for an index, which takes usearch: install penchant[index], or set "
            "it to 0"
        ) from error
    return lambda: Index(ndim=DIM, metric="ip", dtype="f16", connectivity=LINKS, expansion_add=BUILD)
