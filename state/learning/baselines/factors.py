"""Matrix factorisation by the library `implicit`: alternating least squares, and ranking by pairs."""

from collections.abc import Iterator
from typing import Any, Literal

import numpy as np

from state.errors import LearningError
from state.learning.baselines.choosing import best_of
from state.learning.interactions import Float32, Interactions
from state.learning.protocol import Histories, Recommender, Task, Tell

DIMS = 64
Kind = Literal["als", "bpr"]


class Factors:
    """Inner products of user and item factors.

    As serving would, a user's factors are made anew from the history by the one step of least squares that
    has a closed form (ALS, Hu, Koren, Volinsky 2008). BPR (Rendle et al. 2009) has none: it keeps those of
    training, and gives who is unknown the mean of all, which ranks by what is liked in general.
    """

    def __init__(self, kind: Kind, model: Any, train: Interactions) -> None:
        self.name = kind
        self._model = model
        self._items = np.asarray(model.item_factors, np.float32)
        self._users = np.asarray(model.user_factors, np.float32)
        known = np.diff(train.starts) > 0
        self._users[~known] = self._users[known].mean(axis=0)
        self._known = train.counts > 0

    def scores(self, histories: Histories) -> Float32:
        users = self._users[histories.users] if self.name == "bpr" else self._folded(histories)
        values = np.asarray(users @ self._items.T, np.float32)
        values[:, ~self._known] = -np.inf
        return values

    def _folded(self, histories: Histories) -> Float32:
        past = histories.padded()
        rows, places = np.nonzero(past.mask)
        matrix = _matrix(rows, past.items[rows, places], (len(histories), len(self._items)))
        solved = self._model.recalculate_user(np.arange(len(histories)), matrix)
        return np.asarray(solved, np.float32)


def als(task: Task, tell: Tell) -> Recommender:
    return best_of(_models("als", task), 4, task, tell)[1]


def bpr(task: Task, tell: Tell) -> Recommender:
    return best_of(_models("bpr", task), 4, task, tell)[1]


def _models(kind: Kind, task: Task) -> Iterator[tuple[str, Factors]]:
    """Four settings of each, for the same budget."""
    train = task.train
    matrix = _matrix(train.user, train.item, (train.users, train.items))
    for first in (0.01, 0.1):
        for second in (1.0, 10.0) if kind == "als" else (50, 200):
            model = _unfitted(kind, first, second, task.seed)
            model.fit(matrix, show_progress=False)
            yield f"{first:g}, {second:g}", Factors(kind, model, train)


def _unfitted(kind: Kind, first: float, second: float, seed: int) -> Any:
    try:
        from implicit.als import AlternatingLeastSquares
        from implicit.bpr import BayesianPersonalizedRanking
    except ImportError as error:
        raise LearningError(f"{kind} is fitted by implicit: install penchant[learn]") from error
    if kind == "als":
        return AlternatingLeastSquares(
            DIMS, regularization=first, alpha=second, iterations=15, use_gpu=False, num_threads=1,
            random_state=seed,
        )  # fmt: skip
    return BayesianPersonalizedRanking(
        DIMS, learning_rate=first, regularization=0.01, iterations=int(second), use_gpu=False, num_threads=1,
        random_state=seed,
    )  # fmt: skip


def _matrix(rows: Any, columns: Any, shape: tuple[int, int]) -> Any:
    from scipy import sparse

    made = sparse.csr_matrix((np.ones(len(rows), np.float32), (rows, columns)), shape=shape)
    made.data[:] = 1.0
    return made
