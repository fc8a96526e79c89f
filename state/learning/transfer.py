"""The numbers of an artifact put into a model that is to be trained on: what it serves stays what it was."""

from collections.abc import Sequence
from typing import Literal

import msgspec
import numpy as np
import torch
from torch import Tensor, nn

from state.judging import LIKE, PARTS, RATE, Judges
from state.known import KnownCategories, KnownItems, category_hash
from state.learning.interest import InterestModel, InterestShape
from state.learning.start import Start
from state.learning.tower import Categories
from state.shapes import Float32
from state.slots import item_hash

Tuned = Literal["whole", "biases", "ids"]
"""What training moves: all numbers; vectors of single items, biases and gains; vectors of single items."""

_BIASES = ("bias", "gain", "action", "dwell", "rank", "time", "latest", "weight")
"""Last words of the names of numbers that shift or scale, and mix nothing."""
_ALWAYS = ("sharpness", "tower.embedding")


def shape_of(start: Start, shape: InterestShape) -> InterestShape:
    """The shape in the artifact's sizes; parts that it lacks are as in `shape`."""
    weights = start.artifact.weights
    return msgspec.structs.replace(
        shape,
        event_hidden=weights.event_in.shape[1] or shape.event_hidden,
        readout_hidden=weights.readout_in.shape[1] or shape.readout_hidden,
        attention=weights.attention_query.shape[0],
        attention_dim=weights.attention_query.shape[2],
        review=weights.review_query.shape[0],
        review_dim=weights.review_query.shape[2],
    )


def begin(model: InterestModel, start: Start, item_ids: Sequence[str]) -> int:
    """Gives a model of `shape_of` the numbers of the start, in place; how many of the items it knew.

    Items that it did not know begin as their content alone; those without content at random. Blocks that it
    lacks begin as ones that add nothing.
    """
    with torch.no_grad():
        _weights(model, start)
        if model.tower.told and start.speaks:
            items = start.artifact.items
            model.tower.kind = items.kind
            device = model.sharpness.device
            model.tower.fusion = nn.ParameterDict(
                {name: torch.from_numpy(array.copy()).to(device) for name, array in items.arrays.items()}
            )
        if start.artifact.judges is not None:
            _judges(model, start.artifact.judges)
        return _ids(model, start.artifact.known, item_ids)


def tune(model: InterestModel, tuned: Tuned) -> None:
    """Only what `tuned` says is moved by training from now on."""
    for name, number in model.named_parameters():
        last = name.rsplit(".", 1)[-1].rsplit("_", 1)[-1]
        shifts = tuned == "biases" and last in _BIASES
        number.requires_grad_(tuned == "whole" or name in _ALWAYS or shifts)


def _weights(model: InterestModel, start: Start) -> None:
    own = start.artifact.weights
    if start.sharpness is not None:
        model.sharpness.fill_(start.sharpness)
    for name in ("event_action", "event_dwell", "head_query", "head_value"):
        _put(getattr(model, name), getattr(own, name))
    for name in ("readout_latest", "readout_gate", "readout_gate_bias", "readout_out"):
        _put(getattr(model, name), getattr(own, name))
    _put(model.head_action, _admitted(own.head_action))
    _put(model.dislike_action, _admitted(own.dislike_action))
    for norm in ("event", "review", "readout"):
        into = getattr(model, f"{norm}_norm")
        _put(into.gain, getattr(own, f"{norm}_gain"))
        _put(into.bias, getattr(own, f"{norm}_bias"))
    for name in ("attention", "review"):
        for part in ("query", "key", "value", "action", "rank", "time"):
            _put(getattr(getattr(model, name), part), getattr(own, f"{name}_{part}"))
    event = (own.event_in, own.event_in_bias, own.event_out)
    readout = (own.readout_in, own.readout_in_bias, own.readout_hidden_out)
    for bend, arrays in ((model.event, event), (model.readout, readout)):
        if arrays[0].shape[1]:
            for number, array in zip((bend.into, bend.bias, bend.out), arrays, strict=True):
                _put(number, array)
        else:
            bend.out.zero_()


def _admitted(biases: Float32) -> Float32:
    """Which actions are kept out altogether is no number of the model."""
    return np.where(np.isneginf(biases), np.float32(0), biases)


def _judges(model: InterestModel, judges: Judges) -> None:
    for name, head in ((LIKE, model.likes), (RATE, model.rates)):
        for part in PARTS:
            _put(getattr(head, part), judges.arrays[f"{name}_{part}"])


def _ids(model: InterestModel, known: KnownItems | None, item_ids: Sequence[str]) -> int:
    tower = model.tower
    if not tower.ids:
        return 0
    tower.embedding[tower.present.any(dim=1)] = 0.0
    if known is None:
        return 0
    _categories(tower.categories, known.categories)
    rows, vectors = known.find(np.array([item_hash(one) for one in item_ids], np.uint64))
    places = torch.from_numpy(rows).to(tower.embedding.device)
    own = torch.from_numpy(vectors).to(tower.embedding.device)
    tower.embedding[places] = own - tower.categories(places)
    tower.known[places] = True
    return len(rows)


def _categories(learned: Categories, known: KnownCategories | None) -> None:
    """Those that the artifact does not know add nothing until they are trained."""
    if known is None:
        return
    rows, vectors = known.find(np.array([category_hash(name) for name in learned.names], np.uint64))
    learned.embedding[torch.from_numpy(rows)] = torch.from_numpy(vectors).to(learned.embedding.device)


def _put(number: Tensor, array: Float32) -> None:
    number.copy_(torch.from_numpy(np.ascontiguousarray(array)))
