"""Several strategies as one: their candidates together, their values weighed.

By scores, each strategy's values are brought to [0, 1] over a user's candidates and summed with the weights:
its largest is 1, and 0 is its smallest, or what is 0 itself where values begin there; an item that it says
nothing of has 0. By ranks, an item at rank r of a strategy has 61 / (60 + r) from it (reciprocal rank fusion;
Cormack, Clarke and Büttcher, 2009).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from state.strategies.base import Ask, Strategy
from state.strategies.field import NO_ROW, Bool, Float32, Int64, union

RANK_SMOOTHING = 60.0


@dataclass(slots=True, frozen=True)
class Blended:
    """Candidates of n users, best first: rows int64 [n, c], NO_ROW where there are no more; their blended
    values float32 [n, c], 0 to 1, or -inf for none; and each strategy's part of these, float32
    [strategies, n, c]."""

    rows: Int64
    values: Float32
    parts: Float32


class Blend:
    """Strategies with their weights, which are made to sum to 1."""

    def __init__(self, strategies: Mapping[str, Strategy], weights: Mapping[str, float], by_ranks: bool):
        total = sum(weights[name] for name in strategies)
        self.names: Sequence[str] = tuple(strategies)
        self._strategies = tuple(strategies.values())
        self._weights = np.array([weights[name] / total for name in strategies], np.float32)
        self._by_ranks = by_ranks

    def strategy(self, name: str) -> Strategy:
        return self._strategies[self.names.index(name)]

    def candidates(self, ask: Ask, count: int) -> Blended:
        """The best `count` of what any of the strategies brings."""
        rows = union([strategy.propose(ask, count) for strategy in self._strategies])
        features, spoken = self.features(ask, rows)
        parts = features * self._weights[:, None, None]
        values = parts.sum(axis=0)
        values[(rows == NO_ROW) | ~spoken] = -np.inf
        ties = ask.field.items.ties.places.take(np.maximum(rows, 0))
        # Parts of one sum may round differently in another order of the candidates.
        order = np.lexsort((ties, -np.round(values, 6)), axis=1)[:, :count]
        return Blended(
            np.take_along_axis(rows, order, axis=1),
            np.take_along_axis(values, order, axis=1),
            np.take_along_axis(parts, order[None], axis=2),
        )

    def features(self, ask: Ask, rows: Int64) -> tuple[Float32, Bool]:
        """What is weighed, 0 to 1, float32 [strategies, n, c] for rows [n, c], and of which rows anything is
        said, bool [n, c]."""
        features, spoken = [], np.zeros(rows.shape, np.bool_)
        for strategy in self._strategies:
            values = strategy.rate(ask, rows)
            spoken |= values > -np.inf
            features.append(_ranks(values) if self._by_ranks else _scaled(values, strategy.from_zero))
        return np.stack(features).astype(np.float32), spoken


def _scaled(values: Float32, from_zero: bool) -> Float32:
    told = values > -np.inf
    low = np.where(told, values, np.inf).min(axis=1, keepdims=True, initial=np.inf)
    if from_zero:
        low = np.zeros_like(low)
    high = np.where(told, values, -np.inf).max(axis=1, keepdims=True, initial=-np.inf)
    span = np.where(high > low, high - low, 1.0)
    floor = np.where(high > low, low, high - 1.0)
    return np.asarray(np.where(told, values - np.where(told, floor, 0), 0) / span, np.float32)


def _ranks(values: Float32) -> Float32:
    told = values > -np.inf
    order = np.argsort(-values, axis=1, kind="stable")
    ranks = np.empty(values.shape, np.float32)
    np.put_along_axis(ranks, order, np.arange(1, values.shape[1] + 1, dtype=np.float32)[None], axis=1)
    return np.asarray(np.where(told, (RANK_SMOOTHING + 1) / (RANK_SMOOTHING + ranks), 0), np.float32)
