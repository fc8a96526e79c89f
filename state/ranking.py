"""Scores of all items for a batch of users, and the best of them, exactly."""

import numpy as np
from numpy.typing import NDArray

from state.fusion import Readouts

Float32 = NDArray[np.float32]
Int64 = NDArray[np.int64]
Bool = NDArray[np.bool_]

BARRED = np.float32(-np.inf)
GRID = 2.0**-17
"""Distance of two scores that are told apart; close to the fifth decimal that outputs have."""
HEADS_ASKED = 3
"""Each head costs as much as the ranking vector, and most of the mass lies on two or three."""


def queries(readouts: Readouts) -> Float32:
    """The ranking vector less the dislike bank, float32 [n, 64].

    The bank's mean is scaled by mass / (1 + mass), for a mean alone would never fade. As scores are
    linear in the query, taking it off here takes it off them.
    """
    fading = readouts.dislike_mass / (1.0 + readouts.dislike_mass)
    return np.asarray(readouts.interest - fading[:, None] * readouts.dislike, dtype=np.float32)


def scores(vectors: Float32, allowed: Bool, items: Float32) -> Float32:
    """Inner products float32 [n, items] to GRID, BARRED where not allowed."""
    return np.where(allowed, on_grid(vectors @ items.T), BARRED)


def head_scores(readouts: Readouts, allowed: Bool, items: Float32) -> Float32:
    """Each item's best cosine to any of the heaviest heads, float32 [n, items], BARRED where not allowed."""
    heaviest = np.argsort(-readouts.head_weights, axis=1, kind="stable")[:, :HEADS_ASKED, None]
    heads = np.take_along_axis(readouts.heads, heaviest, axis=1)
    cosines = (heads.reshape(-1, heads.shape[2]) @ items.T).reshape(*heads.shape[:2], -1)
    return np.where(allowed, on_grid(cosines.max(axis=1)), BARRED)


def on_grid(values: Float32) -> Float32:
    """Values to the nearest multiple of GRID.

    A matrix product rounds differently at different places of its result, so equal items would be
    ordered by where they stand. On a grid far coarser than that they are equal.
    """
    return np.asarray(np.rint(values * np.float32(1 / GRID)) * np.float32(GRID), dtype=np.float32)


def best(values: Float32, count: int, ties: NDArray[np.uint64]) -> Int64:
    """Columns of the `count` (at least 1) largest of each row, unordered, int64 [n, min(count, columns)].

    Where equal values straddle the edge, those with the smaller `ties` are in.
    """
    columns = values.shape[1]
    if columns <= count:
        return np.repeat(np.arange(columns)[None], len(values), axis=0)
    found = np.argpartition(values, columns - count, axis=1)[:, columns - count :]
    edge = np.take_along_axis(values, found, axis=1).min(axis=1, keepdims=True)
    for row in np.flatnonzero((values >= edge).sum(axis=1) > count):
        if edge[row, 0] == BARRED:
            continue
        above = np.flatnonzero(values[row] > edge[row])
        level = np.flatnonzero(values[row] == edge[row])
        level = level[np.argsort(ties[level], kind="stable")]
        found[row] = np.concatenate([above, level])[:count]
    return np.asarray(found, dtype=np.int64)


def in_order(values: Float32, columns: Int64, ties: NDArray[np.uint64]) -> Int64:
    """The columns of each row by falling value, equal ones by rising `ties`."""
    found = np.take_along_axis(values, columns, axis=1)
    order = np.argsort(-found, axis=1)
    ordered = np.take_along_axis(found, order, axis=1)
    level = (ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] > BARRED)
    for row in np.flatnonzero(level.any(axis=1)):
        order[row] = np.lexsort((ties[columns[row]], -found[row]))
    return np.take_along_axis(columns, order, axis=1)
