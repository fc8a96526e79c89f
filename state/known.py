"""What training learned of single items and of categories beside content: vectors found by hash."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import xxhash
from numpy.typing import NDArray

from state.errors import ModelError
from state.fusions.base import Fused
from state.layout import DIM
from state.rowwise import unit

Float32 = NDArray[np.float32]
UInt64 = NDArray[np.uint64]
Topics = tuple[str, ...]

KEYS, EMBEDDING = "known_keys", "known_embedding"
CATEGORY_KEYS, CATEGORY_EMBEDDING = "category_keys", "category_embedding"
NAMES = (KEYS, EMBEDDING, CATEGORY_KEYS, CATEGORY_EMBEDDING)
CATEGORIES = 16
"""Of an item's topics, the first ones that count as its categories; more say little and cost time."""


def category_hash(name: str) -> int:
    """64-bit xxHash of the name of a category."""
    return xxhash.xxh64_intdigest(name.encode("utf-8", "surrogatepass"))


@dataclass(frozen=True)
class Table:
    """n vectors: keys uint64 [n], ascending hashes of names, and their embedding, float16 [n, DIM].

    Raises ModelError for arrays that do not fit together.
    """

    NAMES: ClassVar[tuple[str, str]]
    """Of both arrays in the weights file."""

    keys: UInt64
    embedding: NDArray[np.float16]

    def __post_init__(self) -> None:
        keys, embedding = self.NAMES
        if self.keys.ndim != 1:
            raise ModelError(f"weight {keys} is {self.keys.dtype} {self.keys.shape}, wanted one dimension")
        for name, array, type_, shape in (
            (keys, self.keys, np.uint64, (len(self.keys),)),
            (embedding, self.embedding, np.float16, (len(self.keys), DIM)),
        ):
            if array.dtype != type_ or array.shape != shape:
                raise ModelError(f"weight {name} is {array.dtype} {array.shape}, wanted {shape}")
        if not np.isfinite(self.embedding).all():
            raise ModelError(f"weight {embedding} is not finite")
        if not (self.keys[1:] > self.keys[:-1]).all():
            raise ModelError(f"weight {keys} is not ascending")

    @property
    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """By the names that they have in the weights file."""
        return dict(zip(self.NAMES, (self.keys, self.embedding), strict=True))

    def find(self, hashes: UInt64) -> tuple[NDArray[np.int64], Float32]:
        """Which of these hashes [n] are there, as their places [m], and the embeddings of those, [m, DIM]."""
        if not len(self.keys):
            return np.zeros(0, np.int64), np.zeros((0, DIM), np.float32)
        places = np.minimum(np.searchsorted(self.keys, hashes), len(self.keys) - 1)
        rows = np.flatnonzero(self.keys[places] == hashes)
        return rows, self.embedding[places[rows]].astype(np.float32)


@dataclass(frozen=True)
class KnownCategories(Table):
    """What the items of a category have in common beside their content, for items that training never saw.
    Keys are hashes of names (`category_hash`)."""

    NAMES: ClassVar[tuple[str, str]] = (CATEGORY_KEYS, CATEGORY_EMBEDDING)

    def own(self, topics: Sequence[Topics]) -> Float32:
        """What stands in for the own vectors of items of these topics, [n, DIM]: the mean of those of their
        topics that are known, zero where none is."""
        first = [one[:CATEGORIES] for one in topics]
        hashes = np.array([category_hash(name) for one in first for name in one], np.uint64)
        rows, vectors = self.find(hashes)
        owners = np.repeat(np.arange(len(first)), [len(one) for one in first])[rows]
        sums = np.zeros((len(first), DIM), np.float32)
        np.add.at(sums, owners, vectors)
        counts = np.bincount(owners, minlength=len(first)).astype(np.float32)
        return np.asarray(sums / np.maximum(counts, np.float32(1))[:, None])


@dataclass(frozen=True)
class KnownItems(Table):
    """Items that training saw. Keys are hashes of their ids (`state.slots.item_hash`).

    The vector of an item is unit(c + embedding), where c is the unit vector of its modalities, or zero where
    none is usable. An item that training did not see has what its categories say in the place of the
    embedding, where the artifact has categories.
    """

    NAMES: ClassVar[tuple[str, str]] = (KEYS, EMBEDDING)

    categories: KnownCategories | None = None

    @property
    def arrays(self) -> dict[str, NDArray[np.generic]]:
        return super().arrays | (self.categories.arrays if self.categories else {})

    def added(self, fused: Fused, items: UInt64, topics: Sequence[Topics] = ()) -> Fused:
        """`fused` [n] with what is known of the items of these hashes [n] added; the shares stay. `topics` of
        the items [n] are looked at where the items are not known; 0 is the hash of no item."""
        if not len(self.keys) and self.categories is None:
            return fused
        rows, own = self.find(items)
        vectors = fused.vectors.copy()
        vectors[rows] = unit(vectors[rows] + own)
        if self.categories is not None and topics and len(rows) < len(items):
            new = items != 0
            new[rows] = False
            others = np.flatnonzero(new)
            own = self.categories.own([topics[row] for row in others.tolist()])
            told = own.any(axis=1)
            others = others[told]
            vectors[others] = unit(vectors[others] + own[told])
        return Fused(vectors, fused.shares)


def known_of(arrays: Mapping[str, NDArray[np.generic]]) -> KnownItems | None:
    """Out of the arrays of a weights file; None where it has none. Raises ModelError."""
    if not any(name in arrays for name in NAMES):
        return None
    told = any(name in arrays for name in KnownCategories.NAMES)
    wanted = NAMES if told else KnownItems.NAMES
    missing = [name for name in wanted if name not in arrays]
    if missing:
        raise ModelError(f"missing weights: {missing}")
    keys, embedding, *more = (np.asarray(arrays[name]) for name in wanted)
    return KnownItems(keys, embedding, KnownCategories(*more) if told else None)
