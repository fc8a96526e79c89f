"""What labels are inferred from: a vector for each item, and the labels that are known."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from state.layout import MODALITY_COUNT, SHARED_DIM

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]

UNKNOWN = -1
_BYTES = 2


class Labels(NamedTuple):
    """`codes` [n] are places in `names`, or UNKNOWN."""

    names: tuple[str, ...]
    codes: Int64


def labels_of(known: Sequence[str | None]) -> Labels:
    """One label for each item, or none."""
    names = tuple(sorted({label for label in known if label is not None}))
    places = {name: place for place, name in enumerate(names)}
    codes = [UNKNOWN if label is None else places[label] for label in known]
    return Labels(names, np.array(codes, np.int64))


def content_vectors(items: Sequence[Mapping[int, bytes]]) -> Float32:
    """Unit vectors [n, SHARED_DIM]: the mean of an item's modalities, given as float16 bytes by modality.

    What is no such vector counts for none. Of an item without any, zeros.
    """
    out = np.zeros((len(items), SHARED_DIM), np.float32)
    for row, vectors in enumerate(items):
        for code, held in vectors.items():
            if not (0 <= code < MODALITY_COUNT and len(held) == SHARED_DIM * _BYTES):
                continue
            vector = np.frombuffer(held, "<f2").astype(np.float32)
            if np.isfinite(vector).all():
                out[row] += vector / max(float(np.linalg.norm(vector)), 1e-6)
    lengths = np.linalg.norm(out, axis=1, keepdims=True)
    return np.asarray(out / np.where(lengths > 0, lengths, 1), np.float32)
