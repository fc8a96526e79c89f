"""SASRec (Kang and McAuley, arXiv 1808.09781) with cross-entropy over all items (arXiv 2309.07602)."""

from typing import ClassVar

import msgspec
import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, scaled_dot_product_attention

from state.learning.dropout import Dropout
from state.learning.interactions import Bool
from state.learning.model import Asked, SequenceModel, Told, chosen
from state.learning.sequences import Batch


class SasShape(msgspec.Struct, frozen=True):
    """Sizes of the model, and what is hidden of it in training."""

    dim: int = 64
    layers: int = 2
    heads: int = 2
    hidden: int = 256
    dropout: float = 0.3
    limit: int = 192
    """Events of a history that are looked at."""


class _Block(nn.Module):
    def __init__(self, shape: SasShape) -> None:
        super().__init__()
        self._heads = shape.heads
        self._scale = (shape.dim // shape.heads) ** -0.5
        self.before_attention = nn.LayerNorm(shape.dim)
        self.before_bend = nn.LayerNorm(shape.dim)
        self.asking = nn.Linear(shape.dim, 3 * shape.dim)
        self.answer = nn.Linear(shape.dim, shape.dim)
        self.into = nn.Linear(shape.dim, shape.hidden)
        self.out = nn.Linear(shape.hidden, shape.dim)
        self.dropout = Dropout(shape.dropout)

    def forward(self, x: Tensor, later: Tensor) -> Tensor:
        """`later` [l, l]: minus infinity where the column stands behind the row, else zero."""
        parts = self.asking(self.before_attention(x)).unflatten(2, (3, self._heads, -1))
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        if self.training:
            shares = torch.softmax(query @ key.transpose(2, 3) * self._scale + later, dim=3)
            seen = self.dropout(shares) @ value
        else:
            seen = scaled_dot_product_attention(query, key, value, is_causal=True)
        x = x + self.dropout(self.answer(seen.transpose(1, 2).flatten(2)))
        bent: Tensor = x + self.dropout(self.out(self.dropout(gelu(self.into(self.before_bend(x))))))
        return bent


class SasModel(SequenceModel):
    """Embeddings of items go in, and meet what comes out. `known`: bool [items], those that training sees."""

    kind: ClassVar[str] = "sasrec"

    def __init__(self, shape: SasShape, known: Bool) -> None:
        super().__init__()
        self.shape = shape
        self.limit = shape.limit
        self.items = len(known)
        self.embedding = nn.Parameter(torch.randn(len(known) + 1, shape.dim) * 0.02)
        self.position = nn.Parameter(torch.randn(shape.limit, shape.dim) * 0.02)
        self.dropout = Dropout(shape.dropout)
        self.blocks = nn.ModuleList(_Block(shape) for _ in range(shape.layers))
        self.last = nn.LayerNorm(shape.dim)
        self.seen: Tensor
        self.register_buffer("seen", torch.from_numpy(known.copy()), persistent=False)

    def candidates(self) -> Tensor:
        return torch.nonzero(self.seen)[:, 0]

    def forward(self, batch: Batch, rows: Tensor, asked: Asked | None = None) -> Told:
        taken = torch.where((batch.item >= 0) & self.seen[batch.item.clamp(min=0)], batch.item, self.items)
        x = self.dropout(self.embedding[taken] + self.position[: batch.item.shape[1]])
        later = torch.full((x.shape[1], x.shape[1]), -torch.inf, device=x.device).triu_(1)
        for block in self.blocks:
            x = block(x, later)
        queries = self.last(x)
        queries = chosen(queries, asked)
        return Told(queries, self.embedding[rows], queries)
