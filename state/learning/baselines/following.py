"""What others took next: the collaborative strategy's counts, lists and formula, but that nothing fades."""

from typing import Any

import numpy as np

from state.learning.baselines.nearest import largest, scipy_sparse
from state.learning.interactions import Bool, Float32, Interactions
from state.learning.protocol import Histories, Recommender, Task, Tell
from state.signals import WELCOMING
from state.strategies.collaborative import FADING, LATEST, SHRINK
from state.strategies.following import WINDOW

KEPT = 64
"""Items that are known to follow upon an item."""
_HISTORY = 32
"""Events of which the latest are looked for, as the ring has them."""


class Following:
    """Scores by `state.strategies.collaborative`; an item that nothing speaks for scores nothing."""

    name = "following"

    def __init__(self, train: Interactions) -> None:
        sparse = scipy_sparse()
        counts, taken = pair_counts(train)
        kept = largest(counts.row, counts.data, KEPT)
        rows, cols, values = counts.row[kept], counts.col[kept], counts.data[kept]
        similar = values / (np.sqrt(taken[rows] * taken[cols]) + SHRINK)
        self._similar = sparse.csr_matrix((similar, (rows, cols)), shape=(train.items, train.items))

    def scores(self, histories: Histories) -> Float32:
        past = histories.padded(_HISTORY)
        welcome = past.mask & WELCOMING[past.actions]
        back = np.cumsum(welcome[:, ::-1], axis=1)[:, ::-1] - 1
        weights = np.where(welcome & (back < LATEST), np.exp2(-back / FADING), 0.0)
        rows, places = np.nonzero(weights)
        shape = (len(histories), self._similar.shape[0])
        asked = scipy_sparse().csr_matrix(
            (weights[rows, places], (rows, past.items[rows, places])), shape=shape
        )
        values = np.asarray((asked @ self._similar).toarray(), np.float32)
        return np.where(values > 0, values, np.float32(-np.inf))


def pair_counts(train: Interactions) -> tuple[Any, Float32]:
    """How often each item was followed by each within WINDOW others, as a sparse matrix in coordinates, and
    how often each was taken anew, float32 [items]."""
    chosen = np.flatnonzero(WELCOMING[train.action])
    users, items = train.user[chosen], train.item[chosen]
    taken = np.ones(len(chosen), np.bool_)
    pairs = []
    for back in range(1, WINDOW + 1):
        same = _same_user(users, back)
        taken[back:] &= ~(same & (items[back:] == items[:-back]))
        pairs.append((back, items[:-back], items[back:], same))
    rows = np.concatenate([before[same & taken[back:]] for back, before, _, same in pairs])
    cols = np.concatenate([after[same & taken[back:]] for back, _, after, same in pairs])
    ones = np.ones(len(rows), np.float32)
    counts = scipy_sparse().coo_matrix((ones, (rows, cols)), shape=(train.items, train.items))
    counts.sum_duplicates()
    return counts, np.bincount(items[taken], minlength=train.items).astype(np.float32)


def _same_user(users: Any, back: int) -> Bool:
    return np.asarray(users[back:] == users[:-back], np.bool_)


def following(task: Task, tell: Tell) -> Recommender:
    return Following(task.train)
