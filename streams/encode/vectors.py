"""Vectors of one modality to the one that goes on the wire."""

from collections.abc import Sequence

import numpy as np

from encoders.base import MODALITIES, Float32, Modality

MODALITY_CODES = {modality: code for code, modality in enumerate(MODALITIES)}

_OPPOSED = 1e-6


def mean_direction(vectors: Sequence[Float32]) -> Float32:
    """Mean of unit vectors [dim], renormalised. The first one where they cancel each other out."""
    if len(vectors) == 1:
        return vectors[0]
    mean = np.mean(np.stack(vectors), axis=0, dtype=np.float32)
    length = float(np.linalg.norm(mean))
    return vectors[0] if length < _OPPOSED else np.asarray(mean / length, dtype=np.float32)


def to_wire(vector: Float32) -> bytes:
    """Little-endian float16 numbers."""
    return vector.astype("<f2").tobytes()


def from_wire(content: bytes) -> Float32:
    return np.frombuffer(content, dtype="<f2").astype(np.float32)


def code_of(modality: Modality) -> int:
    return MODALITY_CODES[modality]
