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
from state.learning.sums import NOTHING

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
        inside = (bands.rank >= 0) & (bands.rank < RING)
        self.allowed = bands.seen(looks.present)[:, None] & inside
        self.allowed &= bands.rank < bands.seen(looks.until)[:, None]
        time = looks.time if ages else torch.zeros_like(looks.time)
        gap = (bands.cut(time)[..., None] - bands.seen(time)[:, None]).to(torch.float64)
        exponent = torch.frexp(gap.div_(1000).add_(1)).exponent
        place = bands.rank * TIME_BUCKETS + (exponent - 1).clamp(0, TIME_BUCKETS - 1)
        self.place = torch.where(self.allowed, place, RING * TIME_BUCKETS)
        self.keys = bands.seen(looks.keys)
        self.weight = looks.weight
        self.action = looks.action

    def latest(self, asks: Tensor) -> tuple[Tensor, Tensor]:
        """Place among the b l events of the latest event of each ring that asks (`asks`: bool [b, l]), and
        whether there is any, both [n, CHUNK]."""
        may = self.allowed & self.bands.seen(asks)[:, None]
        columns = torch.arange(may.shape[2], dtype=torch.int16, device=may.device)
        found = torch.where(may, columns, -1).amax(dim=2)
        return self.bands.place(found).clamp(min=0), found >= 0


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
        """Answers [n, CHUNK, DIM] to queries [n, CHUNK, DIM], summed over the heads; zero of a head where
        nothing counts."""
        pairs = (self.query @ self.key.transpose(1, 2)).transpose(0, 1).flatten(1)
        count, width = window.keys.shape[:2]
        asked = (query @ pairs).view(count, CHUNK * self.heads, DIM)
        logits = (asked @ window.keys.transpose(1, 2)).view(count, CHUNK, self.heads, width)
        by_event = window.bands.seen(embedding(window.action, self.action) + window.weight[..., None])
        logits = logits + by_event.transpose(1, 2)[:, None] + self._by_place(window)
        some = logits.detach().amax(dim=-1, keepdim=True) > NOTHING / 2
        means = torch.softmax(logits, dim=-1).flatten(1, 2) @ window.keys
        means = means.view(*some.shape[:3], DIM) * some
        return means.flatten(2) @ self.value.flatten(0, 1)

    def _by_place(self, window: Window) -> Tensor:
        """Biases by rank and by age [n, CHUNK, heads, w], and what hides all that is not in the ring. The
        slope of `gather` costs less than that of an embedding with few rows."""
        table = (self.rank[:, :, None] + self.time[:, None]).flatten(1)
        table = torch.cat([table, table.new_full((self.heads, 1), NOTHING)], dim=1)
        found = table.gather(1, window.place.flatten().expand(self.heads, -1))
        return found.reshape(self.heads, *window.place.shape).movedim(0, 2)
