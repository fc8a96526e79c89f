"""Array arithmetic in which the result for one row never depends on the other rows, to the bit.

A product of matrices rounds a row by its place: the kernels take rows in groups of another size at the
edges, and sum in another order there. Padding to tiles of a fixed height does not help (with 64 rows,
OpenBLAS on Haswell kernels gives one row three different results, by its place). So every row is
multiplied on its own, one product of a vector and a matrix after the other in one call, which costs
little more at a batch of 64 and much less at a batch of one.
"""

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]

_LEAST = np.finfo(np.float32).smallest_subnormal
"""Above zero, and below nothing else that is."""
_LOWEST = np.finfo(np.float32).min


def product(rows: Float32, matrix: Float32) -> Float32:
    """Vectors [..., a] times matrices [..., a, b], each on its own: [..., b]."""
    out: Float32 = np.vecmat(rows, matrix)
    return out


def unit(vectors: Float32) -> Float32:
    """Vectors [..., d] of length one; zero stays zero."""
    return vectors * _inverse_length(vectors)


def to_unit(vectors: Float32) -> Float32:
    """As `unit`, in place: large arrays cost more to allocate than to compute."""
    vectors *= _inverse_length(vectors)
    return vectors


def _inverse_length(vectors: Float32) -> Float32:
    square = np.vecdot(vectors, vectors)[..., None]
    return np.asarray(np.reciprocal(np.sqrt(np.maximum(square, _LEAST))), np.float32)


class LayerNorm:
    """Layer normalisation (Ba, Kiros, Hinton 2016) over the last axis.

    What a gain that is the same everywhere, and a bias of zero, would cost each time is found out once.
    """

    def __init__(self, gain: Float32, bias: Float32) -> None:
        self._ones = np.ones(len(gain), np.float32)
        self._share = np.float32(1 / len(gain))
        self._scale = gain[0] if (gain == gain[0]).all() else np.float32(1)
        self._gain = None if (gain == gain[0]).all() else gain
        self._bias = bias if bias.any() else None

    def __call__(self, vectors: Float32) -> Float32:
        mean = np.vecdot(vectors, self._ones) * self._share
        out: Float32 = vectors - mean[..., None]
        spread = np.sqrt(np.vecdot(out, out) * self._share + np.float32(1e-8))
        out *= (np.reciprocal(spread) * self._scale)[..., None]
        if self._gain is not None:
            out *= self._gain
        if self._bias is not None:
            out += self._bias
        return out


def finite(logits: Float32) -> Float32:
    """The lowest number for minus infinity, which cannot be subtracted."""
    return np.maximum(logits, _LOWEST)


def divisor(total: Float32) -> Float32:
    """What to divide by where a total, of which nothing is a part, may be zero."""
    return np.maximum(total, _LEAST)


def silu(values: Float32) -> Float32:
    """x times its logistic function (Elfwing, Uchibe, Doya 2017)."""
    return np.asarray(values / (1 + np.exp(np.clip(-values, -80, 80))), np.float32)
