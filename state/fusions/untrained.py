"""Fusions of every kind before any training: what the content prior serves, and where training starts.

All but the late one then give the normalised mean of the tokens, which are the content of each modality.
"""

import numpy as np

from state.content import basis, projection
from state.fusions import FUSIONS, ItemFusion, build_fusion
from state.layout import DIM, MODALITY_COUNT
from state.shapes import Float32

HEADS, HEAD_DIM = 2, 16
"""Of the attentions."""
HIDDEN = 32
"""Of the network beside a concatenation."""
SHARPNESS = 12.0
"""Of the decisions of the late fusion."""


def untrained(kind: str) -> ItemFusion:
    """Raises ModelError for an unknown kind."""
    if kind not in FUSIONS:
        return build_fusion(kind, {})
    made = starting_arrays()
    return build_fusion(kind, {name: made[name] for name in FUSIONS[kind].shapes})


def starting_arrays() -> dict[str, Float32]:
    """The arrays of all kinds by name. What only training can tell is zero."""
    concepts = np.concatenate([basis(), -basis()])
    sizes: dict[str, tuple[int, ...]] = {
        "item_bias": (MODALITY_COUNT, DIM),
        "item_weight": (MODALITY_COUNT,),
        "item_gate": (MODALITY_COUNT, DIM),
        "item_gate_bias": (MODALITY_COUNT,),
        "item_join_in": (MODALITY_COUNT * (DIM + 1), HIDDEN),
        "item_join_in_bias": (HIDDEN,),
        "item_join_out": (HIDDEN, DIM),
        "item_query": (HEADS, DIM, HEAD_DIM),
        "item_key": (HEADS, DIM, HEAD_DIM),
        "item_value": (HEADS, DIM, DIM),
        "item_kinds": (HEADS, MODALITY_COUNT, MODALITY_COUNT),
    }
    return {
        "item_project": np.tile(projection(), (MODALITY_COUNT, 1, 1)),
        "item_gain": np.full((MODALITY_COUNT, DIM), DIM**-0.5, np.float32),
        "item_join": np.tile(np.eye(DIM, dtype=np.float32), (MODALITY_COUNT, 1)),
        "item_concepts": concepts,
        "item_concept_share": np.full(len(concepts), 1 / len(concepts), np.float32),
        "item_sharpness": np.array([SHARPNESS], np.float32),
        **{name: np.zeros(shape, np.float32) for name, shape in sizes.items()},
    }
