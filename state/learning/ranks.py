"""Where the item that was really taken stands among all, and what stands at the top."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from state.errors import LearningError
from state.learning.interactions import Bool, Float32, Int32, Int64
from state.learning.protocol import Histories, Recommender, Targets, Tell

TOP = 20
"""Places of the lists that coverage, diversity and the like are measured on."""
CELLS = 8_000_000
"""Scores in memory at once: histories times items."""


@dataclass(frozen=True)
class Ranking:
    """What a model made of n targets.

    ranks: int64 [n], from 1, pessimistic: of equal scores the target's is the last, and a target without a
    score (-inf, NaN) stands behind all others. places: int64 [n], how many items were ranked. top: int32
    [n, TOP], the best items, -1 where fewer could be given. scores: float32 [n], the targets' own.
    """

    ranks: Int64
    places: Int64
    top: Int32
    scores: Float32


@dataclass(frozen=True)
class RankingOptions:
    """What is ranked. candidates: bool [items], those that stand for choice; None for all."""

    hide_seen: bool = True
    """What the user took before is left out, as slates leave it out; the target itself never is."""
    candidates: Bool | None = None


def rank(
    model: Recommender, targets: Targets, options: RankingOptions, tell: Tell = lambda done: None
) -> Ranking:
    """Ranks all items for each target. Raises LearningError for scores of another shape."""
    if not len(targets):
        raise LearningError("there is no event to foretell")
    histories = targets.histories()
    parts = []
    for part in _parts(len(targets), targets.source.items):
        asked = histories.part(part)
        scores = np.array(model.scores(asked), np.float32)
        if scores.shape != (len(asked), targets.source.items):
            raise LearningError(
                f"{model.name} gave scores of shape {scores.shape} for {len(asked)} histories"
            )
        parts.append(_ranked(scores, asked, targets.items[part], options))
        tell(part.stop / len(targets))
    return Ranking(
        np.concatenate([part.ranks for part in parts]),
        np.concatenate([part.places for part in parts]),
        np.concatenate([part.top for part in parts]),
        np.concatenate([part.scores for part in parts]),
    )


def _parts(count: int, items: int) -> Iterator[slice]:
    size = max(1, CELLS // max(1, items))
    for start in range(0, count, size):
        yield slice(start, min(start + size, count))


def _ranked(scores: Float32, asked: Histories, wanted: Int32, options: RankingOptions) -> Ranking:
    rows = np.arange(len(scores))
    scores[np.isnan(scores)] = -np.inf
    allowed = np.ones(scores.shape, np.bool_)
    if options.candidates is not None:
        allowed &= options.candidates
    if options.hide_seen:
        seen = asked.padded()
        places = np.nonzero(seen.mask)
        allowed[places[0], seen.items[places]] = False
    allowed[rows, wanted] = True
    own = scores[rows, wanted]
    ranks = (allowed & (scores >= own[:, None])).sum(axis=1)
    scores[~allowed] = -np.inf
    return Ranking(ranks.astype(np.int64), allowed.sum(axis=1).astype(np.int64), best(scores), own)


def best(scores: Float32, count: int = TOP) -> Int32:
    """The items of the highest scores, best first, int32 [n, count]; -1 instead of what has -inf.

    Equal scores are ordered by the item's code.
    """
    shown = min(count, scores.shape[1])
    order = np.argpartition(-scores, shown - 1, axis=1)[:, :shown]
    order.sort(axis=1)
    values = np.take_along_axis(scores, order, axis=1)
    within = np.argsort(-values, axis=1, kind="stable")
    out = np.full((len(scores), count), -1, np.int32)
    out[:, :shown] = np.where(
        np.isneginf(np.take_along_axis(values, within, axis=1)), -1, np.take_along_axis(order, within, axis=1)
    )
    return out
