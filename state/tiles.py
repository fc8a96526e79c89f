"""Array arithmetic whose result for one row never depends on the other rows.

A matrix product may sum in another order when it has another number of rows. So a product over a
batch runs in tiles of TILE rows, the last one padded with zeros: the result of a row is the same to
the bit, whatever shares its batch. Products that run user by user have a fixed shape already.
"""

import numpy as np
from numpy.typing import NDArray

TILE = 64

Float32 = NDArray[np.float32]
Bool = NDArray[np.bool_]


def padded(rows: Float32) -> Float32:
    """[n, ...] to [tiles, TILE, ...], zeros at the end."""
    count = len(rows)
    tiles = -(-count // TILE)
    if count == tiles * TILE:
        return np.ascontiguousarray(rows).reshape(tiles, TILE, *rows.shape[1:])
    full = np.zeros((tiles * TILE, *rows.shape[1:]), np.float32)
    full[:count] = rows
    return full.reshape(tiles, TILE, *rows.shape[1:])


def product(rows: Float32, matrix: Float32) -> Float32:
    """[n, a] times [a, b], in tiles."""
    out: Float32 = np.matmul(padded(rows), matrix).reshape(-1, matrix.shape[1])
    return out[: len(rows)]


def product_by_head(rows: Float32, matrices: Float32) -> Float32:
    """[n, k, a] times [k, a, b], head by head, in tiles: [n, k, b]."""
    tiles = padded(rows).transpose(0, 2, 1, 3)
    by_tile = np.matmul(np.ascontiguousarray(tiles), matrices).transpose(0, 2, 1, 3)
    out: Float32 = by_tile.reshape(-1, matrices.shape[0], matrices.shape[2])
    return out[: len(rows)]


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
    out *= np.reciprocal(np.sqrt(np.vecdot(out, out) * share + np.float32(1e-8)))[..., None]
    out *= gain
    out += bias
    return out


def silu(values: Float32) -> Float32:
    """x times its logistic function (Elfwing, Uchibe, Doya 2017)."""
    return np.asarray(values / (1 + np.exp(np.clip(-values, -80, 80))), np.float32)
