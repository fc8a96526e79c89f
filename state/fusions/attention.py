"""Fusions in which the modalities of an item look at one another."""

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from state.fusions.base import TOKENS, Bool, Fused, ItemFusion, Tokens, fused, pooled, shares_of
from state.layout import MODALITY_COUNT
from state.rowwise import product
from state.shapes import Float32, Shapes

ATTENTION: Shapes = {
    **TOKENS,
    "item_weight": ("modalities",),
    "item_query": ("item_heads", "dim", "item_head_dim"),
    "item_key": ("item_heads", "dim", "item_head_dim"),
    "item_value": ("item_heads", "dim", "dim"),
    "item_kinds": ("item_heads", "modalities", "modalities"),
}


class _Attention(ItemFusion):
    """y_m = x_m + sum_h sum_j A_h(m, j) x_j item_value_h, and z = unit(sum_m softmax_m(item_weight) y_m).

    A_h(m, j) = softmax_j((x_m item_query_h) . (x_j item_key_h) + item_kinds_h(m, j)), over the j that m may
    look at. The share of a modality is half its own and half what the others' looks give it.
    """

    shapes: ClassVar[Shapes] = ATTENTION
    sees: ClassVar[Bool]
    """[4, 4]: whether modality m may look at modality j."""

    def __init__(self, arrays: Mapping[str, Float32]) -> None:
        super().__init__(arrays)
        self._tokens = Tokens(arrays)

    def fuse(self, vectors: Float32, present: Bool) -> Fused:
        tokens = self._tokens(vectors, present)
        shares = shares_of(self.arrays["item_weight"], present)
        sums = pooled(tokens, shares)
        looks = product(shares[:, None], self._looks(tokens, present))
        for head, value in enumerate(self.arrays["item_value"]):
            sums = sums + product(pooled(tokens, looks[:, head]), value)
        return fused(sums, _told(shares, looks), present)

    def _looks(self, tokens: Float32, present: Bool) -> Float32:
        """A [n, heads, 4, 4]."""
        queries = product(tokens[:, None], self.arrays["item_query"][:, None])
        keys = product(tokens[:, None], self.arrays["item_key"][:, None])
        logits = np.vecdot(queries[:, :, :, None], keys[:, :, None]) + self.arrays["item_kinds"]
        return shares_of(logits, present[:, None, None] & self.sees)


class SelfAttention(_Attention):
    """Each modality looks at all that are present, itself among them (arXiv 1706.03762)."""

    kind: ClassVar[str] = "self-attention"
    sees: ClassVar[Bool] = np.ones((MODALITY_COUNT, MODALITY_COUNT), bool)


class CrossAttention(_Attention):
    """Each modality looks at the others alone (arXiv 1906.00295); one that is alone stays as it is."""

    kind: ClassVar[str] = "cross-attention"
    sees: ClassVar[Bool] = ~np.eye(MODALITY_COUNT, dtype=bool)


def _told(shares: Float32, looks: Float32) -> Float32:
    """Shares [n, 4] of the modalities, which sum to one where any is present."""
    half = np.float32(0.5)
    looked = looks.sum(axis=1)
    total = looked.sum(axis=1, keepdims=True)
    given = np.where(total > 0, looked / np.where(total > 0, total, np.float32(1)), shares)
    return np.asarray(half * shares + half * given, np.float32)
