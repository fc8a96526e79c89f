"""Histories as the pieces that a model reads, and what a trained model says after them."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from state.learning.interactions import Float32, Int32, Int64, Interactions
from state.learning.interest import InterestModel
from state.learning.model import SequenceModel
from state.learning.protocol import Histories, demand
from state.learning.sequences import Batch, Events, Pieces, events_of

AT_ONCE = 8_192
"""Events that are read together, the fill among them."""


@dataclass(frozen=True)
class Readings:
    """n reads: `pieces`, and for each read its piece and the place in it of its latest event; -1 for both
    where the history is empty."""

    pieces: Pieces
    piece: Int64
    place: Int64


def readings_of(events: Events, histories: Histories, limit: int | None) -> Readings:
    """Where nothing is beyond `limit` events, all reads of one user share a piece."""
    first, end = histories.first, histories.end
    if limit is not None:
        first = np.maximum(first, end - limit)
    firsts: list[int] = []
    ends: list[int] = []
    piece = np.full(len(histories), -1, np.int64)
    for read, (start, stop) in enumerate(zip(first.tolist(), end.tolist(), strict=True)):
        if stop <= start:
            continue
        if firsts and firsts[-1] == start and stop >= ends[-1]:
            ends[-1] = stop
        else:
            firsts.append(start)
            ends.append(stop)
        piece[read] = len(firsts) - 1
    starts = np.array(firsts, np.int64)
    place = np.where(piece < 0, -1, end - 1 - starts[piece] if len(starts) else -1)
    nothing = np.zeros(len(events.item) + 1, np.bool_)
    return Readings(Pieces(events, starts, np.array(ends, np.int64), nothing, starts), piece, place)


class SequentialRecommender:
    """A trained sequential model as an evaluation sees it (`state.learning.protocol.Recommender`).

    Who has no history, or one that says nothing, gets items by popularity. Items that training never saw
    score minus infinity where the model knows nothing of them.
    """

    def __init__(self, model: SequenceModel, train: Interactions, device: torch.device) -> None:
        self.name = model.kind
        self.model = model
        self._device = device
        self._popular = np.where(train.counts > 0, demand(train), np.float32(-np.inf))
        self._events: tuple[Interactions, Events] | None = None

    def scores(self, histories: Histories) -> Float32:
        out = np.tile(self._popular, (len(histories), 1))
        for reads, queries, vectors, usable in self._read(histories):
            scores = queries @ vectors.T
            scores[:, ~usable] = -torch.inf
            spoken = queries.any(dim=1).cpu().numpy()
            out[reads[spoken]] = scores.cpu().numpy()[spoken]
        return out

    def _read(self, histories: Histories) -> Iterator[tuple[Int64, Tensor, Tensor, Tensor]]:
        """Reads, their queries, the vectors of all items and which of these are known."""
        model, device = self.model, self._device
        usable = torch.zeros(model.items, dtype=torch.bool, device=device)
        usable[model.candidates()] = True
        if isinstance(model, InterestModel):
            usable |= model.tower.usable()
        rows = torch.arange(model.items, device=device)
        for reads, places, piece in self._parts(histories):
            with torch.inference_mode():
                told = model(piece, rows, places)
                yield reads, told.queries, told.vectors, usable

    def _parts(self, histories: Histories) -> Iterator[tuple[Int64, tuple[Tensor, Tensor], Batch]]:
        """Reads [r], the row and column of each in a batch, and the batch."""
        self.model.eval()
        readings = readings_of(self._events_of(histories.source), histories, self.model.limit)
        pieces, order = readings.pieces, np.argsort(readings.piece, kind="stable")
        sorted_pieces = readings.piece[order]
        for chosen in pieces.longest_first(AT_ONCE, self.model.multiple):
            batch = pieces.batch(chosen, self.model.multiple).to(self._device)
            starts = np.searchsorted(sorted_pieces, chosen)
            stops = np.searchsorted(sorted_pieces, chosen, side="right")
            reads = np.concatenate([order[a:b] for a, b in zip(starts, stops, strict=True)])
            rows = np.repeat(np.arange(len(chosen)), stops - starts)
            columns = readings.place[reads]
            where = (torch.from_numpy(rows).to(self._device), torch.from_numpy(columns).to(self._device))
            yield reads, where, batch

    def _events_of(self, source: Interactions) -> Events:
        if self._events is None or self._events[0] is not source:
            self._events = (source, events_of(source))
        return self._events[1]


class InterestRecommender(SequentialRecommender):
    """The interest model, which tells likes besides; `state.learning.verdicts.Judge`."""

    def __init__(self, model: InterestModel, train: Interactions, device: torch.device) -> None:
        super().__init__(model, train, device)
        self.judge = model

    def likes(self, histories: Histories, items: Int32) -> Float32:
        """Probability that each history's user likes its item, float32 [n]; a half where nothing is known."""
        out = np.full(len(histories), 0.5, np.float32)
        rows = torch.arange(self.judge.items, device=self._device)
        for reads, places, piece in self._parts(histories):
            with torch.inference_mode():
                told = self.judge(piece, rows, places)
                of = told.vectors[torch.from_numpy(items[reads].astype(np.int64)).to(self._device)]
                made = torch.sigmoid(self.judge.likes(told.user, of))
                out[reads] = made.cpu().numpy()
        return out
