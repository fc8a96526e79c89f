"""Models that know no user: chance, popularity, and what was popular lately."""

import numpy as np
from numpy.typing import NDArray

from state.learning.interactions import Float32, Interactions
from state.learning.protocol import Histories, Recommender, Task, Tell

HALF_LIFE_DAYS = 30.0
_DAY_MS = 86_400_000
_STEPS = 4
"""Moments of a half-life at which the counts are kept."""
_CELLS = 50_000_000
"""Kept counts, moments times items: of larger sets the moments lie further apart."""


class Random:
    """Scores drawn anew for every history, so one seed always gives the same."""

    name = "random"

    def __init__(self, items: int, seed: int) -> None:
        self._items = items
        self._rng = np.random.default_rng(seed)

    def scores(self, histories: Histories) -> Float32:
        return self._rng.random((len(histories), self._items), dtype=np.float32)


class Popularity:
    """Events of each item in training. Equal counts are told apart by nothing, so they rank as ties do."""

    name = "popularity"

    def __init__(self, train: Interactions) -> None:
        self._counts = train.counts.astype(np.float32)

    def scores(self, histories: Histories) -> Float32:
        return np.tile(self._counts, (len(histories), 1))


class RecentPopularity:
    """Events of each item in training up to the read, each counting half as much for every half-life since.

    Counts are kept at moments a quarter of a half-life apart, and a read takes the latest before it.
    """

    name = "recent-popularity"

    def __init__(self, train: Interactions, half_life_days: float = HALF_LIFE_DAYS) -> None:
        first, last = int(train.time_ms.min()), int(train.time_ms.max())
        wanted = half_life_days * _DAY_MS / _STEPS
        most = max(2, _CELLS // train.items)
        self._step = max(wanted, (last - first) / (most - 1))
        self._first = first
        self._kept = _decayed(train, first, self._step, half_life_days * _DAY_MS)

    def scores(self, histories: Histories) -> Float32:
        moments = np.floor((histories.read_ms - self._first) / self._step).astype(np.int64)
        return np.asarray(self._kept[np.clip(moments, 0, len(self._kept) - 1)])


def _decayed(train: Interactions, first: int, step: float, half_life: float) -> Float32:
    """Counts at first + k step of what came before, float32 [moments, items]."""
    moment = np.floor((train.time_ms - first) / step).astype(np.int64)
    count = int(moment.max()) + 2
    kept = np.zeros((count, train.items), np.float32)
    # An event counts from the next moment on, where it is already of some age.
    age = (moment + 1) * step - (train.time_ms - first)
    np.add.at(kept, (moment + 1, train.item), np.exp2(-age / half_life).astype(np.float32))
    fade = np.float32(2.0 ** (-step / half_life))
    for place in range(1, count):
        kept[place] += kept[place - 1] * fade
    return kept


Moments = NDArray[np.int64]


def random(task: Task, tell: Tell) -> Recommender:
    return Random(task.train.items, task.seed)


def popularity(task: Task, tell: Tell) -> Recommender:
    return Popularity(task.train)


def recent_popularity(task: Task, tell: Tell) -> Recommender:
    return RecentPopularity(task.train)
