"""Decayed online-softmax sums at every event of a sequence at once: the parallel form of `state.heads` and
`state.readout.merge`.

Within a chunk (and those of the ring, where something is taken back) every event is weighed on its own; what
lies before is summed up chunk by chunk. Weights form against the latest event that counts, as in serving.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from state.layout import NEVER
from state.learning.bands import CHUNK, Bands

NOTHING = torch.finfo(torch.float32).min
"""Logit of what does not count: finite, so that a softmax of nothing else has slopes."""


class Timing(NamedTuple):
    """Of sequences [b, l]: time, int64 in milliseconds, ascending; counted, which events add to the sums;
    until, int64, after how many events each is taken back."""

    time: Tensor
    counted: Tensor
    until: Tensor


class Sums(NamedTuple):
    """Weighted means [n, CHUNK, k, d] at each event, logarithm of the mass [n, CHUNK, k] (NOTHING for none),
    and whether there is any mass [n, CHUNK, k]."""

    means: Tensor
    log_mass: Tensor
    exists: Tensor


class Bank:
    """Reads sums of k heads that lose `rates` [k] of logit a millisecond."""

    def __init__(self, bands: Bands, timing: Timing, rates: Tensor) -> None:
        self._bands = bands
        self._timing = timing
        self._rates = rates
        self._stays = bands.all(timing.counted & (timing.until > CHUNK * (bands.back + 1)))
        self._ends, self._before = self._chunk_times()
        time = bands.seen(timing.time)[:, None]
        valid = bands.seen(timing.counted)[:, None] & (bands.rank >= 0)
        if bands.back:
            valid &= bands.rank < bands.seen(timing.until)[:, None]
        self._carried = bands.own(self._before)[:, None]
        latest = torch.where(valid, time, NEVER).amax(dim=2)
        self._reference = torch.maximum(latest, self._carried)
        age = self._age(torch.where(valid, time, NEVER), self._reference[..., None])
        self._decay = (-age).masked_fill_(~valid[:, None], NOTHING)

    def read(self, logits: Tensor, values: Tensor, maps: Tensor) -> Sums:
        """Of finite logits [b, l, k] without age and values [b, l, e], of which each head sums up what its
        map [k, e, d] makes."""
        bands = self._bands
        means, log_mass = self._passed(logits, values)
        before = torch.einsum("nke,ked->nkd", bands.own(means), maps)
        aged = bands.seen(logits).transpose(1, 2)[:, :, None] + self._decay
        carried = bands.own(log_mass)[..., None] - self._age(self._carried, self._reference)
        shares, mass = _shares(torch.cat([aged, carried[..., None]], dim=3))
        told = torch.cat([self._seen(values, maps), before[:, :, None]], dim=2)
        exists = mass > NOTHING / 2
        mass = mass - self._age(self._reference, bands.cut(self._timing.time))
        found = (shares @ told, torch.where(exists, mass, NOTHING), exists)
        return Sums(*(each.transpose(1, 2) for each in found))

    def _seen(self, values: Tensor, maps: Tensor) -> Tensor:
        """[n, k, w, d], worked out of as few events as may be."""
        side_by_side = maps.transpose(0, 1).flatten(1)
        if self._bands.few:
            seen = self._bands.seen(values) @ side_by_side
        else:
            seen = self._bands.seen(values @ side_by_side)
        return seen.view(*seen.shape[:2], len(maps), maps.shape[2]).transpose(1, 2)

    def _age(self, since: Tensor, until: Tensor) -> Tensor:
        """Loss of logit [n, k, ...] between times [n, ...]; zero where `since` is NEVER."""
        gap = torch.where(since == NEVER, 0, until - since).to(torch.float32)
        return gap[:, None] * self._rates.view(-1, *[1] * (gap.dim() - 1))

    def _chunk_times(self) -> tuple[Tensor, Tensor]:
        """Time of the latest event that counts in each chunk, and in those that each one does not see,
        [b, c]."""
        bands = self._bands
        ends = torch.where(self._stays, bands.all(self._timing.time), NEVER).amax(dim=2)
        passed = torch.cummax(ends, dim=1).values
        none = torch.full_like(passed, NEVER)[:, : bands.back + 1]
        return ends, torch.cat([none, passed], dim=1)[:, : bands.chunks]

    def _passed(self, logits: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Means [b, c, k, e] and logarithms of the mass [b, c, k] of what a chunk does not see, at the
        latest time of that."""
        bands, stays = self._bands, self._stays
        time = torch.where(stays, bands.all(self._timing.time), NEVER)
        aged = bands.all(logits).movedim(3, 1) - self._age(time, self._ends[..., None])
        shares, mass = _shares(aged.masked_fill(~stays[:, None], NOTHING))
        means = shares.transpose(1, 2) @ bands.all(values)
        chunk = torch.arange(bands.chunks, device=logits.device)
        hidden = chunk[None] >= chunk[:, None] - bands.back
        passing = mass[:, :, None] - self._age(self._ends[:, None], self._before[..., None])
        shares, mass = _shares(passing.masked_fill(hidden, NOTHING))
        return (shares @ means.transpose(1, 2)).transpose(1, 2), mass.transpose(1, 2)


def _shares(logits: Tensor) -> tuple[Tensor, Tensor]:
    """The softmax of the last axis, and the logarithm of its sum of exponentials."""
    shares = torch.softmax(logits, dim=-1)
    largest = logits.detach().argmax(dim=-1, keepdim=True)
    # Of any one of them it is the logit less the logarithm of its share; the largest has a share to speak of.
    total = logits.gather(-1, largest) - torch.log(shares.gather(-1, largest))
    return shares, total[..., 0]
