"""A trained interest model as the artifact that serves it."""

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import normalize

from state.artifact import Artifact, Weights
from state.errors import LearningError
from state.events import ACTIONS, Action
from state.fusions import ItemFusion, build_fusion
from state.fusions.untrained import untrained
from state.judging import LIKE, PARTS, RATE, Judges
from state.known import KnownCategories, KnownItems, Table, UInt64, category_hash
from state.layout import DIM, HEAD_COUNT, HEAD_DIM
from state.learning.interest import InterestModel
from state.learning.tower import Categories, stored
from state.learning.window import Attention
from state.prior import content_prior
from state.shapes import Float32
from state.signals import REJECTING
from state.slots import item_hash

_RIDGE = 1e-3
_FITTED = 50_000
"""Items that the way back from heads to item space is fitted to, at most."""


def artifact_of(
    model: InterestModel,
    item_ids: tuple[str, ...],
    space: str = "",
    version: str = "",
    former: KnownItems | None = None,
) -> Artifact:
    """Serves what was trained. `space` is the version of the encoders whose vectors were trained on. Items of
    `former` that training had nothing of keep their vectors.

    The version is made of the content where none is given. Raises LearningError for a model without time or
    actions, which serving cannot do without.
    """
    if not (model.shape.decay and model.shape.actions):
        raise LearningError(
            "a model without time or without actions is for comparison alone, and does not serve"
        )
    model.eval()
    with torch.inference_mode():
        fusion = (
            build_fusion(model.tower.kind, {name: _array(each) for name, each in model.tower.fusion.items()})
            if model.tower.told
            else _mute(model.tower.kind)
        )
        known, judges = _joined(_known(model, item_ids), former), _judges(model)
        made = Artifact(version, _weights(model), fusion, space, known, judges)
    return made if version else replace(made, version=f"interest-{made.fingerprint:08x}")


def _mute(kind: str) -> ItemFusion:
    """Of a model that was trained on ids alone: whatever content an item has says nothing."""
    arrays = dict(untrained(kind).arrays)
    return build_fusion(kind, arrays | {"item_gain": np.zeros_like(arrays["item_gain"])})


def _weights(model: InterestModel) -> Weights:
    prior = content_prior().weights
    out_of_heads = np.where(REJECTING[:, None], np.float32(-np.inf), _array(model.head_action))
    return Weights(
        action_weight=prior.action_weight,
        asks=(~REJECTING).astype(np.float32),
        event_action=_array(model.event_action),
        event_dwell=_array(model.event_dwell),
        event_in=_array(model.event.into),
        event_in_bias=_array(model.event.bias),
        event_out=_array(model.event.out),
        event_gain=_array(model.event_norm.gain),
        event_bias=_array(model.event_norm.bias),
        head_query=_array(model.head_query),
        head_action=out_of_heads,
        head_value=_array(model.head_value),
        head_item=_ways_back(model),
        **_block("attention", model.attention),
        review_gain=_array(model.review_norm.gain),
        review_bias=_array(model.review_norm.bias),
        **_block("review", model.review),
        dislike_action=np.where(REJECTING, _array(model.dislike_action), np.float32(-np.inf)),
        readout_latest=_array(model.readout_latest),
        readout_gate=_array(model.readout_gate),
        readout_gate_bias=_array(model.readout_gate_bias),
        readout_out=_array(model.readout_out) * np.float32(model.shape.heads),
        readout_in=_array(model.readout.into),
        readout_in_bias=_array(model.readout.bias),
        readout_hidden_out=_array(model.readout.out),
        readout_gain=_array(model.readout_norm.gain),
        readout_bias=_array(model.readout_norm.bias),
    )


def _block(name: str, attention: Attention) -> dict[str, Float32]:
    parts = ("query", "key", "value", "action", "rank", "time")
    return {f"{name}_{part}": _array(getattr(attention, part)) for part in parts}


def _ways_back(model: InterestModel) -> Float32:
    """head_item [HEAD_COUNT, HEAD_DIM, DIM]: by least squares, from the values of items that were viewed to
    the items. A head's mean is one of values, so the way back is linear in it as well."""
    rows = torch.nonzero(model.tower.usable())[:_FITTED, 0]
    if not len(rows):
        return np.zeros((HEAD_COUNT, HEAD_DIM, DIM), np.float32)
    items = stored(model.tower(rows))
    viewed = items + model.event_action[ACTIONS.index(Action.VIEW)] + model.event_dwell[0]
    keys = model.event_norm(model.event(viewed, model.dropout)).to(torch.float64)
    values = torch.einsum("nd,kde->kne", keys, model.head_value.to(torch.float64))
    ridge = _RIDGE * torch.eye(HEAD_DIM, dtype=torch.float64, device=rows.device) * len(rows)
    squares = values.transpose(1, 2) @ values + ridge
    back = torch.linalg.solve(squares, values.transpose(1, 2) @ normalize(items, dim=1).to(torch.float64))
    return _array(back)


def _known(model: InterestModel, item_ids: tuple[str, ...]) -> KnownItems | None:
    if not model.tower.ids:
        return None
    rows = torch.nonzero(model.tower.known)[:, 0].cpu().numpy()
    keys = np.array([item_hash(item_ids[row]) for row in rows.tolist()], np.uint64)
    # Of two ids with one hash, which is next to impossible, the first holds.
    keys, first = np.unique(keys, return_index=True)
    places = torch.from_numpy(rows[first]).to(model.tower.embedding.device)
    own = model.tower.embedding[places] + model.tower.categories(places)
    return KnownItems(keys, _half(own), _categories(model.tower.categories))


def _categories(learned: Categories) -> KnownCategories | None:
    if not learned.names:
        return None
    keys = np.array([category_hash(name) for name in learned.names], np.uint64)
    keys, first = np.unique(keys, return_index=True)
    return KnownCategories(keys, _half(learned.embedding)[first])


def _half(vectors: Tensor) -> NDArray[np.float16]:
    return np.ascontiguousarray(vectors.to(torch.float16).cpu().numpy())


def _joined(known: KnownItems | None, former: KnownItems | None) -> KnownItems | None:
    if known is None or former is None:
        return known
    categories = known.categories or former.categories
    if known.categories and former.categories:
        categories = KnownCategories(*_together(known.categories, former.categories))
    return KnownItems(*_together(known, former), categories)


def _together(table: Table, former: Table) -> tuple[UInt64, NDArray[np.float16]]:
    others = ~np.isin(former.keys, table.keys)
    keys = np.concatenate([table.keys, former.keys[others]])
    order = np.argsort(keys)
    embedding = np.concatenate([table.embedding, former.embedding[others]])
    return keys[order], np.ascontiguousarray(embedding[order])


def _judges(model: InterestModel) -> Judges:
    heads = {LIKE: model.likes, RATE: model.rates}
    return Judges(
        {f"{name}_{part}": _array(getattr(head, part)) for name, head in heads.items() for part in PARTS}
    )


def _array(tensor: Tensor) -> Float32:
    return np.ascontiguousarray(tensor.detach().to(torch.float32).cpu().numpy())
