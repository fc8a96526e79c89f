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
    length: Float32 = np.sqrt(np.where(square > 0, square, np.float32(1)))
    return np.reciprocal(length)


def layer_norm(vectors: Float32, gain: Float32, bias: Float32) -> Float32:
    """Layer normalisation (Ba, Kiros, Hinton 2016) over the last axis."""
    share = np.float32(1 / vectors.shape[-1])
    mean = np.vecdot(vectors, np.ones(vectors.shape[-1], np.float32)) * share
    out: Float32 = vectors - mean[..., None]
    scale = np.reciprocal(np.sqrt(np.vecdot(out, out) * share + np.float32(1e-8)))[..., None]
    if (gain == gain[0]).all():
        out *= scale * gain[0]
    else:
        out *= scale
        out *= gain
    if bias.any():
        out += bias
    return out


def finite(logits: Float32) -> Float32:
    """Zero for minus infinity, which nothing can be compared with."""
    return np.where(logits == -np.inf, np.float32(0), logits)


def divisor(total: Float32) -> Float32:
    """What to divide by where a total may be zero."""
    return np.where(total > 0, total, np.float32(1))


def silu(values: Float32) -> Float32:
    """x times its logistic function (Elfwing, Uchibe, Doya 2017)."""
    return np.asarray(values / (1 + np.exp(np.clip(-values, -80, 80))), np.float32)
