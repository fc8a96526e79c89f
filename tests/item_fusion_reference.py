"""The fusions of an item's modalities once more, the slow way: float64, one modality after the other."""

from collections.abc import Callable

import numpy as np

from state.fusions import ItemFusion
from tests.fusion_reference import norm, silu, softmax, unit

Arrays = dict[str, np.ndarray]
Found = dict[int, np.ndarray]
"""Tokens of the modalities that are there."""


def item_vector(fusion: ItemFusion, vectors: np.ndarray, present: np.ndarray) -> np.ndarray:
    """[64], of vectors [4, 128] and what is present [4]."""
    arrays = {name: array.astype(np.float64) for name, array in fusion.arrays.items()}
    tokens = {
        m: norm(vectors[m] @ arrays["item_project"][m], arrays["item_gain"][m], arrays["item_bias"][m])
        for m in range(4)
        if present[m]
    }
    return unit(WAYS[fusion.kind](arrays, tokens)) if tokens else np.zeros(64)


def weights(arrays: Arrays, tokens: Found) -> dict[int, float]:
    return dict(zip(tokens, softmax([arrays["item_weight"][m] for m in tokens]), strict=True))


def concatenation(arrays: Arrays, tokens: Found) -> np.ndarray:
    joined = np.concatenate([tokens.get(m, np.zeros(64)) for m in range(4)])
    told = np.concatenate([joined, [float(m in tokens) for m in range(4)]])
    hidden = silu(told @ arrays["item_join_in"] + arrays["item_join_in_bias"])
    return joined @ arrays["item_join"] + hidden @ arrays["item_join_out"]


def weighted_sum(arrays: Arrays, tokens: Found) -> np.ndarray:
    return sum(share * tokens[m] for m, share in weights(arrays, tokens).items())


def gated(arrays: Arrays, tokens: Found) -> np.ndarray:
    gates = [x @ arrays["item_gate"][m] + arrays["item_gate_bias"][m] for m, x in tokens.items()]
    return sum(share * x for share, x in zip(softmax(gates), tokens.values(), strict=True))


def late(arrays: Arrays, tokens: Found) -> np.ndarray:
    decided = -arrays["item_concept_share"]
    for m, share in weights(arrays, tokens).items():
        logits = arrays["item_sharpness"][0] * (arrays["item_concepts"] @ unit(tokens[m]))
        decided = decided + share * np.array(softmax(list(logits)))
    return decided @ arrays["item_concepts"]


def attention(arrays: Arrays, tokens: Found, itself: bool) -> np.ndarray:
    out = np.zeros(64)
    for m, share in weights(arrays, tokens).items():
        y = tokens[m].copy()
        seen = [j for j in tokens if itself or j != m]
        for head, value in enumerate(arrays["item_value"]):
            asked = tokens[m] @ arrays["item_query"][head]
            logits = [
                asked @ (tokens[j] @ arrays["item_key"][head]) + arrays["item_kinds"][head, m, j]
                for j in seen
            ]
            for look, j in zip(softmax(logits), seen, strict=True):
                y += look * (tokens[j] @ value)
        out += share * y
    return out


WAYS: dict[str, Callable[[Arrays, Found], np.ndarray]] = {
    "concatenation": concatenation,
    "weighted-sum": weighted_sum,
    "gated": gated,
    "late": late,
    "self-attention": lambda arrays, tokens: attention(arrays, tokens, itself=True),
    "cross-attention": lambda arrays, tokens: attention(arrays, tokens, itself=False),
}
