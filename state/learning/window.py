"""What stands in the ring at every event of a sequence at once, and attention over it: the parallel form of
`state.attention` and of the ring in `state.readout`."""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding

from state.artifact import TIME_BUCKETS
from state.events import ACTIONS
from state.layout import DIM, RING
from state.learning.bands import CHUNK, Bands

_LOWEST = torch.finfo(torch.float32).min
_TINY = torch.finfo(torch.float32).tiny
BACK = -(-(RING - 1) // CHUNK)
"""Chunks before its own that an event must see to see its ring."""


class Looks(NamedTuple):
    """What attention is given of b sequences of l events: keys float32 [b, l, DIM] and, all [b, l], action
    int64; weight float32, its logarithm; time int64; present bool, which events have a vector and a weight;
    until int64, after how many events each is taken back."""

    keys: Tensor
    action: Tensor
    weight: Tensor
    time: Tensor
    present: Tensor
    until: Tensor


class Window:
    """The rings of a batch. `ages` is False for models to which time is nothing."""

    def __init__(self, bands: Bands, looks: Looks, ages: bool = True) -> None:
        self.bands = bands
        self._looks = looks
        self.rank = bands.rank.clamp(0, RING - 1)
        inside = (bands.rank >= 0) & (bands.rank < RING)
        self.allowed = bands.seen(looks.present)[:, :, None] & inside
        self.allowed &= bands.rank < bands.seen(looks.until)[:, :, None]
        gap = bands.cut(looks.time)[..., None] - bands.seen(looks.time)[:, :, None]
        gap = torch.where(self.allowed, gap if ages else 0, 0)
        exponent = torch.frexp(gap.to(torch.float64) / 1000 + 1).exponent
        self.bucket = (exponent - 1).clamp(0, TIME_BUCKETS - 1)
        self.keys = bands.seen(looks.keys)
        self.weight = looks.weight
        self.action = looks.action

    def latest(self, asks: Tensor) -> tuple[Tensor, Tensor]:
        """Place in the sequence of the latest event of each ring that asks (`asks`: bool [b, l]), and whether
        there is any, both [b, l]."""
        may = self.allowed & self.bands.seen(asks)[:, :, None]
        columns = torch.arange(may.shape[3], device=may.device)
        found = torch.where(may, columns, -1).amax(dim=3)
        return self.bands.place(found).clamp(min=0), (found >= 0).flatten(1)


class Attention(nn.Module):
    """Some heads, with biases by action, rank and age. Names as in `state.artifact.Weights`, without the
    block's name."""

    def __init__(self, heads: int, width: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Parameter(torch.randn(heads, DIM, width) * DIM**-0.5)
        self.key = nn.Parameter(torch.randn(heads, DIM, width) * DIM**-0.5)
        self.value = nn.Parameter(torch.randn(heads, DIM, DIM) * (DIM * max(heads, 1)) ** -0.5)
        self.action = nn.Parameter(torch.zeros(len(ACTIONS), heads))
        self.rank = nn.Parameter(torch.zeros(heads, RING))
        self.time = nn.Parameter(torch.zeros(heads, TIME_BUCKETS))

    def forward(self, window: Window, query: Tensor) -> Tensor:
        """Answers [b, l, DIM] to queries [b, l, DIM], summed over the heads."""
        bands = window.bands
        pairs = self.query @ self.key.transpose(1, 2)
        asked = bands.cut(torch.einsum("bld,hde->blhe", query, pairs)).transpose(2, 3)
        logits = asked.flatten(2, 3) @ window.keys.transpose(2, 3)
        logits = self._by_head(logits) + self.rank[:, window.rank]
        by_event = bands.seen(embedding(window.action, self.action) + window.weight[..., None])
        logits = logits + self._by_age(window.bucket) + by_event.transpose(2, 3)[:, :, :, None]
        shares = softmax(logits, window.allowed[:, :, None])
        means = self._by_head(shares.flatten(2, 3) @ window.keys)
        return torch.einsum("bchid,hde->bcie", means, self.value).flatten(1, 2)

    def _by_age(self, bucket: Tensor) -> Tensor:
        """[b, c, heads, CHUNK, w] of buckets [b, c, CHUNK, w]. The slope of `gather` costs less than that of
        an embedding with few rows."""
        found = self.time.gather(1, bucket.flatten().expand(self.heads, -1))
        return found.reshape(self.heads, *bucket.shape).movedim(0, 2)

    def _by_head(self, values: Tensor) -> Tensor:
        """[b, c, heads CHUNK, d] to [b, c, heads, CHUNK, d]"""
        return values.reshape(*values.shape[:2], self.heads, CHUNK, values.shape[3])


def softmax(logits: Tensor, allowed: Tensor) -> Tensor:
    """Over the last axis, of what is allowed; zero where nothing is."""
    masked = logits.masked_fill(~allowed, -torch.inf)
    top = masked.detach().amax(dim=-1, keepdim=True).clamp(min=_LOWEST)
    weights = torch.exp(masked - top)
    return weights / weights.sum(dim=-1, keepdim=True).clamp(min=_TINY)
