"""One item vector from the vectors of its modalities: a gated sum over those that are present."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from state.artifact import Float32, Weights
from state.layout import DIM, MODALITY_COUNT, SHARED_DIM
from state.rowwise import layer_norm, product, unit

_BYTES = SHARED_DIM * 2


@dataclass(slots=True, frozen=True)
class Fused:
    """Unit item vectors [n, DIM] and the shares of the modalities [n, 4]; both zero where none is usable."""

    vectors: Float32
    shares: Float32

    @property
    def usable(self) -> NDArray[np.bool_]:
        return np.asarray(self.shares.any(axis=1))


def fuse(weights: Weights, vectors: Sequence[Mapping[int, bytes]]) -> Fused:
    """Fuses n items, given their vectors by modality code (see `state.events.Row`).

    A vector of the wrong length, of zeros, or with numbers that are not finite counts as absent.
    """
    count = len(vectors)
    parts = np.zeros((count, MODALITY_COUNT, DIM), np.float32)
    gates = np.full((count, MODALITY_COUNT), -np.inf, np.float32)
    for modality in range(MODALITY_COUNT):
        rows, arrays = _present(vectors, modality)
        if len(rows):
            projected = product(arrays, weights.item_project[modality])
            part = layer_norm(projected, weights.item_gain[modality], weights.item_bias[modality])
            asked = np.einsum("nd,d->n", part, weights.item_gate[modality])
            parts[rows, modality] = part
            gates[rows, modality] = asked + weights.item_gate_bias[modality]
    top = gates.max(axis=1, keepdims=True)
    shares = np.exp(gates - np.where(np.isneginf(top), np.float32(0), top))
    total = shares.sum(axis=1, keepdims=True)
    shares = shares / np.where(total > 0, total, np.float32(1))
    fused = unit(np.einsum("nm,nmd->nd", shares, parts))
    shares = np.where(fused.any(axis=1, keepdims=True), shares, np.float32(0))
    return Fused(fused, shares)


def _present(vectors: Sequence[Mapping[int, bytes]], modality: int) -> tuple[NDArray[np.int64], Float32]:
    """Which rows have a usable vector of the modality, and these vectors, [p, SHARED_DIM]."""
    found = [
        (row, content)
        for row, by_modality in enumerate(vectors)
        if (content := by_modality.get(modality)) is not None and len(content) == _BYTES
    ]
    rows = np.array([row for row, _ in found], np.int64)
    halves = np.frombuffer(b"".join([content for _, content in found]), "<f2").reshape(-1, SHARED_DIM)
    arrays = halves.astype(np.float32)
    usable = np.isfinite(arrays).all(axis=1) & arrays.any(axis=1)
    return rows[usable], unit(arrays[usable])
