"""Scores of all items for a batch of users, and the best of them, exactly."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from state.fusion import Readouts

Float32 = NDArray[np.float32]
Int64 = NDArray[np.int64]
Bool = NDArray[np.bool_]
Keys = NDArray[np.signedinteger[Any]]

BARRED = np.float32(-16)
"""Added to the score of what is barred, which is then far below every other."""
HEADS_ASKED = 2
"""Each head costs as much as the ranking vector, and most of the mass lies on one or two."""

GRID = 2.0**-17
"""Distance of two scores that are told apart; close to the fifth decimal that outputs have."""
_LAST = np.float32(2**19 - 1)
"""Place on the grid of what is barred, behind every score of a unit vector: 20 bits with its sign."""
_SMALL = 12
"""Bits of a place among so few items that 32 bits hold it and the place on the grid."""


class Ties:
    """The order of items whose scores are equal: that of their hashes, wherever they stand."""

    __slots__ = ("_bits", "places", "rows")

    def __init__(self, hashes: NDArray[np.uint64]) -> None:
        small = len(hashes) <= 2**_SMALL
        self._bits = _SMALL if small else 32
        self.rows: Int64 = np.argsort(hashes, kind="stable")
        self.places: Keys = np.empty(len(hashes), dtype=np.int32 if small else np.int64)
        self.places[self.rows] = np.arange(len(hashes))

    def keys(self, values: Float32, columns: Int64 | None = None) -> Keys:
        """Score and tie in one whole number, the best first, no two of them equal: [n, m] for the values
        [n, m] of these columns, or of all. Whole numbers are sorted by wide instructions."""
        steps = values * np.float32(-1 / GRID)
        keys: Keys = np.minimum(np.rint(steps, out=steps), _LAST, out=steps).astype(self.places.dtype)
        keys <<= self._bits
        keys |= self.places if columns is None else self.places.take(columns)
        return keys

    def columns(self, keys: Keys) -> Int64:
        """The columns of keys."""
        return np.asarray(self.rows.take(keys & (2**self._bits - 1)))


def queries(readouts: Readouts) -> Float32:
    """The ranking vector less the dislike bank, float32 [n, 64].

    The bank's mean is scaled by mass / (1 + mass), for a mean alone would never fade. As scores are
    linear in the query, taking it off here takes it off them.
    """
    fading = readouts.dislike_mass / (1.0 + readouts.dislike_mass)
    return np.asarray(readouts.interest - fading[:, None] * readouts.dislike, dtype=np.float32)


def barred(allowed: Bool) -> Float32:
    """What is added to scores: BARRED where not allowed, else nothing."""
    return (~allowed).astype(np.float32) * BARRED


def is_open(scores: Float32) -> Bool:
    """Which scores are not of what is barred."""
    return np.asarray(scores > BARRED / 2)


def scores(vectors: Float32, items: Float32, bar: Float32) -> Float32:
    """Inner products float32 [n, items]; what is barred has another BARRED."""
    values: Float32 = vectors @ items.T
    values += bar
    return values


def head_scores(readouts: Readouts, items: Float32, bar: Float32) -> Float32:
    """Each item's best cosine to any of the heaviest heads, float32 [n, items], with `bar` as in `scores`."""
    weights = readouts.head_weights
    heaviest = np.argsort(-weights, axis=1, kind="stable")[:, :HEADS_ASKED]
    heads = readouts.heads[np.arange(len(weights))[:, None], heaviest]
    values: Float32 = heads[:, 0] @ items.T
    for head in range(1, heads.shape[1]):
        np.maximum(values, heads[:, head] @ items.T, out=values)
    values += bar
    return values


def best(values: Float32, count: int, ties: Ties) -> Int64:
    """Columns of the `count` largest of each row, best first, int64 [n, min(count, columns)].

    Values that agree on GRID are ordered by `ties`: a matrix product rounds differently at different
    places of its result, so equal items would be ordered by where they stand.
    """
    keys = ties.keys(values)
    if count < keys.shape[1]:
        keys.partition(count - 1, axis=1)
        keys = keys[:, :count].copy()
    keys.sort(axis=1)
    return ties.columns(keys)
