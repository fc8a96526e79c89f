"""What users did with items, as arrays, and what is known of the items: what training and evaluation read."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import xxhash
from numpy.typing import NDArray

from state.errors import LearningError
from state.layout import MODALITY_COUNT, SHARED_DIM

Float32 = NDArray[np.float32]
Int32 = NDArray[np.int32]
Int64 = NDArray[np.int64]
UInt8 = NDArray[np.uint8]
Bool = NDArray[np.bool_]

_COLUMNS = {
    "user": np.int32,
    "item": np.int32,
    "time_ms": np.int64,
    "action": np.uint8,
    "value": np.float32,
    "dwell": np.float32,
    "watched": np.float32,
    "sentiment": np.float32,
}


@dataclass(frozen=True)
class Interactions:
    """n events, sorted by user, then by time; events of one time stand in the order in which they came.

    user, item: int32 [n], codes into `user_ids` and `item_ids`, of which some may have no event here.
    time_ms: int64 [n], epoch milliseconds. action: uint8 [n], index into `state.events.ACTIONS`.
    All of the rest are float32 [n], NaN where not known. value: rating. dwell: seconds. watched: share of the
    item that was watched. sentiment: of a comment, -1 to 1.
    Make one with `interactions_of`, which sorts.
    """

    user: Int32
    item: Int32
    time_ms: Int64
    action: UInt8
    value: Float32
    dwell: Float32
    watched: Float32
    sentiment: Float32
    user_ids: tuple[str, ...]
    item_ids: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.user)

    @property
    def users(self) -> int:
        return len(self.user_ids)

    @property
    def items(self) -> int:
        return len(self.item_ids)

    @cached_property
    def starts(self) -> Int64:
        """int64 [users + 1]: the events of user u stand at positions starts[u] to starts[u + 1]."""
        return np.searchsorted(self.user, np.arange(self.users + 1)).astype(np.int64)

    @cached_property
    def counts(self) -> Int64:
        """int64 [items]: events of each item."""
        return np.bincount(self.item, minlength=self.items).astype(np.int64)

    def subset(self, chosen: Bool | Int64) -> "Interactions":
        """The events of a mask, or at ascending positions; the codes stay what they are."""
        return replace(self, **{name: getattr(self, name)[chosen] for name in _COLUMNS})

    @cached_property
    def fingerprint(self) -> str:
        """16 hexadecimal digits of the whole content, ids included."""
        digest = xxhash.xxh64()
        for name in _COLUMNS:
            digest.update(np.ascontiguousarray(getattr(self, name)).tobytes())
        for ids in (self.user_ids, self.item_ids):
            for one in ids:
                digest.update(one.encode("utf-8", "surrogatepass") + b"\0")
            digest.update(b"\1")
        return digest.hexdigest()


def interactions_of(
    columns: dict[str, NDArray[np.generic]], user_ids: Sequence[str], item_ids: Sequence[str]
) -> Interactions:
    """Sorts events given as columns; `value`, `dwell`, `watched` and `sentiment` may be left out.

    Raises LearningError for columns of different lengths, and for codes beyond the ids.
    """
    count = len(columns["user"])
    absent = np.full(count, np.nan, np.float32)
    arrays = {name: np.asarray(columns.get(name, absent), dtype) for name, dtype in _COLUMNS.items()}
    if any(array.shape != (count,) for array in arrays.values()):
        raise LearningError("the columns of interactions differ in length")
    for name, ids in (("user", user_ids), ("item", item_ids)):
        codes = arrays[name]
        if count and (codes.min() < 0 or codes.max() >= len(ids)):
            raise LearningError(f"a code of column {name} is beyond the {len(ids)} ids")
    order = np.lexsort((arrays["time_ms"], arrays["user"]))
    return Interactions(
        **{name: array[order] for name, array in arrays.items()},
        user_ids=tuple(user_ids),
        item_ids=tuple(item_ids),
    )


@dataclass(frozen=True)
class ItemContent:
    """What is known of each item beside its id, in the order of `Interactions.item_ids`.

    vectors: float32 [items, 4, 128] by modality code, unit where `present` (bool [items, 4]), else zero.
    topics: tags and categories of each item. published_ms: int64 [items], or None where it is not known.
    """

    vectors: Float32
    present: Bool
    topics: tuple[tuple[str, ...], ...]
    published_ms: Int64 | None = None
    space: str = ""
    """Version of the encoders that made the vectors; empty where it is not told."""

    def __post_init__(self) -> None:
        items = len(self.topics)
        if self.vectors.shape != (items, MODALITY_COUNT, SHARED_DIM):
            raise LearningError(f"item vectors of shape {self.vectors.shape} for {items} items")
        if self.present.shape != (items, MODALITY_COUNT):
            raise LearningError(f"a mask of shape {self.present.shape} for {items} items")

    def __len__(self) -> int:
        return len(self.topics)

    @property
    def described(self) -> int:
        """Items of which there is a vector or a topic."""
        told = self.present.any(axis=1) | np.array([bool(topics) for topics in self.topics], np.bool_)
        return int(np.count_nonzero(told))

    def masked(self, gone: Bool) -> "ItemContent":
        """The same without the modalities of `gone` [items, 4]."""
        present = self.present & ~gone
        return replace(
            self, vectors=np.where(present[..., None], self.vectors, np.float32(0)), present=present
        )
