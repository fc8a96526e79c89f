"""Weights of a blend, learned from what users took of the candidates that they had.

A choice is the candidates of one user at one moment, with what each strategy says of them, x in [0, 1], and
the one that was taken next. Weights w >= 0 are those of the largest

    sum over choices of log(exp(w . x_taken) / sum of exp(w . x)) - RIDGE |w|^2

(a conditional logit; McFadden, 1974). Only their ratios order anything, so they are told as shares.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from state.errors import LearningError

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]

RIDGE = 1.0
FEWEST = 50
"""Choices that weights are learned from."""
HELD_OUT = 0.3
"""Share of the choices, the latest, that weights are judged on."""
_STEPS = 200


class Choices(NamedTuple):
    """m choices among c candidates each: features float32 [m, strategies, c], NaN where there is no
    candidate, and the place of what was taken, int64 [m], -1 where it was not among them."""

    features: Float32
    taken: NDArray[np.int64]

    def part(self, chosen: slice | NDArray[np.bool_]) -> "Choices":
        return Choices(self.features[chosen], self.taken[chosen])


class Learned(NamedTuple):
    """Shares by strategy, and NDCG@10 on the choices held out: of the learned weights, of equal ones, and of
    each strategy alone."""

    weights: dict[str, float]
    figures: dict[str, float]


def learn_weights(names: Sequence[str], choices: Choices) -> Learned:
    """Raises LearningError where too few choices were among the candidates."""
    held = round(len(choices.taken) * (1 - HELD_OUT))
    earlier, later = choices.part(slice(held)), choices.part(slice(held, None))
    known = earlier.part(earlier.taken >= 0)
    if len(known.taken) < FEWEST or not len(later.taken):
        raise LearningError(
            f"{len(known.taken)} events took what stood among the candidates, and {FEWEST} are wanted to "
            "learn from"
        )
    weights = fitted(known)
    told: Mapping[str, Float64] = {
        "learned": weights,
        "equal": np.ones(len(names)),
        **{name: np.eye(len(names))[place] for place, name in enumerate(names)},
    }
    total = weights.sum() or 1.0
    shares = {name: round(float(each / total), 3) for name, each in zip(names, weights, strict=True)}
    return Learned(shares, {name: ndcg(later, each) for name, each in told.items()})


def fitted(choices: Choices) -> Float64:
    """The weights [strategies], for choices that are all among their candidates."""
    features = choices.features.astype(np.float64)
    there = ~np.isnan(features[:, 0])
    filled = np.nan_to_num(features)
    taken = filled[np.arange(len(filled)), :, choices.taken]

    def loss(weights: Float64) -> tuple[float, Float64]:
        logits = np.where(there, np.einsum("s,msc->mc", weights, filled), -np.inf)
        top = logits.max(axis=1, keepdims=True)
        chances = np.exp(logits - top)
        totals = chances.sum(axis=1, keepdims=True)
        value = (np.log(totals) + top).sum() - (taken @ weights).sum() + RIDGE * weights @ weights
        slope = np.einsum("mc,msc->s", chances / totals, filled) - taken.sum(axis=0) + 2 * RIDGE * weights
        return float(value), slope

    start = np.ones(filled.shape[1])
    bounds = [(0.0, None)] * len(start)
    found = _minimize()(loss, start, jac=True, bounds=bounds, method="L-BFGS-B", options={"maxiter": _STEPS})
    return np.asarray(found.x, np.float64)


def ndcg(choices: Choices, weights: Float64, cut: int = 10) -> float:
    """Mean of 1 / log2(1 + rank) for ranks up to the cut, 0 for others; equals count against."""
    values = np.einsum("s,msc->mc", weights, choices.features.astype(np.float64))
    values = np.where(np.isnan(values), -np.inf, values)
    own = values[np.arange(len(values)), np.maximum(choices.taken, 0)]
    ranks = (values >= own[:, None]).sum(axis=1)
    hit = (choices.taken >= 0) & (ranks <= cut)
    return float(np.where(hit, 1 / np.log2(1 + np.maximum(ranks, 1)), 0.0).mean())


def _minimize() -> Any:
    try:
        from scipy.optimize import minimize
    except ImportError as error:
        raise LearningError("learning weights takes scipy: install penchant[learn]") from error
    return minimize
