"""Exact attention over the ring, biased by rank, age, action and weight of the event."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from state.artifact import Float32
from state.rowwise import divisor, finite, product
from state.slots import Slots


@dataclass(slots=True, frozen=True)
class Ring:
    """Rings of n users, newest first: slots [n, RING] and what is made of them."""

    slots: Slots
    present: NDArray[np.bool_]
    """Which slots count: usable, weighty, not taken back."""
    feeds: NDArray[np.bool_]
    """Which of these the long-term heads admit."""
    vectors: Float32
    x: Float32
    keys: Float32
    """LayerNorm of x."""
    weight: Float32
    """Logarithm of the weight, [n, RING]."""
    bucket: NDArray[np.int64]
    """Bucket of the age, see `artifact.TIME_BUCKETS`."""


@dataclass(slots=True, frozen=True)
class Biases:
    """Logits added by action [actions, heads], rank [heads, RING] and age [heads, TIME_BUCKETS]."""

    action: Float32
    rank: Float32
    time: Float32


class Attention:
    """A block of attention heads: query and key [heads, DIM, d], value [heads, DIM, DIM].

    A query and a key only ever meet in a product, so they are multiplied once, beforehand.
    """

    def __init__(self, query: Float32, key: Float32, value: Float32, biases: Biases) -> None:
        pairs = np.matmul(query, key.transpose(0, 2, 1))
        self.heads = len(pairs)
        self._asking = np.ascontiguousarray(pairs)
        self._answering = np.ascontiguousarray(value)
        self._biases = biases

    def __call__(self, ring: Ring, query: Float32) -> Float32:
        """Answers [n, DIM] to queries [n, DIM], summed over the heads; zero where the ring has no event."""
        asking = product(query[:, None], self._asking)
        logits = np.matmul(asking, ring.keys.transpose(0, 2, 1))
        logits += self._biases.rank
        logits += ring.weight[:, None]
        logits += self._biases.time.T[ring.bucket].transpose(0, 2, 1)
        logits += self._biases.action[ring.slots["action"]].transpose(0, 2, 1)
        logits = np.where(ring.present[:, None], logits, np.float32(-np.inf))
        share = np.exp(logits - finite(logits.max(axis=2, keepdims=True)))
        share /= divisor(share.sum(axis=2, keepdims=True))
        answers: Float32 = product(np.matmul(share, ring.keys), self._answering).sum(axis=1)
        return answers
