"""How a user would judge an item: the probability of a like, and the rating, as training learned them."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from state.errors import ModelError
from state.layout import DIM
from state.shapes import Float32, check_arrays

PARTS: dict[str, tuple[str, ...]] = {
    "pair": ("dim", "dim"),
    "user": ("dim",),
    "item": ("dim",),
    "bias": ("one",),
}
LIKE, RATE = "like", "rate"
_NAMES = {f"{head}_{part}": names for head in (LIKE, RATE) for part, names in PARTS.items()}
NAMES = tuple(_NAMES)
_SIZES = {"dim": DIM, "one": 1}


@dataclass(frozen=True)
class Judges:
    """Two heads, by arrays `like_*` and `rate_*` of the shapes in PARTS.

    Each tells u pair z + u user + z item + bias of the ranking vector u and the item's vector z: the one the
    logit of a like, the other the rating as a part of the highest. Raises ModelError for arrays that do not
    fit.
    """

    arrays: Mapping[str, Float32]

    def __post_init__(self) -> None:
        if set(self.arrays) != set(NAMES):
            raise ModelError(f"heads that judge: missing or unknown: {sorted(set(self.arrays) ^ set(NAMES))}")
        check_arrays(self.arrays, _NAMES, _SIZES)

    def likes(self, interests: Float32, items: Float32) -> Float32:
        """Probability [n] that each of n users likes an item, by ranking vectors and items' [n, 64]."""
        logits = self._told(LIKE, interests, items)
        return np.asarray(1 / (1 + np.exp(np.clip(-logits, -60, 60))), np.float32)

    def ratings(self, interests: Float32, items: Float32) -> Float32:
        """Rating [n] as a part of the highest, 0 to 1."""
        return np.asarray(np.clip(self._told(RATE, interests, items), 0, 1), np.float32)

    def _told(self, head: str, interests: Float32, items: Float32) -> Float32:
        pair, user, item, bias = (self.arrays[f"{head}_{part}"] for part in PARTS)
        crossed = np.einsum("nd,de,ne->n", interests, pair, items)
        return np.asarray(crossed + interests @ user + items @ item + bias, np.float32)


def judges_of(arrays: Mapping[str, NDArray[np.generic]]) -> Judges | None:
    """Out of the arrays of a weights file; None where it has none. Raises ModelError for a part of them."""
    own = {name: np.asarray(arrays[name]) for name in NAMES if name in arrays}
    return Judges(own) if own else None
