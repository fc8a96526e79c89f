"""What every sequential model is to the trainer: queries after each event, and vectors of items for them."""

from abc import ABC, abstractmethod
from typing import ClassVar, NamedTuple

from torch import Tensor, nn

from state.learning.sequences import Batch

Asked = tuple[Tensor, Tensor]
"""Rows and columns [r] of a batch: the events after which something is asked for."""


def chosen(values: Tensor, asked: Asked | None) -> Tensor:
    """[r, ...] of what is asked for, given [b, l, ...]; None asks for all and changes nothing."""
    return values if asked is None else values[asked]


class Told(NamedTuple):
    """What a model makes of a batch: queries [b, l, d], whose products with the vectors [n, d] of the items
    asked for are logits; `user` [b, l, d], the user's own vector, for heads beside the ranking. Both
    are [r, d] where only some events are asked about."""

    queries: Tensor
    vectors: Tensor
    user: Tensor


class SequenceModel(nn.Module, ABC):
    """Tells after every event of a sequence what comes next.

    `multiple`: lengths of batches are multiples of it. `limit`: events of a history that are looked at, None
    for all. `items`: how many there are.
    """

    kind: ClassVar[str]
    multiple: int = 1
    limit: int | None = None
    items: int

    @abstractmethod
    def forward(self, batch: Batch, rows: Tensor, asked: Asked | None = None) -> Told:
        """After the events that are asked about, with vectors of the items `rows`, int64 [n]."""

    @abstractmethod
    def candidates(self) -> Tensor:
        """Items that training knows, int64: among these it foretells."""
