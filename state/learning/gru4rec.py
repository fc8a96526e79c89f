"""GRU4Rec (Hidasi et al., arXiv 1511.06939) with cross-entropy over all items."""

from typing import ClassVar

import msgspec
import torch
from torch import Tensor, nn

from state.learning.dropout import Dropout
from state.learning.interactions import Bool
from state.learning.model import Asked, SequenceModel, Told, chosen
from state.learning.sequences import Batch


class GruShape(msgspec.Struct, frozen=True):
    """Sizes of the model, and what is hidden of it in training."""

    dim: int = 64
    hidden: int = 128
    layers: int = 1
    dropout: float = 0.3
    limit: int = 192
    """Events of a history that are looked at."""


class GruModel(SequenceModel):
    """Embeddings of items go in, and meet what comes out. `known`: bool [items], those that training sees."""

    kind: ClassVar[str] = "gru4rec"

    def __init__(self, shape: GruShape, known: Bool) -> None:
        super().__init__()
        self.shape = shape
        self.limit = shape.limit
        self.items = len(known)
        self.embedding = nn.Parameter(torch.randn(len(known) + 1, shape.dim) * 0.02)
        self.dropout = Dropout(shape.dropout)
        self.recurrent = nn.GRU(shape.dim, shape.hidden, shape.layers, batch_first=True)
        self.out = nn.Linear(shape.hidden, shape.dim)
        self.seen: Tensor
        self.register_buffer("seen", torch.from_numpy(known.copy()), persistent=False)

    def candidates(self) -> Tensor:
        return torch.nonzero(self.seen)[:, 0]

    def forward(self, batch: Batch, rows: Tensor, asked: Asked | None = None) -> Told:
        taken = self.embedding[_index(batch, self.seen)]
        states, _ = self.recurrent(self.dropout(taken))
        queries = self.out(self.dropout(states))
        queries = chosen(queries, asked)
        return Told(queries, self.embedding[rows], queries)


def _index(batch: Batch, seen: Tensor) -> Tensor:
    """Rows of an embedding whose last row stands for no item and for those that training never saw."""
    return torch.where((batch.item >= 0) & seen[batch.item.clamp(min=0)], batch.item, len(seen))
