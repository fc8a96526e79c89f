"""Vectors as rows and items carry them, brought to the fusion of modalities."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from state.fusions.base import Fused, ItemFusion
from state.layout import MODALITY_COUNT, SHARED_DIM
from state.rowwise import to_unit

__all__ = ["Fused", "fuse"]

AT_ONCE = 64
"""Items that are fused together: the arrays of more cost more to allocate than they save."""

_BYTES = SHARED_DIM * 2


def fuse(fusion: ItemFusion, vectors: Sequence[Mapping[int, bytes]]) -> Fused:
    """Fuses n items, given their vectors by modality code (see `state.events.Row`).

    A vector of the wrong length, of zeros, or with numbers that are not finite counts as absent.
    """
    if len(vectors) <= AT_ONCE:
        return fusion.fuse(*_present(vectors))
    starts = range(0, len(vectors), AT_ONCE)
    parts = [fusion.fuse(*_present(vectors[start : start + AT_ONCE])) for start in starts]
    return Fused(
        np.concatenate([part.vectors for part in parts]), np.concatenate([part.shares for part in parts])
    )


def _present(vectors: Sequence[Mapping[int, bytes]]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """What a fusion takes: the usable vectors, of unit length, and where they are."""
    places, contents = [], []
    for row, by_code in enumerate(vectors):
        for code, content in by_code.items():
            if len(content) == _BYTES and 0 <= code < MODALITY_COUNT:
                places.append(row * MODALITY_COUNT + code)
                contents.append(content)
    arrays = np.frombuffer(b"".join(contents), "<f2").reshape(-1, SHARED_DIM).astype(np.float32)
    usable = np.flatnonzero(np.isfinite(arrays).all(axis=1) & arrays.any(axis=1))
    found = np.array(places, np.int64)[usable]
    present = np.zeros(len(vectors) * MODALITY_COUNT, bool)
    present[found] = True
    ordered = (np.diff(found) > 0).all()
    if len(usable) < len(arrays) or not ordered:
        arrays = arrays[usable[np.argsort(found)]]
    return to_unit(arrays), present.reshape(-1, MODALITY_COUNT)
