"""Which items a user had taken before each event: no wrong answers where serving leaves out what was seen."""

from typing import NamedTuple

import torch
from torch import Tensor

from state.learning.sequences import NO_ITEM, Batch

_NOTHING = -2
"""Comes before all: an event before which nothing counts as taken."""
_EARLIER = -1
"""Comes before a sequence's first event."""


class Taken(NamedTuple):
    """`first` [b, n]: the event of each sequence at which its user first took each of n items. `rows` and
    `places` [q]: the sequences and events after which something is asked."""

    first: Tensor
    rows: Tensor
    places: Tensor

    def before(self, part: slice) -> Tensor:
        """bool [part, n]: what had been taken, for a part of what is asked."""
        return self.first[self.rows[part]] <= self.places[part, None]

    def of(self, columns: Tensor) -> "Taken":
        """Of some of the n items, which may repeat."""
        return self._replace(first=self.first[:, columns])


def taken_before(batch: Batch, asked: Tensor, column: Tensor, count: int) -> Taken:
    """Of `count` items, which stand in the columns `column` [items], NO_ITEM for all others, up to the events
    that are asked about, bool [b, l]. Where what is wanted had been taken itself, nothing counts as taken: it
    is to be told from all others."""
    length = batch.item.shape[1]
    first = torch.full((len(batch.item), count + 1), length, dtype=torch.int32, device=column.device)
    places = torch.arange(length, dtype=torch.int32, device=column.device).expand(batch.item.shape)
    first.scatter_reduce_(1, _columns(batch.item, column, count), places.contiguous(), "amin")
    users, items = batch.earlier
    first[users, _columns(items, column, count)] = _EARLIER
    rows, at = torch.nonzero(asked, as_tuple=True)
    wanted = column[batch.wanted[asked]]
    again = (wanted != NO_ITEM) & (first[rows, wanted] <= at)
    return Taken(first[:, :count], rows, torch.where(again, _NOTHING, at).to(torch.int32))


def _columns(items: Tensor, column: Tensor, count: int) -> Tensor:
    """Where items stand; `count` for those that have no column."""
    found = column[items.clamp(min=0)]
    return torch.where((items >= 0) & (found != NO_ITEM), found, count)
