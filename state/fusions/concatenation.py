"""Concatenation: all tokens side by side, then a linear map beside a small network."""

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from state.fusions.base import TOKENS, Bool, Fused, ItemFusion, Tokens, fused
from state.layout import DIM, MODALITY_COUNT
from state.rowwise import divisor, product, silu
from state.shapes import Float32, Shapes


class Concatenation(ItemFusion):
    """z = unit(c item_join + silu([c; present] item_join_in + item_join_in_bias) item_join_out).

    c = [x_1 .. x_4], zeros where one is absent; the network is told what is present, since zeros
    could also be seen. The share of a modality is that of its own part of c item_join, by squared length.
    """

    kind: ClassVar[str] = "concatenation"
    shapes: ClassVar[Shapes] = {
        **TOKENS,
        "item_join": ("joined", "dim"),
        "item_join_in": ("told", "item_hidden"),
        "item_join_in_bias": ("item_hidden",),
        "item_join_out": ("item_hidden", "dim"),
    }

    def __init__(self, arrays: Mapping[str, Float32]) -> None:
        super().__init__(arrays)
        self._tokens = Tokens(arrays)
        self._join = arrays["item_join"].reshape(MODALITY_COUNT, DIM, DIM)

    def fuse(self, vectors: Float32, present: Bool) -> Fused:
        tokens = self._tokens(vectors, present)
        parts = product(tokens, self._join)
        sums = parts.sum(axis=1)
        if self.arrays["item_join_out"].size:
            sums = sums + self._bent(tokens, present)
        squares = np.vecdot(parts, parts)
        shares = squares / divisor(squares.sum(axis=1, keepdims=True))
        return fused(sums, np.asarray(shares, np.float32), present)

    def _bent(self, tokens: Float32, present: Bool) -> Float32:
        joined = np.concatenate(
            [tokens.reshape(-1, MODALITY_COUNT * DIM), present.astype(np.float32)], axis=1
        )
        hidden = silu(product(joined, self.arrays["item_join_in"]) + self.arrays["item_join_in_bias"])
        return product(hidden, self.arrays["item_join_out"])
