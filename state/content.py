"""How item space holds content: the leading numbers of the shared space, on a basis of mean zero."""

import numpy as np

from state.layout import DIM, SHARED_DIM
from state.shapes import Float32

CONTENT_DIM = DIM - 1
"""Leading numbers of the shared space that are used; the encoders order it by variance."""


def basis() -> Float32:
    """[CONTENT_DIM, DIM]: the cosines of the DCT-II but the constant one, orthonormal and of mean zero.

    They spread every direction over all the numbers, which rounding to eight bits likes. Layer normalisation
    changes no cosine of what is of mean zero.
    """
    place = (np.arange(DIM) + 0.5) * np.pi / DIM
    rows: Float32 = (np.cos(np.outer(np.arange(1, DIM), place)) * np.sqrt(2 / DIM)).astype(np.float32)
    return rows[:CONTENT_DIM]


def projection() -> Float32:
    """[SHARED_DIM, DIM]: the leading numbers on the basis."""
    out = np.zeros((SHARED_DIM, DIM), np.float32)
    out[:CONTENT_DIM] = basis()
    return out
