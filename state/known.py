"""What training learned of single items beside their content: one vector for each, found by the item's id."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from state.errors import ModelError
from state.fusions.base import Fused
from state.layout import DIM
from state.rowwise import unit

UInt64 = NDArray[np.uint64]

KEYS, EMBEDDING = "known_keys", "known_embedding"
NAMES = (KEYS, EMBEDDING)


@dataclass(frozen=True)
class KnownItems:
    """n items that training saw: keys uint64 [n], ascending hashes of their ids (`state.slots.item_hash`),
    and their embedding, float16 [n, DIM].

    The vector of an item is unit(c + embedding), where c is the unit vector of its modalities, or zero where
    none is usable. Raises ModelError for arrays that do not fit together.
    """

    keys: UInt64
    embedding: NDArray[np.float16]

    def __post_init__(self) -> None:
        if self.keys.ndim != 1:
            raise ModelError(f"weight {KEYS} is {self.keys.dtype} {self.keys.shape}, wanted one dimension")
        for name, array, type_, shape in (
            (KEYS, self.keys, np.uint64, (len(self.keys),)),
            (EMBEDDING, self.embedding, np.float16, (len(self.keys), DIM)),
        ):
            if array.dtype != type_ or array.shape != shape:
                raise ModelError(f"weight {name} is {array.dtype} {array.shape}, wanted {shape}")
        if not np.isfinite(self.embedding).all():
            raise ModelError(f"weight {EMBEDDING} is not finite")
        if not (self.keys[1:] > self.keys[:-1]).all():
            raise ModelError(f"weight {KEYS} is not ascending")

    @property
    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """By the names that they have in the weights file."""
        return {KEYS: self.keys, EMBEDDING: self.embedding}

    def added(self, fused: Fused, items: UInt64) -> Fused:
        """`fused` [n] with the embeddings of the items of these hashes [n] added; the shares stay."""
        if not len(self.keys):
            return fused
        rows, own = self.find(items)
        vectors = fused.vectors.copy()
        vectors[rows] = unit(vectors[rows] + own)
        return Fused(vectors, fused.shares)

    def find(self, items: UInt64) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Which of the items of these hashes [n] are known, as their places [m], and the embeddings of those,
        [m, DIM]."""
        if not len(self.keys):
            return np.zeros(0, np.int64), np.zeros((0, DIM), np.float32)
        places = np.minimum(np.searchsorted(self.keys, items), len(self.keys) - 1)
        rows = np.flatnonzero(self.keys[places] == items)
        return rows, self.embedding[places[rows]].astype(np.float32)


def known_of(arrays: Mapping[str, NDArray[np.generic]]) -> KnownItems | None:
    """Out of the arrays of a weights file; None where it has none. Raises ModelError."""
    if not any(name in arrays for name in NAMES):
        return None
    missing = [name for name in NAMES if name not in arrays]
    if missing:
        raise ModelError(f"missing weights: {missing}")
    return KnownItems(np.asarray(arrays[KEYS]), np.asarray(arrays[EMBEDDING]))
