"""Which items a user had taken before each event: no wrong answers where serving leaves out what was seen."""

from typing import NamedTuple

import torch
from torch import Tensor

from state.learning.model import Asked
from state.learning.sequences import NO_ITEM, Batch


class Taken(NamedTuple):
    """columns [b, k]: where what each sequence's user took stands among n items, in its order, n for what is
    none of them. rows [q]: the sequences of what is asked. ends [q]: how many of the k count. size: n."""

    columns: Tensor
    rows: Tensor
    ends: Tensor
    size: int

    def hidden(self, part: slice) -> Tensor:
        """For a part of what is asked, [part, k]: the columns of what had been taken, n for nothing."""
        inside = torch.arange(self.columns.shape[1], device=self.ends.device) < self.ends[part, None]
        return torch.where(inside, self.columns[self.rows[part]], self.size)


def nothing_taken(batch: Batch, asked: Asked, count: int) -> Taken:
    """Every item is an answer."""
    rows = asked[0]
    return Taken(batch.item.new_full((len(batch.item), 0), count), rows, torch.zeros_like(rows), count)


def taken_before(batch: Batch, asked: Asked, column: Tensor, count: int) -> Taken:
    """Of `count` items, which stand in the columns `column` [items], NO_ITEM for all others, up to the events
    that are asked about. Where what is wanted had been taken itself, nothing counts as taken: it is to be
    told from all others."""
    items = torch.cat([batch.earlier, batch.item], dim=1)
    rows, places = asked
    ends = places + 1 + batch.earlier.shape[1]
    found = column[items.clamp(min=0)]
    columns = torch.where((items >= 0) & (found != NO_ITEM), found, count)
    return Taken(columns, rows, torch.where(batch.again[asked], 0, ends), count)
