"""Choosing a slate that spans much: greedy inference of a determinantal point process, many users at once.

Of a slate Y of items with relevance r in [0, 1] and kernel S, 1 on the diagonal and (1 + cosine) / 2 beside
it, the value is

    (1 - diversity) * (sum of r) + diversity * log det S_Y,

which grows with the volume that the items' vectors span. Greedily the item with the largest gain is taken;
by the Cholesky factor grown row by row a gain costs one inner product (Chen, Zhang and Zhou, 2018).
"""

import numpy as np

from state.diversity import NONE, Bool, Candidates, Float32, Int64, cap_of, choose, relevance

FLOOR = np.float32(1e-6)
"""Least volume that is told apart: of what is spanned already, relevance alone decides."""


def choose_spread(candidates: Candidates, count: int, diversity: float, category_cap: int = 0) -> Int64:
    """As `state.diversity.choose`."""
    if diversity <= 0:
        return choose(candidates, count, 0.0, category_cap)
    users = len(candidates.scores)
    turns = min(count, int(candidates.valid.sum(axis=1).max(initial=0)))
    chosen = np.full((users, count), NONE, dtype=np.int64)
    span = _Span(candidates, turns)
    gain = np.float32(1.0 - diversity) * relevance(candidates)
    closed: Bool = ~candidates.valid
    cap, everyone = cap_of(candidates, category_cap), np.arange(users)
    for turn in range(turns):
        if cap is not None:
            closed |= cap.full()
        values = gain + np.float32(diversity) * span.logs()
        values[closed] = -np.inf
        picked = values.argmax(axis=1)
        left = values[everyone, picked] > -np.inf
        chosen[:, turn] = np.where(left, picked, NONE)
        closed[everyone, picked] = True
        span.take(picked)
        if cap is not None:
            cap.take(picked)
    return chosen


class _Span:
    """What each candidate [n, c] would add to the volume that is spanned so far."""

    def __init__(self, candidates: Candidates, turns: int) -> None:
        users, width, _ = candidates.vectors.shape
        self._vectors = candidates.vectors
        self._rest = np.ones((users, width), np.float32)
        self._rows = np.zeros((turns, users, width), np.float32)
        self._users = np.arange(users)
        self._taken = 0

    def logs(self) -> Float32:
        return np.log(np.maximum(self._rest, FLOOR))

    def take(self, picked: Int64) -> None:
        done = self._rows[: self._taken]
        same = np.matvec(self._vectors, self._vectors[self._users, picked])
        same = (same + np.float32(1)) * np.float32(0.5)
        same[self._users, picked] = 1
        own = done[:, self._users, picked]
        same -= np.einsum("tnc,tn->nc", done, own)
        same /= np.sqrt(np.maximum(self._rest[self._users, picked], FLOOR))[:, None]
        self._rows[self._taken] = same
        self._rest -= same * same
        self._taken += 1
