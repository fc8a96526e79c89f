"""How sure a figure is: bootstrap over users, since the events of one user are no independent witnesses."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from state.learning.interactions import Int32

Float64 = NDArray[np.float64]

DRAWS = 2_000
LEVEL = 0.95
_CELLS = 4_000_000
"""Weights in memory at once."""


class Interval(NamedTuple):
    """A mean, and the bounds between which 95 % of the resampled means lie."""

    mean: float
    low: float
    high: float


class Difference(NamedTuple):
    """The mean difference of two models on the same events, with its interval, and the two-sided p-value:
    twice the part of the resampled differences on the other side of zero, 1 / DRAWS at least."""

    mean: float
    low: float
    high: float
    p: float


def interval(values: Float64, users: Int32, seed: int = 0) -> Interval:
    """Of the mean of values [n], drawn by user (percentile bootstrap, Efron 1979; clusters drawn whole)."""
    draws = _draws(values, users, seed)
    low, high = np.quantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(values.mean()), float(low), float(high))


def paired(one: Float64, other: Float64, users: Int32, seed: int = 0) -> Difference:
    """Of `one` less `other`, values of the same n events."""
    difference = one - other
    return _difference(float(difference.mean()), _draws(difference, users, seed))


def paired_over_seeds(one: Float64, other: Float64, users: Int32, seed: int = 0) -> Difference:
    """Of `one` [s, n] less `other` [t, n], values of the same n events by s and t seeds: users are drawn, for
    both alike, and the seeds of each."""
    if len(one) == len(other) == 1:
        return paired(one[0], other[0], users, seed)
    _, place = np.unique(users, return_inverse=True)
    counts = np.bincount(place).astype(np.float64)
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(len(counts), np.full(len(counts), 1 / len(counts)), size=DRAWS)
    events = drawn @ counts
    draws = np.zeros(DRAWS)
    for sign, values in ((1, one), (-1, other)):
        sums = np.stack([np.bincount(place, each) for each in values])
        seeds = rng.multinomial(len(values), np.full(len(values), 1 / len(values)), size=DRAWS)
        draws += sign * ((drawn @ sums.T) * seeds).sum(axis=1) / len(values) / events
    return _difference(float(one.mean() - other.mean()), draws)


def _difference(mean: float, draws: Float64) -> Difference:
    low, high = np.quantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    tail = min((draws <= 0).mean(), (draws >= 0).mean())
    return Difference(mean, float(low), float(high), float(min(1.0, max(2 * tail, 1 / DRAWS))))


def _draws(values: Float64, users: Int32, seed: int) -> Float64:
    """Means over all events of DRAWS resamples of the users, each drawn as often as it is."""
    _, place = np.unique(users, return_inverse=True)
    counts = np.bincount(place).astype(np.float64)
    sums = np.bincount(place, values)
    rng = np.random.default_rng(seed)
    count = len(counts)
    step = max(1, _CELLS // count)
    out = np.empty(DRAWS)
    for start in range(0, DRAWS, step):
        size = min(step, DRAWS - start)
        drawn = rng.integers(count, size=(size, count))
        out[start : start + size] = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    return out
