"""The fusions as they are trained: the formulas of `state.fusions` in torch, where every item has all places.

A test holds them equal to what serves.
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.nn.functional import layer_norm, normalize, silu

from state.fusions.attention import CrossAttention, SelfAttention
from state.fusions.concatenation import Concatenation
from state.fusions.late import Late
from state.fusions.sums import Gated, WeightedSum
from state.layout import DIM

Arrays = Mapping[str, Tensor]
_EPSILON = 1e-8
"""Of `state.rowwise.LayerNorm`."""


def item_vectors(kind: str, arrays: Arrays, vectors: Tensor, present: Tensor) -> Tensor:
    """Unit vectors [n, DIM] of vectors [n, 4, SHARED_DIM] and what is present [n, 4]: some of every item."""
    normed = layer_norm(torch.einsum("nms,msd->nmd", vectors, arrays["item_project"]), (DIM,), eps=_EPSILON)
    tokens = (normed * arrays["item_gain"] + arrays["item_bias"]) * present[..., None]
    return normalize(_WAYS[kind](arrays, tokens, present), dim=-1)


def _softmax(logits: Tensor, allowed: Tensor) -> Tensor:
    """Over the last axis, of what is allowed; zero where nothing is."""
    masked = logits.masked_fill(~allowed, -torch.inf)
    top = masked.amax(dim=-1, keepdim=True).clamp(min=torch.finfo(logits.dtype).min)
    weights = torch.exp(masked - top)
    return weights / weights.sum(dim=-1, keepdim=True).clamp(min=torch.finfo(logits.dtype).tiny)


def _shares(arrays: Arrays, present: Tensor) -> Tensor:
    return _softmax(arrays["item_weight"].expand(present.shape), present)


def _pooled(tokens: Tensor, shares: Tensor) -> Tensor:
    return (tokens * shares[..., None]).sum(dim=1)


def _concatenation(arrays: Arrays, tokens: Tensor, present: Tensor) -> Tensor:
    joined = tokens.flatten(1)
    told = torch.cat([joined, present.to(joined.dtype)], dim=1)
    hidden = silu(told @ arrays["item_join_in"] + arrays["item_join_in_bias"])
    return joined @ arrays["item_join"] + hidden @ arrays["item_join_out"]


def _weighted_sum(arrays: Arrays, tokens: Tensor, present: Tensor) -> Tensor:
    return _pooled(tokens, _shares(arrays, present))


def _gated(arrays: Arrays, tokens: Tensor, present: Tensor) -> Tensor:
    gates = (tokens * arrays["item_gate"]).sum(dim=-1) + arrays["item_gate_bias"]
    return _pooled(tokens, _softmax(gates, present))


def _late(arrays: Arrays, tokens: Tensor, present: Tensor) -> Tensor:
    logits = normalize(tokens, dim=-1) @ arrays["item_concepts"].T * arrays["item_sharpness"]
    decided = _pooled(torch.softmax(logits, dim=-1), _shares(arrays, present))
    return (decided - arrays["item_concept_share"]) @ arrays["item_concepts"]


def _attended(arrays: Arrays, tokens: Tensor, sees: Tensor) -> Tensor:
    """y [n, 4, DIM], where the modalities of an item see those that `sees` [n, 4, 4] allows."""
    queries = torch.einsum("nmd,hda->nhma", tokens, arrays["item_query"])
    keys = torch.einsum("njd,hda->nhja", tokens, arrays["item_key"])
    logits = torch.einsum("nhma,nhja->nhmj", queries, keys) + arrays["item_kinds"]
    looks = _softmax(logits, sees[:, None].expand(logits.shape))
    return tokens + torch.einsum("nhmj,njd,hde->nme", looks, tokens, arrays["item_value"])


def _self_attention(arrays: Arrays, tokens: Tensor, present: Tensor) -> Tensor:
    sees = present[:, None, :].expand(-1, present.shape[1], -1)
    return _pooled(_attended(arrays, tokens, sees), _shares(arrays, present))


def _cross_attention(arrays: Arrays, tokens: Tensor, present: Tensor) -> Tensor:
    others = ~torch.eye(present.shape[1], dtype=torch.bool, device=present.device)
    return _pooled(_attended(arrays, tokens, present[:, None, :] & others), _shares(arrays, present))


_WAYS: dict[str, Callable[[Arrays, Tensor, Tensor], Tensor]] = {
    Concatenation.kind: _concatenation,
    WeightedSum.kind: _weighted_sum,
    Gated.kind: _gated,
    Late.kind: _late,
    SelfAttention.kind: _self_attention,
    CrossAttention.kind: _cross_attention,
}
