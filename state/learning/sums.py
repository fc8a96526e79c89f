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

_LOWEST = torch.finfo(torch.float32).min
_TINY = torch.finfo(torch.float32).tiny


class Timing(NamedTuple):
    """Of sequences [b, l]: time, int64 in milliseconds, ascending; counted, which events add to the sums;
    until, int64, after how many events each is taken back."""

    time: Tensor
    counted: Tensor
    until: Tensor


class Sums(NamedTuple):
    """Weighted means [b, l, k, d] at each event, logarithm of the mass [b, l, k] (-inf for none), and whether
    there is any mass [b, l, k]."""

    means: Tensor
    log_mass: Tensor
    exists: Tensor


class _Before(NamedTuple):
    """Sums of the chunks that a chunk does not see: time [b, c], logit of their unit [b, c, k] and, in that
    unit, values and norm [b, c, k, d + 1]."""

    time: Tensor
    top: Tensor
    sums: Tensor


class Bank:
    """Reads sums of k heads that lose `rates` [k] of logit a millisecond."""

    def __init__(self, bands: Bands, timing: Timing, rates: Tensor) -> None:
        self._bands = bands
        self._timing = timing
        self._rates = rates
        self._stays = timing.counted & (timing.until > CHUNK * (bands.back + 1))
        time = bands.seen(timing.time)[:, :, None]
        valid = bands.seen(timing.counted)[:, :, None] & (bands.rank >= 0)
        if bands.back:
            valid &= bands.rank < bands.seen(timing.until)[:, :, None]
        self._before = self._chunk_times()
        latest = torch.where(valid, time, NEVER).amax(dim=3)
        self._reference = torch.maximum(latest, self._before[:, :, None])
        gap = torch.where(valid, self._reference[..., None] - time, 0).to(torch.float32)
        aged = gap[:, :, None] * -rates[:, None, None]
        self._decay = aged.masked_fill_(~valid[:, :, None], -torch.inf)

    def read(self, logits: Tensor, values: Tensor) -> Sums:
        """Of logits [b, l, k] without age and values [b, l, k, d]."""
        bands, timing = self._bands, self._timing
        whole = torch.cat([values, values.new_ones(*values.shape[:3], 1)], dim=3)
        own = bands.cut(whole).transpose(2, 3).contiguous()
        seen = bands.seen(whole).transpose(2, 3) if bands.back else own
        before = self._summed(logits, own)
        aged = bands.seen(logits).transpose(2, 3)[:, :, :, None] + self._decay
        carried = before.top[..., None] - self._age(before.time[:, :, None], self._reference)
        with torch.no_grad():
            top = torch.maximum(aged.amax(dim=4), carried).clamp(min=_LOWEST)
        here = torch.exp(aged - top[..., None]) @ seen
        sums = here + torch.exp(carried - top)[..., None] * before.sums[:, :, :, None]
        total = sums[..., -1]
        means = sums[..., :-1] / total.clamp(min=_TINY)[..., None]
        gone = self._age(self._reference, bands.cut(timing.time))
        mass = torch.where(total > 0, top + torch.log(total.clamp(min=_TINY)) - gone, -torch.inf)
        return Sums(*(_whole(each.transpose(2, 3)) for each in (means, mass, total > 0)))

    def _age(self, since: Tensor, until: Tensor) -> Tensor:
        """Loss of logit [b, c, k, ...] between times [b, c, ...]; zero where `since` is NEVER."""
        gap = torch.where(since == NEVER, 0, until - since).to(torch.float32)
        return gap[:, :, None] * self._rates.view(-1, *[1] * (gap.dim() - 2))

    def _chunk_times(self) -> Tensor:
        """Time of the latest event that counts in the chunks that each one does not see, [b, c]."""
        self._ends = torch.where(
            self._bands.cut(self._stays), self._bands.cut(self._timing.time), NEVER
        ).amax(dim=2)
        passed = torch.cummax(self._ends, dim=1).values
        return torch.cat([torch.full_like(passed, NEVER)[:, : self._bands.back + 1], passed], dim=1)[
            :, : self._bands.chunks
        ]

    def _summed(self, logits: Tensor, values: Tensor) -> _Before:
        """Of logits [b, l, k] and values [b, c, k, CHUNK, d + 1]."""
        bands = self._bands
        time = bands.cut(self._timing.time)
        gap = torch.where(bands.cut(self._stays), self._ends[..., None] - time, 0).to(torch.float32)
        aged = bands.cut(logits).transpose(2, 3) - gap[:, :, None] * self._rates[:, None]
        aged = aged.masked_fill(~bands.cut(self._stays)[:, :, None], -torch.inf)
        with torch.no_grad():
            tops = aged.amax(dim=3).clamp(min=_LOWEST)
            passing, top = self._passing(tops)
        sums = torch.exp(aged - tops[..., None])[..., None, :] @ values
        carried = passing @ sums.squeeze(3).transpose(1, 2)
        return _Before(self._before, top, carried.transpose(1, 2))

    def _passing(self, tops: Tensor) -> tuple[Tensor, Tensor]:
        """How much of a chunk's sums stands in what a later one carries, [b, k, c, c], and the unit of that,
        [b, c, k]."""
        bands = self._bands
        gap = torch.where(
            (self._ends == NEVER)[:, None], 0, self._before[:, :, None] - self._ends[:, None]
        ).to(torch.float32)
        logits = tops.transpose(1, 2)[:, :, None] - gap[:, None] * self._rates[:, None, None]
        chunk = torch.arange(bands.chunks, device=tops.device)
        hidden = chunk[None] >= chunk[:, None] - bands.back
        logits = logits.masked_fill(hidden, -torch.inf)
        top = logits.amax(dim=3).clamp(min=_LOWEST)
        return torch.exp(logits - top[..., None]), top.transpose(1, 2)


def _whole(values: Tensor) -> Tensor:
    """[b, c, CHUNK, k, ...] to [b, l, k, ...], given [b, c, k, CHUNK, ...] with 2 and 3 swapped."""
    return values.flatten(1, 2)
