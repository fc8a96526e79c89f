"""A catalogue's vectors as they would be had the alignment not seen them.

What an alignment was fitted to agrees far more with itself than anything that comes later: in the sample
catalogue, text and picture of an item have a mean cosine of .93 where they were seen, and of .35 where they
were not. Whatever learns from such vectors learns to trust what will not be there. So the items are cut into
parts; for each part an alignment is fitted to the rest, and turned onto the axes of the whole one, which the
rest knows in both (orthogonal Procrustes; Schoenemann, Psychometrika 1966).
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from encoders.alignment import Alignment, unit
from encoders.alignment_figures import aligned
from encoders.alignment_fit import FitItem, fit
from encoders.base import MODALITIES, SHARED_DIM, Float32

PARTS = 5


class ItemVectors(NamedTuple):
    """Unit vectors float32 [n, 4, SHARED_DIM], zero where absent, and what is present [n, 4]."""

    vectors: Float32
    present: NDArray[np.bool_]


def item_vectors(alignment: Alignment, items: Sequence[FitItem]) -> ItemVectors:
    """The items as they are served."""
    vectors = np.stack([aligned(alignment, items, modality) for modality in MODALITIES], axis=1)
    return ItemVectors(vectors, np.asarray(vectors.any(axis=2)))


def unseen_vectors(alignment: Alignment, items: Sequence[FitItem], builtin: Alignment) -> ItemVectors:
    """The items that `alignment` was fitted to, as if each were new; under the built-in one they always are.

    Raises ArtifactError where the parts are too small to fit to.
    """
    served = item_vectors(alignment, items)
    if alignment.kind == builtin.kind:
        return served
    vectors = np.zeros_like(served.vectors)
    order = np.random.default_rng(0).permutation(len(items))
    for part in range(PARTS):
        out, rest = order[part::PARTS].tolist(), np.delete(order, np.s_[part::PARTS]).tolist()
        other = fit([items[row] for row in rest], builtin)
        known = served.present[rest]
        seen = item_vectors(other, [items[row] for row in rest]).vectors[known]
        turn = _rotation(seen, served.vectors[rest][known])
        own = item_vectors(other, [items[row] for row in out]).vectors
        vectors[out] = unit(own.reshape(-1, SHARED_DIM) @ turn).reshape(own.shape)
    return ItemVectors(vectors, np.asarray(vectors.any(axis=2)))


def _rotation(rows: Float32, onto: Float32) -> Float32:
    """[d, d], orthogonal: what turns the rows closest to the others."""
    left, _, right = np.linalg.svd(rows.T.astype(np.float64) @ onto.astype(np.float64))
    return np.asarray(left @ right, np.float32)
