"""One item vector from the vectors of its modalities: a gated sum over those that are present."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from state.artifact import Float32, Weights
from state.layout import DIM, MODALITY_COUNT, SHARED_DIM
from state.rowwise import divisor, finite, product, unit

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
    for modality, (found, contents) in enumerate(_by_modality(vectors)):
        if contents:
            rows, arrays = _usable(found, contents)
            projected = product(arrays, weights.item_project[modality])
            part = weights.norms.item[modality](projected)
            parts[rows, modality] = part
            asked = np.einsum("nd,d->n", part, weights.item_gate[modality])
            gates[rows, modality] = asked + weights.item_gate_bias[modality]
    shares = np.exp(gates - finite(gates.max(axis=1, keepdims=True)))
    shares = shares / divisor(shares.sum(axis=1, keepdims=True))
    fused = unit(np.einsum("nm,nmd->nd", shares, parts))
    shares = np.where(fused.any(axis=1, keepdims=True), shares, np.float32(0))
    return Fused(fused, shares)


def _by_modality(vectors: Sequence[Mapping[int, bytes]]) -> list[tuple[list[int], list[bytes]]]:
    """Per modality code: the rows that have a vector of the right length, and these vectors."""
    found: list[tuple[list[int], list[bytes]]] = [([], []) for _ in range(MODALITY_COUNT)]
    for row, by_code in enumerate(vectors):
        for code, content in by_code.items():
            if len(content) == _BYTES and 0 <= code < MODALITY_COUNT:
                rows, contents = found[code]
                rows.append(row)
                contents.append(content)
    return found


def _usable(found: list[int], contents: list[bytes]) -> tuple[NDArray[np.int64], Float32]:
    """The rows whose vectors are finite and not zero, and these vectors, [p, SHARED_DIM], of unit length."""
    rows = np.array(found, np.int64)
    arrays = np.frombuffer(b"".join(contents), "<f2").reshape(-1, SHARED_DIM).astype(np.float32)
    usable = np.isfinite(arrays).all(axis=1) & arrays.any(axis=1)
    return rows[usable], unit(arrays[usable])
