"""Which items somebody should label, so that the labels of all others become surer."""

import numpy as np

from state.labels.inference import Belief
from state.labels.material import Float32, Float64, Int64

MOST = 5_000
"""Items among which is chosen, and whom the choice is to serve; of more, so many are drawn."""


def most_useful(vectors: Float32, belief: Belief | None, known: Int64, count: int, seed: int = 0) -> Int64:
    """Places of at most `count` items, the most useful first, given unit vectors [n, d], what is believed
    of them, if anything is, and the places of those that carry a label.

    Greedy facility location (Nemhauser et al., 1978), weighted by doubt: each choice is the item that most
    raises the sum over all items of their doubt times their cosine to the nearest item that is labelled or
    chosen. So it is doubtful, stands where many doubtful ones are, and apart from what was chosen.
    """
    free = np.setdiff1d(np.flatnonzero(vectors.any(axis=1)), known)
    if len(free) > MOST:
        free = np.sort(np.random.default_rng(seed).choice(free, MOST, replace=False))
    doubt = np.ones(len(free), np.float32)
    if belief is not None:
        doubt = doubts(belief.shares[free]).astype(np.float32)
    near = np.maximum(vectors[free] @ vectors[free].T, 0).astype(np.float32)
    nearest = np.zeros(len(free), np.float32)
    if len(known) and len(free):
        nearest = np.maximum((vectors[free] @ vectors[known].T).max(axis=1), 0)
    chosen: list[int] = []
    open_ = np.ones(len(free), np.bool_)
    for _ in range(min(count, len(free))):
        gains = np.where(open_, np.maximum(near - nearest, 0) @ doubt, -1.0)
        best = int(gains.argmax())
        chosen.append(best)
        open_[best] = False
        nearest = np.maximum(nearest, near[best])
    return np.asarray(free[chosen], np.int64)


def doubts(shares: Float64) -> Float64:
    """Entropy of each item's shares [n, labels], as a part of its largest value; 1 where no label reaches."""
    if shares.shape[1] < 2:
        return np.where(shares.sum(axis=1) > 0, 0.0, 1.0)
    logs = np.log(shares, out=np.zeros_like(shares), where=shares > 0)
    entropy = -(shares * logs).sum(axis=1) / np.log(shares.shape[1])
    return np.asarray(np.where(shares.sum(axis=1) > 0, entropy, 1.0), np.float64)
