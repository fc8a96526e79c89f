"""Sequences cut into chunks, each of which sees itself and some chunks before: attention over a window, and
prefix sums, at a cost that grows with the length alone."""

from functools import cached_property

import torch
from torch import Tensor
from torch.nn.functional import pad

from state.learning.model import Asked

CHUNK = 16


class Bands:
    """Of b sequences of l events, l a multiple of CHUNK, in c = l / CHUNK chunks, n chunks: all b c, or those
    that are `kept`, int64 [n] of b c. w = (back + 1) CHUNK."""

    def __init__(self, length: int, back: int, device: torch.device, kept: Tensor | None = None) -> None:
        self.chunks = length // CHUNK
        self.back = back
        self._device = device
        self._kept = kept

    @property
    def few(self) -> bool:
        """Whether these are not all chunks."""
        return self._kept is not None

    def all(self, values: Tensor) -> Tensor:
        """[b, c, CHUNK, ...] of [b, l, ...]"""
        return values.reshape(len(values), self.chunks, CHUNK, *values.shape[2:])

    def own(self, values: Tensor) -> Tensor:
        """[n, ...] of what is known of every chunk, [b, c, ...]"""
        values = values.flatten(0, 1)
        return values if self._kept is None else values[self._kept]

    def cut(self, values: Tensor) -> Tensor:
        """[n, CHUNK, ...] of [b, l, ...]"""
        return self.own(self.all(values))

    def seen(self, values: Tensor) -> Tensor:
        """[n, w, ...] of [b, l, ...]: what each chunk sees, zeros before the beginning."""
        if not self.back:
            return self.cut(values)
        room = [0, 0] * (values.dim() - 2) + [self.back * CHUNK, 0]
        cut = pad(values, room).reshape(len(values), self.chunks + self.back, CHUNK, *values.shape[2:])
        steps = range(self.back + 1)
        return torch.cat([self.own(cut[:, step : step + self.chunks]) for step in steps], dim=1)

    @cached_property
    def rank(self) -> Tensor:
        """int64 [CHUNK, w]: how many events the column stands before the row; below 0, behind it."""
        rows = torch.arange(CHUNK, device=self._device) + self.back * CHUNK
        return rows[:, None] - torch.arange((self.back + 1) * CHUNK, device=self._device)

    def place(self, columns: Tensor) -> Tensor:
        """Place among the b l events of column numbers [n, CHUNK]."""
        chunk = torch.arange(len(columns), device=self._device) if self._kept is None else self._kept
        return columns + (chunk[:, None] - self.back) * CHUNK


def chunks_of(asked: Asked, length: int) -> tuple[Tensor, Tensor]:
    """The chunks of sequences of `length` events that hold what is asked about, int64 [n], and its places [r]
    among their n CHUNK events."""
    place = asked[0] * length + asked[1]
    kept, chunk = torch.unique(place // CHUNK, return_inverse=True)
    return kept, chunk * CHUNK + place % CHUNK
