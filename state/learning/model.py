"""What every sequential model is to the trainer: queries after each event, and vectors of items for them."""

from abc import ABC, abstractmethod
from typing import ClassVar, NamedTuple

from torch import Tensor, nn

from state.learning.sequences import Batch


class Told(NamedTuple):
    """What a model makes of a batch: queries [b, l, d], whose products with the vectors [n, d] of the items
    asked for are logits; `user` [b, l, d], the user's own vector, for heads beside the ranking."""

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
    def forward(self, batch: Batch, rows: Tensor) -> Told:
        """With vectors of the items `rows`, int64 [n]."""

    @abstractmethod
    def candidates(self) -> Tensor:
        """Items that training knows, int64: among these it foretells."""
