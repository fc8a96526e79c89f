"""Vectors of items as training makes them: content by the fusion of modalities, and what is learned of each
item alone. The torch form of `state.fusion.Fusion.item_vectors` and of the rounding of `state.slots`."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import embedding, normalize

from state.fusions.differentiable import item_vectors
from state.fusions.untrained import untrained
from state.known import CATEGORIES, Topics
from state.layout import DIM, MODALITY_COUNT
from state.learning.interactions import Bool, Float32, ItemContent
from state.rowwise import unit

LEVELS = 127
"""Of a number of a stored vector, to both sides of zero."""
START_LENGTH = 1.0
"""Mean length of an item's own vector before training."""


def stored(vectors: Tensor) -> Tensor:
    """Unit vectors [n, DIM] as states keep them: rounded to bytes, of unit length again, zero where zero.

    The slope of rounding is taken for one (straight-through, arXiv 1308.3432).
    """
    with torch.no_grad():
        peak = vectors.abs().amax(dim=1, keepdim=True)
        levels = torch.round(vectors * (LEVELS / torch.where(peak > 0, peak, 1)))
        kept = normalize(levels, dim=1)
    return vectors + (kept - vectors).detach()


def halved(vectors: Tensor) -> Tensor:
    """As artifacts keep them: in half precision, the slope taken for one."""
    return vectors + (vectors.to(torch.float16).to(vectors.dtype) - vectors).detach()


def _carried(vectors: Float32) -> Float32:
    """Unit vectors as rows carry them, in half precision, and as `state.modalities` reads them."""
    return unit(vectors.astype(np.float16).astype(np.float32))


class Dropping(nn.Module):
    """What is hidden of items at random in a training step."""

    def __init__(self, modalities: float, ids: float) -> None:
        super().__init__()
        self._modalities, self._ids = modalities, ids

    def forward(self, present: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
        """What is left of modalities present [n, 4] and of known ids [n]: never nothing of an item.

        An item whose id is hidden keeps one modality at least, one without content keeps its id.
        """
        if not self.training:
            return present, known
        has = present.any(dim=1)
        ids = known & ~(has & (torch.rand(known.shape, device=known.device) < self._ids))
        drawn = torch.rand(present.shape, device=present.device)
        kept = present & (drawn >= self._modalities)
        spare = present & (drawn == drawn.masked_fill(~present, -1).amax(dim=1, keepdim=True))
        return torch.where((kept.any(dim=1) | ids)[:, None], kept, spare), ids


class Categories(nn.Module):
    """What the items of a category have in common beside their content: a vector for each category of the
    items of `known`, bool [n]; `topics` of all items [n]."""

    def __init__(self, topics: Sequence[Topics], known: Bool) -> None:
        super().__init__()
        first = [one[:CATEGORIES] for one in topics]
        told = {name for one, seen in zip(first, known.tolist(), strict=True) if seen for name in one}
        self.names = tuple(sorted(told))
        code = {name: place for place, name in enumerate(self.names)}
        places = [[code[name] for name in one if name in code] for one in first]
        codes = np.full((len(first), max(map(len, places), default=0)), len(code), np.int64)
        for row, own in enumerate(places):
            codes[row, : len(own)] = own
        self.codes: Tensor
        self.counts: Tensor
        self.register_buffer("codes", torch.from_numpy(codes), persistent=False)
        counts = np.array([[len(own)] for own in places], np.float32).reshape(-1, 1)
        self.register_buffer("counts", torch.from_numpy(counts), persistent=False)
        self.embedding = nn.Parameter(torch.zeros(len(self.names), DIM))

    def forward(self, rows: Tensor) -> Tensor:
        """The mean vector [r, DIM] of the categories of items, int64 [r]; zero where they have none."""
        vectors = torch.cat([halved(self.embedding), self.embedding.new_zeros(1, DIM)])
        return embedding(self.codes[rows], vectors).sum(dim=1) / self.counts[rows].clamp(min=1)


class ItemTower(nn.Module):
    """Items 0 to n - 1. `known`: bool [n], those that training sees, which alone have an own vector.

    That is what the item's categories have in common, and what sets the item apart from them; of an item that
    is not known, or whose id is hidden, it is the former alone.
    """

    def __init__(self, known: Bool, content: ItemContent | None, ids: bool, dropping: Dropping) -> None:
        super().__init__()
        count = len(known)
        self.ids = ids
        self.categories = Categories(content.topics if content and ids else ((),) * count, known)
        self.kind = "gated"
        self.dropping = dropping
        self.known: Tensor
        self.vectors: Tensor
        self.present: Tensor
        self.register_buffer("known", torch.from_numpy(known & ids), persistent=False)
        vectors = np.zeros((count, 0, 0), np.float32) if content is None else _carried(content.vectors)
        present = np.zeros((count, MODALITY_COUNT), np.bool_) if content is None else content.present
        self.register_buffer("vectors", torch.from_numpy(vectors), persistent=False)
        self.register_buffer("present", torch.from_numpy(present.copy()), persistent=False)
        self.told = content is not None
        self.embedding = nn.Parameter(torch.randn(count if ids else 0, DIM) * START_LENGTH * DIM**-0.5)
        self.fusion = nn.ParameterDict(
            {name: torch.from_numpy(array.copy()) for name, array in untrained(self.kind).arrays.items()}
            if self.told
            else {}
        )

    def usable(self) -> Tensor:
        """bool [n]: which items have a vector at all."""
        return self.known | self.present.any(dim=1) | (self.categories.counts > 0)[:, 0]

    def forward(self, rows: Tensor) -> Tensor:
        """Unit vectors [r, DIM] of some items, int64 [r]; in training, something of them is hidden."""
        present, known = self.dropping(self.present[rows], self.known[rows])
        out = torch.zeros(len(rows), DIM, device=rows.device)
        if self.told:
            content = item_vectors(self.kind, dict(self.fusion.items()), self.vectors[rows], present)
            out = torch.where(present.any(dim=1, keepdim=True), content, out)
        if self.ids:
            common = self.categories(rows)
            own = halved(common + embedding(rows, self.embedding))
            out = normalize(out + torch.where(known[:, None], own, common), dim=1)
        return out
