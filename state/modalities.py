"""Vectors as rows and items carry them, brought to the fusion of modalities."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from state.fusions.base import Fused, ItemFusion
from state.layout import MODALITY_COUNT, SHARED_DIM
from state.rowwise import unit

__all__ = ["Fused", "fuse"]

_BYTES = SHARED_DIM * 2


def fuse(fusion: ItemFusion, vectors: Sequence[Mapping[int, bytes]]) -> Fused:
    """Fuses n items, given their vectors by modality code (see `state.events.Row`).

    A vector of the wrong length, of zeros, or with numbers that are not finite counts as absent.
    """
    return fusion.fuse(*_dense(vectors))


def _dense(vectors: Sequence[Mapping[int, bytes]]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Unit vectors [n, 4, SHARED_DIM], zero where absent, and what is present [n, 4]."""
    places, contents = [], []
    for row, by_code in enumerate(vectors):
        for code, content in by_code.items():
            if len(content) == _BYTES and 0 <= code < MODALITY_COUNT:
                places.append(row * MODALITY_COUNT + code)
                contents.append(content)
    dense = np.zeros((len(vectors) * MODALITY_COUNT, SHARED_DIM), np.float32)
    present = np.zeros(len(dense), bool)
    arrays = np.frombuffer(b"".join(contents), "<f2").reshape(-1, SHARED_DIM).astype(np.float32)
    usable = np.isfinite(arrays).all(axis=1) & arrays.any(axis=1)
    found = np.array(places, np.int64)[usable]
    dense[found] = unit(arrays[usable])
    present[found] = True
    shape = (len(vectors), MODALITY_COUNT)
    return dense.reshape(*shape, SHARED_DIM), present.reshape(shape)
