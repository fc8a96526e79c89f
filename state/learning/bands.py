"""Sequences cut into chunks, each of which sees itself and some chunks before: attention over a window, and
prefix sums, at a cost that grows with the length alone."""

from functools import cached_property

import torch
from torch import Tensor
from torch.nn.functional import pad

CHUNK = 16


class Bands:
    """Of sequences [b, l, ...], l a multiple of CHUNK, in c = l / CHUNK chunks; w = (back + 1) CHUNK."""

    def __init__(self, length: int, back: int, device: torch.device) -> None:
        self.chunks = length // CHUNK
        self.back = back
        self._device = device

    def cut(self, values: Tensor) -> Tensor:
        """[b, c, CHUNK, ...]"""
        return values.reshape(len(values), self.chunks, CHUNK, *values.shape[2:])

    def seen(self, values: Tensor) -> Tensor:
        """[b, c, w, ...]: what each chunk sees, zeros before the beginning."""
        if not self.back:
            return self.cut(values)
        room = [0, 0] * (values.dim() - 2) + [self.back * CHUNK, 0]
        cut = pad(values, room).reshape(len(values), self.chunks + self.back, CHUNK, *values.shape[2:])
        return torch.cat([cut[:, step : step + self.chunks] for step in range(self.back + 1)], dim=2)

    @cached_property
    def rank(self) -> Tensor:
        """int64 [CHUNK, w]: how many events the column stands before the row; below 0, behind it."""
        rows = torch.arange(CHUNK, device=self._device) + self.back * CHUNK
        return rows[:, None] - torch.arange((self.back + 1) * CHUNK, device=self._device)

    @cached_property
    def before_the_first(self) -> Tensor:
        """bool [c, 1, w]: columns that stand before the beginning of the sequence."""
        columns = torch.arange((self.back + 1) * CHUNK, device=self._device)
        starts = (torch.arange(self.chunks, device=self._device) - self.back) * CHUNK
        return (starts[:, None] + columns < 0)[:, None]

    def place(self, columns: Tensor) -> Tensor:
        """Place in the sequence of column numbers [b, c, CHUNK]: [b, l]."""
        starts = (torch.arange(self.chunks, device=self._device) - self.back) * CHUNK
        return (columns + starts[:, None]).flatten(1)
