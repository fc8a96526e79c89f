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
_TIE_BITS = 40
_LAST = np.float32(2**22)
"""Place on the grid of what is barred, behind every score that a unit vector can give."""


def queries(readouts: Readouts) -> Float32:
    """The ranking vector less the dislike bank, float32 [n, 64].

    The bank's mean is scaled by mass / (1 + mass), for a mean alone would never fade. As scores are
    linear in the query, taking it off here takes it off them.
    """
    fading = readouts.dislike_mass / (1.0 + readouts.dislike_mass)
    return np.asarray(readouts.interest - fading[:, None] * readouts.dislike, dtype=np.float32)


def scores(vectors: Float32, allowed: Bool, items: Float32) -> Float32:
    """Inner products float32 [n, items], BARRED where not allowed."""
    return np.where(allowed, vectors @ items.T, BARRED)


def head_scores(readouts: Readouts, allowed: Bool, items: Float32) -> Float32:
    """Each item's best cosine to any of the heaviest heads, float32 [n, items], BARRED where not allowed."""
    heaviest = np.argsort(-readouts.head_weights, axis=1, kind="stable")[:, :HEADS_ASKED, None]
    heads = np.take_along_axis(readouts.heads, heaviest, axis=1)
    cosines = (heads.reshape(-1, heads.shape[2]) @ items.T).reshape(*heads.shape[:2], -1)
    return np.where(allowed, cosines.max(axis=1), BARRED)


def best(values: Float32, count: int, hashes: NDArray[np.uint64]) -> Int64:
    """Columns of the `count` largest of each row, best first, int64 [n, min(count, columns)].

    Values that agree on GRID are ordered by the hashes of their columns: a matrix product rounds
    differently at different places of its result, so equal items would be ordered by where they stand.
    """
    steps = np.rint(values * np.float32(-1 / GRID))
    columns = steps.shape[1]
    if columns <= count:
        found = np.repeat(np.arange(columns)[None], len(steps), axis=0)
    else:
        found = np.argpartition(steps, count - 1, axis=1)[:, :count]
        edge = np.take_along_axis(steps, found, axis=1).max(axis=1, keepdims=True)
        crowded = ((steps <= edge).sum(axis=1) > count) & np.isfinite(edge[:, 0])
        for row in np.flatnonzero(crowded):
            within = np.flatnonzero(steps[row] <= edge[row])
            found[row] = within[np.lexsort((hashes[within], steps[row, within]))[:count]]
    keys = np.minimum(np.take_along_axis(steps, found, axis=1), _LAST).astype(np.int64)
    keys = (keys << _TIE_BITS) | (hashes[found] >> np.uint64(64 - _TIE_BITS)).astype(np.int64)
    return np.asarray(np.take_along_axis(found, np.argsort(keys, axis=1), axis=1), dtype=np.int64)
