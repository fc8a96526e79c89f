"""The interest model as it is trained: every event of a sequence at once, by the formulas of
`state.artifact.Weights`. A test holds it equal to what serves."""

from dataclasses import replace
from typing import ClassVar

import msgspec
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import embedding, layer_norm, normalize, silu

from state.artifact import DWELL_BUCKETS
from state.events import ACTIONS
from state.heads import DISLIKE_RATE, RATES, SCORE_LIMIT
from state.layout import DIM, HEAD_COUNT, HEAD_DIM
from state.learning.bands import CHUNK, Bands, chunks_of
from state.learning.dropout import Dropout
from state.learning.interactions import Bool, ItemContent
from state.learning.model import Asked, SequenceModel, Told
from state.learning.sequences import KEPT, Batch
from state.learning.sums import Bank, Sums, Timing
from state.learning.tower import Dropping, ItemTower, stored
from state.learning.window import BACK, Attention, Looks, Window
from state.signals import REJECTING

EPSILON = 1e-8
"""Of `state.rowwise.LayerNorm`."""
_MEANS, _MASSES = slice(0, HEAD_COUNT * HEAD_DIM), slice(HEAD_COUNT * HEAD_DIM, None)
GATED = HEAD_COUNT * HEAD_DIM + HEAD_COUNT
_LARGEST_MASS = 60.0
FAINT = -4.0
"""Logarithm of what a rejection weighs in the dislike bank before training. Training comes down too slowly
from the whole weight, and who rejects some of what they choose goes on to choose the like of it."""


class InterestShape(msgspec.Struct, frozen=True):
    """Sizes of the model, what training hides of it, and what it goes without, to see what that is worth."""

    event_hidden: int = 128
    readout_hidden: int = 128
    attention: int = 2
    attention_dim: int = 32
    review: int = 0
    review_dim: int = 32
    dropout: float = 0.2
    modality_dropout: float = 0.25
    id_dropout: float = 0.2
    event_dropout: float = 0.2
    """Share of a history's events that a training step does not see."""
    sharpness: float = 16.0
    """Of scores before training: what cosines are multiplied by to be logits."""
    ring: bool = True
    """Attention over the latest events."""
    heads: bool = True
    """Long-term heads."""
    decay: bool = True
    """Time. A model without it does not serve."""
    actions: bool = True
    """What the user did, its weight and dwell time; without, every event is a view. Does not serve."""
    content: bool = True
    categories: bool = True
    """What items of a category have in common beside their content."""
    ids: bool = True


class _Norm(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(DIM))
        self.bias = nn.Parameter(torch.zeros(DIM))

    def forward(self, vectors: Tensor) -> Tensor:
        return layer_norm(vectors, (DIM,), self.gain, self.bias, EPSILON)


class _Bend(nn.Module):
    """x + out silu(in x + bias)"""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.into = nn.Parameter(torch.randn(DIM, hidden) * DIM**-0.5)
        self.bias = nn.Parameter(torch.zeros(hidden))
        self.out = nn.Parameter(torch.randn(hidden, DIM) * max(hidden, 1) ** -0.5 * 0.5)

    def forward(self, vectors: Tensor, dropout: nn.Module) -> Tensor:
        bent: Tensor = vectors + dropout(silu(vectors @ self.into + self.bias) @ self.out)
        return bent


class Judging(nn.Module):
    """How a user judges an item: u pair z + u user + z item + bias, of the user's vector and the item's."""

    def __init__(self) -> None:
        super().__init__()
        self.pair = nn.Parameter(torch.zeros(DIM, DIM))
        self.user = nn.Parameter(torch.zeros(DIM))
        self.item = nn.Parameter(torch.zeros(DIM))
        self.bias = nn.Parameter(torch.zeros(1))

    def forward(self, user: Tensor, item: Tensor) -> Tensor:
        """[n] of users and items [n, DIM]."""
        return ((user @ self.pair + self.item) * item).sum(dim=-1) + user @ self.user + self.bias


class InterestModel(SequenceModel):
    """`known`: bool [items], those that training sees. Names of numbers as in `state.artifact.Weights`."""

    kind: ClassVar[str] = "interest"
    multiple = CHUNK

    def __init__(self, shape: InterestShape, known: Bool, content: ItemContent | None = None) -> None:
        super().__init__()
        self.shape = shape
        self.items = len(known)
        told = content if shape.content else None
        if told is not None and not shape.categories:
            told = replace(told, topics=((),) * self.items)
        dropping = Dropping(shape.modality_dropout, shape.id_dropout)
        self.tower = ItemTower(known, told, shape.ids, dropping)
        self.dropout = Dropout(shape.dropout)
        self.sharpness = nn.Parameter(torch.tensor(float(np.log(shape.sharpness))))
        self.event_action = nn.Parameter(torch.randn(len(ACTIONS), DIM) * 0.02)
        self.event_dwell = nn.Parameter(torch.randn(DWELL_BUCKETS, DIM) * 0.02)
        self.event = _Bend(shape.event_hidden)
        self.event_norm = _Norm()
        self.head_query = nn.Parameter(torch.randn(HEAD_COUNT, DIM) * 0.1)
        self.head_action = nn.Parameter(torch.zeros(len(ACTIONS), HEAD_COUNT))
        self.head_value = nn.Parameter(torch.randn(HEAD_COUNT, DIM, HEAD_DIM) * DIM**-0.5)
        self.attention = Attention(shape.attention if shape.ring else 0, shape.attention_dim)
        self.review = Attention(shape.review if shape.ring else 0, shape.review_dim)
        self.review_norm = _Norm()
        self.dislike_action = nn.Parameter(torch.full((len(ACTIONS),), FAINT))
        self.readout_latest = nn.Parameter(torch.ones(1))
        self.readout_gate = nn.Parameter(torch.randn(DIM, GATED) * DIM**-0.5 * 0.5)
        self.readout_gate_bias = nn.Parameter(torch.ones(GATED))
        self.readout_out = nn.Parameter(torch.randn(GATED, DIM) * GATED**-0.5)
        self.readout = _Bend(shape.readout_hidden)
        self.readout_norm = _Norm()
        self.likes, self.rates = Judging(), Judging()
        self.seen: Tensor
        self.admitted: Tensor
        self.head_rates: Tensor
        self.dislike_rate: Tensor
        for name, array in (
            ("seen", known),
            ("admitted", ~REJECTING),
            ("head_rates", RATES * np.float32(shape.decay)),
            ("dislike_rate", DISLIKE_RATE * np.float32(shape.decay)),
        ):
            self.register_buffer(name, torch.from_numpy(np.array(array)), persistent=False)

    def candidates(self) -> Tensor:
        return torch.nonzero(self.seen & self.tower.usable())[:, 0]

    def forward(self, batch: Batch, rows: Tensor, asked: Asked | None = None) -> Told:
        found, places = _places(batch.item, rows)
        made = self.tower(found)
        taken = places[: batch.item.numel()]
        some = (taken < len(found))[:, None]
        vectors = stored(embedding(taken.clamp(max=len(found) - 1), made) * some)
        usable = torch.cat([self.tower.usable()[found], self.seen.new_zeros(1)])
        vectors = vectors.view(*batch.item.shape, DIM)
        events = (vectors, usable[taken].view(batch.item.shape))
        interest, wanted = self._interest(self._plain(batch), events, asked)
        if asked is None:
            interest, wanted = interest.view(vectors.shape), wanted.view(vectors.shape)
        return Told(wanted * self.sharpness.exp(), made[places[batch.item.numel() :]], interest)

    def _plain(self, batch: Batch) -> Batch:
        """The batch as a model sees it to which actions are nothing."""
        if self.shape.actions:
            return batch
        return batch._replace(
            action=torch.zeros_like(batch.action),
            weight=torch.where(batch.weight > 0, 1.0, 0.0),
            dwell=torch.zeros_like(batch.dwell),
            until=torch.full_like(batch.until, KEPT),
            unlikes=False,
            rejects=False,
        )

    def _interest(
        self, batch: Batch, events: tuple[Tensor, Tensor], asked: Asked | None
    ) -> tuple[Tensor, Tensor]:
        """h, and h less what the dislike bank takes off it, both [r, DIM] of what is asked for or [b l, DIM],
        given z [b, l, DIM] of the events' items and which of these there are [b, l]."""
        vectors, usable = events
        x = self._events(batch, vectors)
        keys = self.event_norm(x)
        present = self._seen(usable & (batch.weight > 0))
        weight = torch.log(torch.where(batch.weight > 0, batch.weight, 1.0))
        kept, at = self._asked(asked, x.shape[1])
        bands = Bands(x.shape[1], BACK, x.device, kept)
        looks = Looks(keys, batch.action, weight, batch.time, present, batch.until)
        window = Window(bands, looks, self.shape.decay)
        latest, asking = self._query(batch, window, x, keys)
        near = bands if batch.unlikes else Bands(x.shape[1], 0, x.device, kept)
        admitted = present & self.admitted[batch.action]
        bank = Bank(near, Timing(batch.time, admitted, batch.until), self.head_rates)
        scores = SCORE_LIMIT.item() * torch.tanh(keys @ self.head_query.T / SCORE_LIMIT.item())
        logits = scores + embedding(batch.action, self.head_action) + weight[..., None]
        long = bank.read(logits, keys, self.head_value)
        # A second look is at whole chunks; in training, picking rows out early costs what it saves.
        early, late = (None, at) if self.review.heads or self.training else (at, None)
        out = self._looked(window, (_rows(latest, early), asking), long, early)
        out = out if late is None else out[late]
        interest = normalize(self.readout_norm(self.readout(out, self.dropout)), dim=-1)
        interest = torch.where(_rows(long.exists, at)[..., -1:], interest, 0.0)
        disliked = self._disliked(batch, near, (present, weight, vectors))
        return interest, interest if disliked is None else interest - _rows(disliked, at)

    def _looked(self, window: Window, latest: tuple[Tensor, Tensor], long: Sums, at: Tensor | None) -> Tensor:
        """What the latest event, the heads and the ring say [r, DIM], of the places `at`."""
        own, asking = latest
        out = self.readout_latest * own
        if self.shape.heads:
            out = out + self.dropout(self._remembered(own, _rows(long.means, at), _rows(long.log_mass, at)))
        if self.attention.heads:
            out = out + self.dropout(_rows(self.attention(window, asking), at))
        if self.review.heads:
            out = self.review_norm(out)
            out = out + self.dropout(self.review(window, out.view(asking.shape)).flatten(0, 1))
        return out

    def _asked(self, asked: Asked | None, length: int) -> tuple[Tensor | None, Tensor | None]:
        """The chunks that are read, None for all, and the places among their events of what is asked for."""
        if asked is None:
            return None, None
        if self.training:
            return None, asked[0] * length + asked[1]
        return chunks_of(asked, length)

    def _remembered(self, latest: Tensor, means: Tensor, log_mass: Tensor) -> Tensor:
        """What the heads hold [r, HEAD_COUNT, HEAD_DIM], and its masses [r, HEAD_COUNT], gated by the latest
        event: [r, DIM]."""
        mass = torch.log1p(torch.exp(log_mass.clamp(max=_LARGEST_MASS)))
        told = latest.new_zeros(())
        # To put them side by side first would copy what is widest.
        for facts, own in zip((means.flatten(1), mass), (_MEANS, _MASSES), strict=True):
            gates = silu(torch.addmm(self.readout_gate_bias[own], latest, self.readout_gate[:, own]))
            told = told + (facts * gates) @ self.readout_out[own]
        return told

    def _seen(self, present: Tensor) -> Tensor:
        """Which events count, bool [b, l]: in training, by chance, not all that are there."""
        if not self.training or not self.shape.event_dropout:
            return present
        drawn = torch.rand(present.shape, device=present.device)
        return present & (drawn >= self.shape.event_dropout)

    def _events(self, batch: Batch, vectors: Tensor) -> Tensor:
        y = self.dropout(vectors)
        if self.shape.actions:
            both = (self.event_action[:, None] + self.event_dwell).flatten(0, 1)
            y = y + embedding(batch.action * DWELL_BUCKETS + batch.dwell, both)
        x: Tensor = self.event(y, self.dropout)
        return x

    def _query(self, batch: Batch, window: Window, x: Tensor, keys: Tensor) -> tuple[Tensor, Tensor]:
        """x_T and LN(x_T) of the latest event that asks, [n, CHUNK, DIM]; zero where there is none."""
        place, found = window.latest(self.admitted[batch.action])
        rows = place.view(-1, 1).expand(-1, DIM)
        latest, asking = (
            values.flatten(0, 1).gather(0, rows).view(*place.shape, DIM) for values in (x, keys)
        )
        return latest * found[..., None], asking * found[..., None]

    def _disliked(self, batch: Batch, bands: Bands, events: tuple[Tensor, Tensor, Tensor]) -> Tensor | None:
        """The mean of what was rejected, scaled by mass / (1 + mass) (`state.ranking.queries`),
        [n, CHUNK, DIM]; None where nothing was."""
        present, weight, vectors = events
        if not batch.rejects:
            return None
        counted = present & ~self.admitted[batch.action]
        logits = (self.dislike_action[batch.action] + weight)[..., None]
        bank = Bank(bands, Timing(batch.time, counted, batch.until), self.dislike_rate)
        sums = bank.read(logits, vectors, torch.eye(DIM, device=vectors.device)[None])
        mass = torch.exp(sums.log_mass)
        faded: Tensor = sums.means[:, :, 0] * (mass / (1 + mass))
        return faded


def _rows(values: Tensor, at: Tensor | None) -> Tensor:
    """[r, ...] of the places `at` of values [n, CHUNK, ...]; all where that is None."""
    rows = values.flatten(0, 1)
    return rows if at is None else rows[at]


def _places(items: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
    """The items [m] that stand in `items` or in `rows`, and the place among them of each of `items`, then of
    each of `rows`, int64; m for the items below zero."""
    both = torch.cat([items.flatten(), rows])
    found, places = torch.unique(both.clamp(min=0), return_inverse=True)
    return found, torch.where(both < 0, len(found), places)
