"""Choosing a slate that is not ten times the same: maximal marginal relevance, many users at once.

Carbonell and Goldstein (1998): of the candidates left, take the one with the largest

    (1 - diversity) * relevance - diversity * (largest cosine to what is chosen already)

Relevance is a user's score mapped to [0, 1] over the candidates, so the trade does not hang on the
scale of a model's scores.
"""

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]
Int64 = NDArray[np.int64]
Bool = NDArray[np.bool_]

NONE = -1

_FEW = 1000
"""Candidates of all users together that are not worth sorting out."""
_ROUNDING = 1e-4
"""More than a cosine of unit vectors may be beyond one."""


class Candidates:
    """Candidates of n users, c each, best first; places beyond a user's own number are not valid.

    `scores` float32 [n, c]; `valid` bool [n, c]; `vectors` float32 [n, c, d], of unit length or zero;
    `categories` int32 [n, c, g], -1 where an item has fewer, or None where no cap holds.
    """

    __slots__ = ("categories", "scores", "valid", "vectors")

    def __init__(
        self, scores: Float32, valid: Bool, vectors: Float32, categories: NDArray[np.int32] | None
    ) -> None:
        self.scores = scores
        self.valid = valid
        self.vectors = vectors
        self.categories = categories


def choose(candidates: Candidates, count: int, diversity: float, category_cap: int = 0) -> Int64:
    """Places of the chosen candidates, int64 [n, count], in order of choice; NONE where none is left.

    Equal candidates are taken in the order in which they stand. With a `category_cap` above 0, so many of
    a category are chosen at most.
    """
    users, width = candidates.scores.shape
    turns = min(count, int(candidates.valid.sum(axis=1).max(initial=0)))
    chosen = np.full((users, count), NONE, dtype=np.int64)
    if turns == 0:
        return chosen
    gain = np.float32(1.0 - diversity) * _relevance(candidates)
    # What is taken, or may not be, is infinitely near to what is chosen.
    near = np.where(candidates.valid, np.float32(-diversity), np.float32(np.inf))
    vectors, firsts = candidates.vectors, np.arange(users) * width
    columns: Int64 | None = None
    worth = np.empty((turns, users), dtype=np.float32)
    categories = candidates.categories if category_cap > 0 else None
    taken = None if categories is None else np.zeros(categories.shape, dtype=np.int16)
    for turn in range(turns):
        values = gain - near
        best = values.argmax(axis=1)
        flat = firsts + best
        worth[turn] = values.take(flat)
        chosen[:, turn] = best if columns is None else columns.take(flat)
        near.put(flat, np.inf)
        if diversity > 0 and turn + 1 < turns:
            picked = vectors.reshape(-1, vectors.shape[2]).take(flat, axis=0) * np.float32(diversity)
            np.maximum(near, np.matvec(vectors, picked), out=near)
        if taken is not None and categories is not None:
            _close_full_categories(categories, taken, best, near, category_cap)
        elif turn == 0 and diversity > 0 and turns > 1 and users * width > _FEW:
            columns = _hopeful(gain, near, turns - 1, diversity)
            kept = firsts[:, None] + columns
            gain, near = gain.take(kept), near.take(kept)
            # They are known to exist: without a check of each the copy takes half the time.
            vectors = vectors.reshape(-1, vectors.shape[2]).take(kept, axis=0, mode="clip")
            firsts = np.arange(users) * kept.shape[1]
    chosen[:, :turns][np.isneginf(worth.T)] = NONE
    return chosen


def _hopeful(gain: Float32, near: Float32, count: int, diversity: float) -> Int64:
    """Columns, in rising order, among which the next `count` choices are, whatever they are; [n, at most c].

    A value only falls, by what is chosen, and by no more than to gain - diversity. So whose value is less
    than `count` others keep at worst is never chosen.
    """
    left = np.where(np.isposinf(near), np.float32(-np.inf), gain)
    floor = np.partition(left, -count, axis=1)[:, -count] - np.float32(diversity + _ROUNDING)
    hopeful = gain - near >= floor[:, None]
    width = int(hopeful.sum(axis=1).max())
    return np.argsort(~hopeful, axis=1, kind="stable")[:, :width]


def _relevance(candidates: Candidates) -> Float32:
    valid, scores = candidates.valid, candidates.scores
    low = np.where(valid, scores, np.float32(np.inf)).min(axis=1, keepdims=True)
    high = np.where(valid, scores, np.float32(-np.inf)).max(axis=1, keepdims=True)
    span = np.where(high > low, high - low, np.float32(1.0))
    return np.asarray(np.where(valid, scores - low, np.float32(0.0)) / span, dtype=np.float32)


def _close_full_categories(
    categories: NDArray[np.int32], taken: NDArray[np.int16], best: Int64, near: Float32, cap: int
) -> None:
    picked = categories[np.arange(len(best)), best]
    same = categories[:, :, :, None] == picked[:, None, None, :]
    taken += (same & (picked >= 0)[:, None, None, :]).any(axis=3)
    near[(taken >= cap).any(axis=2)] = np.inf
