"""Models that look for what is near to what the user took: by content, and by who else took it."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from state.errors import LearningError
from state.learning.baselines.choosing import best_of
from state.learning.interactions import Float32, Interactions, ItemContent
from state.learning.metrics import item_means
from state.learning.protocol import Histories, Padded, Recommender, Task, Tell
from state.signals import REJECTING

WINDOW = 200
"""Events of a history that are looked at."""
NEIGHBOURS = 200
HALF_LIVES = (2.0, 8.0, 32.0)
"""Of the recency mean, tried on validation."""
_TOGETHER = 1_000
"""Items whose neighbours are worked out at a time."""


def recency_weights(past: Padded, half_life: float) -> Float32:
    """Weights [n, length] that halve with every `half_life` events back; inf for equal ones."""
    back = np.arange(past.items.shape[1])[::-1]
    fading = np.exp2(-back / half_life) if np.isfinite(half_life) else np.ones(len(back))
    return np.asarray(np.where(past.mask, fading, 0.0), np.float32)


class RecencyMean:
    """Cosine of an item to the mean of the user's past items, weighted by recency; what was rejected is left
    out. An item without content, or a user without a past, scores nothing."""

    name = "recency-mean"

    def __init__(self, content: ItemContent, half_life: float) -> None:
        self._vectors = item_means(content)
        self._known = self._vectors.any(axis=1)
        self._half_life = half_life

    def scores(self, histories: Histories) -> Float32:
        past = histories.padded(WINDOW)
        weights = recency_weights(past, self._half_life) * ~REJECTING[past.actions]
        means = np.einsum("nl,nld->nd", weights, self._vectors[np.maximum(past.items, 0)])
        values = np.asarray(means @ self._vectors.T, np.float32)
        values[:, ~self._known] = -np.inf
        values[~means.any(axis=1)] = -np.inf
        return values


class ItemKnn:
    """The sum of an item's similarities to the user's past items (Deshpande and Karypis 2004).

    `similar` is of `similarities`; a past item weighs half as much for every `half_life` events back.
    """

    name = "item-knn"

    def __init__(self, similar: Any, half_life: float) -> None:
        self._similar = similar
        self._half_life = half_life

    def scores(self, histories: Histories) -> Float32:
        sparse = scipy_sparse()
        past = histories.padded(WINDOW)
        rows, places = np.nonzero(past.mask)
        weights = recency_weights(past, self._half_life)[rows, places]
        shape = (len(histories), self._similar.shape[0])
        taken = sparse.csr_matrix((weights, (rows, past.items[rows, places])), shape=shape)
        return np.asarray((taken @ self._similar).toarray(), np.float32)


def similarities(train: Interactions, shrink: float, count: int = NEIGHBOURS) -> Any:
    """A sparse matrix [items, items]: in row j the similarities of items i to j, of which j is among the
    `count` nearest of i: |users of both| / (sqrt(|users of i| |users of j|) + shrink)."""
    sparse = scipy_sparse()
    ones = np.ones(len(train), np.float32)
    taken = sparse.csr_matrix((ones, (train.user, train.item)), shape=(train.users, train.items))
    taken.data[:] = 1.0
    lengths = np.sqrt(np.bincount(taken.indices, minlength=train.items)).astype(np.float32)
    columns = taken.tocsc()
    blocks = []
    for start in range(0, train.items, _TOGETHER):
        both = (columns[:, start : start + _TOGETHER].T @ columns).tocoo()
        other = both.col != both.row + start
        rows, cols, common = both.row[other], both.col[other], both.data[other]
        values = common / (lengths[rows + start] * lengths[cols] + shrink)
        kept = largest(rows, values, count)
        shape = (min(_TOGETHER, train.items - start), train.items)
        blocks.append(sparse.csr_matrix((values[kept], (rows[kept], cols[kept])), shape=shape))
    return sparse.vstack(blocks).T.tocsr()


def largest(rows: NDArray[np.int32], values: Float32, count: int) -> NDArray[np.int64]:
    """Places of the `count` largest values of each row."""
    order = np.lexsort((-values, rows))
    ordered = rows[order]
    first = np.searchsorted(ordered, ordered)
    return np.asarray(order[np.arange(len(order)) - first < count], np.int64)


def scipy_sparse() -> Any:
    try:
        from scipy import sparse
    except ImportError as error:
        raise LearningError("item-knn takes scipy: install penchant[learn]") from error
    return sparse


def recency_mean(task: Task, tell: Tell) -> Recommender:
    if task.content is None:
        raise LearningError("recency-mean ranks by content, and nothing is told of these items")
    tried = [(f"half-life {each:g}", RecencyMean(task.content, each)) for each in HALF_LIVES]
    return best_of(tried, len(tried), task, tell)[1]


def item_knn(task: Task, tell: Tell) -> Recommender:
    return best_of(_knns(task.train), 4, task, tell)[1]


def _knns(train: Interactions) -> Iterator[tuple[str, ItemKnn]]:
    for shrink in (0.0, 20.0):
        similar = similarities(train, shrink)
        for half_life in (np.inf, 10.0):
            yield f"shrink {shrink:g}, half-life {half_life:g}", ItemKnn(similar, half_life)
