"""Scores of all items for a batch of users, and the best of them, exactly."""

import numpy as np
from numpy.typing import NDArray

from state.fusion import Readouts

Float32 = NDArray[np.float32]
Int64 = NDArray[np.int64]
Bool = NDArray[np.bool_]

BARRED = np.float32(-np.inf)
HEADS_ASKED = 2
"""Each head costs as much as the ranking vector, and most of the mass lies on one or two."""

GRID = 2.0**-17
"""Distance of two scores that are told apart; close to the fifth decimal that outputs have."""
_LAST = np.float32(2**22)
"""Place on the grid of what is barred, behind every score that a unit vector can give."""
_TIE_BITS = 32
_TIE = np.int64(2**_TIE_BITS - 1)


class Ties:
    """The order of items whose scores are equal: that of their hashes, wherever they stand."""

    __slots__ = ("places", "rows")

    def __init__(self, hashes: NDArray[np.uint64]) -> None:
        self.rows: Int64 = np.argsort(hashes, kind="stable")
        self.places: Int64 = np.empty_like(self.rows)
        self.places[self.rows] = np.arange(len(self.rows))


def queries(readouts: Readouts) -> Float32:
    """The ranking vector less the dislike bank, float32 [n, 64].

    The bank's mean is scaled by mass / (1 + mass), for a mean alone would never fade. As scores are
    linear in the query, taking it off here takes it off them.
    """
    fading = readouts.dislike_mass / (1.0 + readouts.dislike_mass)
    return np.asarray(readouts.interest - fading[:, None] * readouts.dislike, dtype=np.float32)


def scores(vectors: Float32, allowed: Bool, items: Float32) -> Float32:
    """Inner products float32 [n, items], BARRED where not allowed."""
    return _barred(vectors @ items.T, allowed)


def head_scores(readouts: Readouts, allowed: Bool, items: Float32) -> Float32:
    """Each item's best cosine to any of the heaviest heads, float32 [n, items], BARRED where not allowed."""
    weights = readouts.head_weights
    heaviest = np.argsort(-weights, axis=1, kind="stable")[:, :HEADS_ASKED]
    heads = readouts.heads[np.arange(len(weights))[:, None], heaviest]
    cosines = (heads.reshape(-1, heads.shape[2]) @ items.T).reshape(*heads.shape[:2], -1)
    return _barred(cosines.max(axis=1), allowed)


def best(values: Float32, count: int, ties: Ties) -> Int64:
    """Columns of the `count` largest of each row, best first, int64 [n, min(count, columns)].

    Values that agree on GRID are ordered by `ties`: a matrix product rounds differently at different
    places of its result, so equal items would be ordered by where they stand.
    """
    steps = values * np.float32(-1 / GRID)
    np.minimum(np.rint(steps, out=steps), _LAST, out=steps)
    # Score and tie in one number, no two of them equal: whole numbers are sorted by wide instructions.
    keys = steps.astype(np.int64)
    keys <<= _TIE_BITS
    keys |= ties.places
    if count < keys.shape[1]:
        keys.partition(count - 1, axis=1)
        keys = keys[:, :count].copy()
    keys.sort(axis=1)
    return ties.rows.take(keys & _TIE)


def _barred(values: Float32, allowed: Bool) -> Float32:
    values[~allowed] = BARRED
    return values
