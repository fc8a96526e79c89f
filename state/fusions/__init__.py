"""Fusions of an item's modalities by the name of their kind; an artifact's manifest names one."""

from collections.abc import Mapping

from state.errors import ModelError
from state.fusions.attention import CrossAttention, SelfAttention
from state.fusions.base import Fused, ItemFusion
from state.fusions.concatenation import Concatenation
from state.fusions.late import Late
from state.fusions.sums import Gated, WeightedSum
from state.shapes import Float32

__all__ = ["FUSIONS", "Fused", "ItemFusion", "build_fusion"]

FUSIONS: dict[str, type[ItemFusion]] = {
    each.kind: each for each in (Concatenation, WeightedSum, Gated, Late, SelfAttention, CrossAttention)
}


def build_fusion(kind: str, arrays: Mapping[str, Float32]) -> ItemFusion:
    """Raises ModelError for an unknown kind and for arrays that are not those of the kind."""
    if kind not in FUSIONS:
        raise ModelError(f"unknown fusion of modalities {kind!r}; known are: {', '.join(sorted(FUSIONS))}")
    return FUSIONS[kind](arrays)
