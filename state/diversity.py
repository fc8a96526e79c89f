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
    chosen = np.full((users, count), NONE, dtype=np.int64)
    if width == 0 or users == 0:
        return chosen
    gain = np.where(candidates.valid, (1.0 - diversity) * _relevance(candidates), -np.inf)
    # Scaled beforehand, so that an inner product is a cosine times diversity.
    vectors = candidates.vectors * np.float32(diversity**0.5)
    nearest = np.full((users, width), -diversity, dtype=np.float32)
    categories = candidates.categories if category_cap > 0 else None
    taken = None if categories is None else np.zeros(categories.shape, dtype=np.int16)
    everyone = np.arange(users)
    for turn in range(min(count, width)):
        value = gain if turn == 0 or diversity == 0 else gain - nearest
        best = value.argmax(axis=1)
        open_ = gain[everyone, best] > -np.inf
        if not open_.any():
            break
        chosen[open_, turn] = best[open_]
        gain[everyone, best] = -np.inf
        if diversity > 0:
            picked = vectors[everyone, best, :, None]
            np.maximum(nearest, np.matmul(vectors, picked)[:, :, 0], out=nearest)
        if taken is not None and categories is not None:
            _close_full_categories(categories, taken, best, gain, category_cap)
    return chosen


def _relevance(candidates: Candidates) -> Float32:
    low = np.where(candidates.valid, candidates.scores, np.inf).min(axis=1, keepdims=True)
    high = np.where(candidates.valid, candidates.scores, -np.inf).max(axis=1, keepdims=True)
    low = np.where(np.isfinite(low), low, 0.0)
    span = np.where(np.isfinite(high), high, 0.0) - low
    relevance: Float32 = np.where(
        candidates.valid, (candidates.scores - low) / np.where(span > 0, span, 1.0), 0.0
    ).astype(np.float32)
    return relevance


def _close_full_categories(
    categories: NDArray[np.int32], taken: NDArray[np.int16], best: Int64, gain: Float32, cap: int
) -> None:
    picked = categories[np.arange(len(best)), best]
    same = categories[:, :, :, None] == picked[:, None, None, :]
    taken += (same & (picked >= 0)[:, None, None, :]).any(axis=3)
    gain[(taken >= cap).any(axis=2)] = -np.inf
