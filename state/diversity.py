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
_SORTED_OUT = 1
"""Turn after which those without hope are sorted out: sooner, twice as many have hope still."""
_ROUNDING = np.float32(1e-4)
"""More than a cosine of unit vectors may be beyond one."""


class Candidates:
    """Candidates of n users, c each, best first; places beyond a user's own number are not valid.

    `scores` float32 [n, c]; `valid` bool [n, c]; `vectors` float32 [n, c, d], of unit length or zero;
    `categories` int32 [n, c, g], -1 where an item has fewer, or None where no cap holds; `fixed` int32
    [n, f, g], the same of items that stand in the slate already.
    """

    __slots__ = ("categories", "fixed", "scores", "valid", "vectors")

    def __init__(
        self,
        scores: Float32,
        valid: Bool,
        vectors: Float32,
        categories: NDArray[np.int32] | None,
        fixed: NDArray[np.int32] | None = None,
    ) -> None:
        self.scores = scores
        self.valid = valid
        self.vectors = vectors
        self.categories = categories
        self.fixed = fixed


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
    pool = _Pool(candidates, diversity)
    cap = cap_of(candidates, category_cap)
    if cap is not None:
        pool.near[cap.full()] = np.inf
    picks: list[Int64] = []
    worth: list[Float32] = []
    for turn in range(turns):
        picked, value = pool.take()
        picks.append(picked)
        worth.append(value)
        left = turns - turn - 1
        if diversity > 0 and left:
            pool.approach()
            if turn == _SORTED_OUT and cap is None and users * width > _FEW:
                pool.narrow(left)
        if cap is not None:
            cap.take(picked)
            pool.near[cap.full()] = np.inf
    chosen[:, :turns] = np.where(np.isneginf(worth), NONE, picks).T
    return chosen


class _Pool:
    """What may still be chosen, w candidates of each of n users, and how near it is to what is chosen.

    Who is taken, or may not be, is infinitely near.
    """

    def __init__(self, candidates: Candidates, diversity: float) -> None:
        users, width, size = candidates.vectors.shape
        self._diversity = np.float32(diversity)
        self._gain = np.float32(1.0 - diversity) * relevance(candidates)
        self.near = np.where(candidates.valid, -self._diversity, np.float32(np.inf))
        self._vectors = candidates.vectors
        self._rows = candidates.vectors.reshape(-1, size)
        self._firsts = np.arange(users) * width
        self._taken = self._firsts
        self._columns: Int64 | None = None

    def take(self) -> tuple[Int64, Float32]:
        """Take the most valuable of each user: their columns [n] and values [n], -inf where none is left."""
        values = self._gain - self.near
        best = values.argmax(axis=1)
        self._taken = self._firsts + best
        self.near.put(self._taken, np.inf)
        columns = best if self._columns is None else self._columns.take(self._taken)
        return np.asarray(columns), values.take(self._taken)

    def approach(self) -> None:
        """Take notice of what was taken last."""
        picked = self._rows.take(self._taken, axis=0)
        picked *= self._diversity
        np.maximum(self.near, np.matvec(self._vectors, picked), out=self.near)

    def narrow(self, count: int) -> None:
        """Drop who is not among the next `count` choices, whatever they are.

        A value only falls, by what is chosen, and by no more than to gain - diversity. So whose value is
        less than `count` others keep at worst is never chosen.
        """
        users, width = self.near.shape
        gone = np.isposinf(self.near)
        floor = np.where(gone, np.float32(-np.inf), self._gain)
        floor.partition(width - count, axis=1)
        hopeful = self._gain - self.near >= floor[:, width - count, None] - (self._diversity + _ROUNDING)
        hopeful &= ~gone
        most = int(hopeful.sum(axis=1).max())
        # Whole numbers of few bits are sorted by wide instructions; others stand behind the hopeful.
        columns = np.where(hopeful, 0, width).astype(np.uint32) + np.arange(width, dtype=np.uint32)
        columns.sort(axis=1)
        self._columns = columns[:, :most].astype(np.int64) % width
        kept = self._firsts[:, None] + self._columns
        self._gain, self.near = self._gain.take(kept), self.near.take(kept)
        # They are known to exist: without a check of each the copy takes half the time.
        self._vectors = self._rows.take(kept, axis=0, mode="clip")
        self._rows = self._vectors.reshape(-1, self._rows.shape[1])
        self._firsts = np.arange(users) * most


class Cap:
    """Counts the categories [n, c, g] of what is chosen."""

    def __init__(self, categories: NDArray[np.int32], most: int) -> None:
        self._categories = categories
        self._most = most
        self._taken = np.zeros(categories.shape, dtype=np.int16)

    def take(self, chosen: Int64) -> None:
        """Count the candidates in columns [n]."""
        self.count(self._categories[np.arange(len(chosen)), chosen])

    def count(self, picked: NDArray[np.int32]) -> None:
        """Count an item of each user, by its categories [n, g]."""
        same = self._categories[:, :, :, None] == picked[:, None, None, :]
        self._taken += (same & (picked >= 0)[:, None, None, :]).any(axis=3)

    def full(self) -> Bool:
        """Whom the cap keeps out by now, bool [n, c]."""
        return np.asarray((self._taken >= self._most).any(axis=2))


def cap_of(candidates: Candidates, most: int) -> Cap | None:
    """The cap with what is fixed counted; None where none holds."""
    if most <= 0 or candidates.categories is None:
        return None
    cap = Cap(candidates.categories, most)
    for place in range(0 if candidates.fixed is None else candidates.fixed.shape[1]):
        assert candidates.fixed is not None
        cap.count(candidates.fixed[:, place])
    return cap


def relevance(candidates: Candidates) -> Float32:
    """Scores mapped to [0, 1] over each user's valid candidates."""
    valid, scores = candidates.valid, candidates.scores
    low = np.where(valid, scores, np.float32(np.inf)).min(axis=1, keepdims=True)
    high = np.where(valid, scores, np.float32(-np.inf)).max(axis=1, keepdims=True)
    span = np.where(high > low, high - low, np.float32(1.0))
    return np.asarray(np.where(valid, scores - low, np.float32(0.0)) / span, dtype=np.float32)
