"""What every fusion of an item's modalities is, and what most of them share."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from state.errors import ModelError
from state.layout import DIM, MODALITY_COUNT, SHARED_DIM
from state.rowwise import LayerNorm, divisor, finite, product, unit
from state.shapes import Float32, Shapes, check_arrays

Bool = NDArray[np.bool_]

TOKENS: Shapes = {
    "item_project": ("modalities", "shared", "dim"),
    "item_gain": ("modalities", "dim"),
    "item_bias": ("modalities", "dim"),
}
"""The arrays of `Tokens`."""

SIZES = {
    "modalities": MODALITY_COUNT,
    "shared": SHARED_DIM,
    "dim": DIM,
    "joined": MODALITY_COUNT * DIM,
    "told": MODALITY_COUNT * DIM + MODALITY_COUNT,
    "one": 1,
}


@dataclass(slots=True, frozen=True)
class Fused:
    """Unit item vectors [n, DIM] and the shares of the modalities [n, 4]; both zero where none is usable."""

    vectors: Float32
    shares: Float32

    @property
    def usable(self) -> Bool:
        return np.asarray(self.shares.any(axis=1))


class ItemFusion(ABC):
    """One way to make one vector of an item out of those of its modalities; arrays and their formula.

    `fuse` takes which modalities of n items are `present`, [n, 4], and the vectors of these alone, float32
    [p, SHARED_DIM] of unit length, item by item and in the order of the modalities: what a boolean index into
    [n, 4, SHARED_DIM] gives. An item of which nothing is present gives zero. What an item gives depends on
    that item alone, to the bit.
    """

    kind: ClassVar[str]
    shapes: ClassVar[Shapes]

    def __init__(self, arrays: Mapping[str, Float32]) -> None:
        """Raises ModelError for arrays that are missing, unknown or do not fit together."""
        if set(arrays) != set(self.shapes):
            unlike = sorted(set(arrays) ^ set(self.shapes))
            raise ModelError(f"{self.kind} fusion: missing or unknown weights: {unlike}")
        check_arrays(arrays, self.shapes, SIZES)
        self.arrays = {name: arrays[name] for name in self.shapes}
        """float32, in the order of `shapes`."""

    @abstractmethod
    def fuse(self, vectors: Float32, present: Bool) -> Fused: ...


class Tokens:
    """Each modality brought to item space on its own: x_m = LayerNorm(e_m item_project[m]).

    Where all modalities have the same numbers, as before training, one product does for all.
    """

    def __init__(self, arrays: Mapping[str, Float32]) -> None:
        self._project = arrays["item_project"]
        self._norms = [
            LayerNorm(gain, bias) for gain, bias in zip(arrays["item_gain"], arrays["item_bias"], strict=True)
        ]
        self._alike = all((arrays[name] == arrays[name][:1]).all() for name in TOKENS)

    def __call__(self, vectors: Float32, present: Bool) -> Float32:
        """[n, 4, DIM], zero where absent."""
        out = np.zeros((*present.shape, DIM), np.float32)
        vectors = np.ascontiguousarray(vectors)
        if self._alike:
            out[present] = self._norms[0](product(vectors, self._project[0]))
            return out
        codes = np.nonzero(present)[1]
        for modality, norm in enumerate(self._norms):
            rows = np.flatnonzero(codes == modality)
            if len(rows):
                out[present[:, modality], modality] = norm(product(vectors[rows], self._project[modality]))
        return out


def shares_of(logits: Float32, allowed: Bool) -> Float32:
    """Softmax over the last axis of what is allowed, zero elsewhere; all zero where nothing is."""
    masked = np.where(allowed, logits, np.float32(-np.inf))
    weights = np.exp(masked - finite(masked.max(axis=-1, keepdims=True)))
    return np.asarray(weights / divisor(weights.sum(axis=-1, keepdims=True)), np.float32)


def pooled(tokens: Float32, shares: Float32) -> Float32:
    """The sum of tokens [n, 4, DIM] by their shares [n, 4]: [n, DIM]."""
    out: Float32 = np.einsum("nm,nmd->nd", shares, tokens)
    return out


def fused(sums: Float32, shares: Float32, present: Bool) -> Fused:
    """Brings sums to unit length; an item of which nothing is present, or nothing is left, is zero."""
    vectors = unit(np.where(present.any(axis=1, keepdims=True), sums, np.float32(0)))
    kept = vectors.any(axis=1, keepdims=True)
    return Fused(vectors, np.where(kept, shares, np.float32(0)))
