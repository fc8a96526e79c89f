"""Late fusion: each modality decides on its own what the item shows, and the decisions are averaged."""

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from state.fusions.base import TOKENS, Bool, Fused, ItemFusion, Tokens, fused, pooled, shares_of
from state.rowwise import product, unit
from state.shapes import Float32, Shapes


class Late(ItemFusion):
    """p_m = softmax_k(item_sharpness unit(x_m) . item_concepts_k), p = sum_m softmax_m(item_weight) p_m, and
    z = unit((p - item_concept_share) item_concepts).

    Concepts are directions that the catalogue's items gather in; `item_concept_share` is how often each is
    decided for, so that what is everywhere says nothing.
    """

    kind: ClassVar[str] = "late"
    shapes: ClassVar[Shapes] = {
        **TOKENS,
        "item_weight": ("modalities",),
        "item_concepts": ("concepts", "dim"),
        "item_concept_share": ("concepts",),
        "item_sharpness": ("one",),
    }

    def __init__(self, arrays: Mapping[str, Float32]) -> None:
        super().__init__(arrays)
        self._tokens = Tokens(arrays)
        self._concepts = np.ascontiguousarray(arrays["item_concepts"].T)

    def fuse(self, vectors: Float32, present: Bool) -> Fused:
        tokens = unit(self._tokens(vectors, present))
        logits = product(tokens, self._concepts) * self.arrays["item_sharpness"]
        decisions = shares_of(logits, np.ones(1, bool))
        shares = shares_of(self.arrays["item_weight"], present)
        decided = pooled(decisions, shares) - self.arrays["item_concept_share"]
        return fused(product(decided, self.arrays["item_concepts"]), shares, present)
