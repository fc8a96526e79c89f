"""Fusions that add the tokens up: by fixed weights, or by gates that look at them."""

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from state.fusions.base import TOKENS, Bool, Fused, ItemFusion, Tokens, fused, pooled, shares_of
from state.shapes import Float32, Shapes


class WeightedSum(ItemFusion):
    """z = unit(sum_m softmax_m(item_weight) x_m), over what is present."""

    kind: ClassVar[str] = "weighted-sum"
    shapes: ClassVar[Shapes] = {**TOKENS, "item_weight": ("modalities",)}

    def __init__(self, arrays: Mapping[str, Float32]) -> None:
        super().__init__(arrays)
        self._tokens = Tokens(arrays)

    def fuse(self, vectors: Float32, present: Bool) -> Fused:
        tokens = self._tokens(vectors, present)
        shares = shares_of(self.arrays["item_weight"], present)
        return fused(pooled(tokens, shares), shares, present)


class Gated(ItemFusion):
    """z = unit(sum_m softmax_m(item_gate . x_m + item_gate_bias) x_m), over what is present.

    After the gated multimodal unit (arXiv 1702.01992), with one gate a modality.
    """

    kind: ClassVar[str] = "gated"
    shapes: ClassVar[Shapes] = {
        **TOKENS,
        "item_gate": ("modalities", "dim"),
        "item_gate_bias": ("modalities",),
    }

    def __init__(self, arrays: Mapping[str, Float32]) -> None:
        super().__init__(arrays)
        self._tokens = Tokens(arrays)

    def fuse(self, vectors: Float32, present: Bool) -> Fused:
        tokens = self._tokens(vectors, present)
        gates = np.vecdot(tokens, self.arrays["item_gate"]) + self.arrays["item_gate_bias"]
        shares = shares_of(gates, present)
        return fused(pooled(tokens, shares), shares, present)
