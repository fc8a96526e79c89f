"""What training asks of vectors, and how well held-out texts answer it."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from encoders.adapters.texts import CatalogueText, Rows, Shared
from encoders.base import Float32

GROUP = 4
"""Texts of a category that are put into a batch together."""
Figures = dict[str, float]


def likeness_loss(vectors: torch.Tensor, shared: torch.Tensor, temperature: float) -> torch.Tensor:
    """Supervised contrastive loss, L_out of arXiv 2004.11362: vectors [n, d] of unit length, bool [n, n].

    A text without a fellow in the batch is what others are told apart from, and no more. With no fellows at
    all the loss is 0.
    """
    own = torch.eye(len(vectors), dtype=torch.bool, device=vectors.device)
    logits = (vectors @ vectors.T / temperature).masked_fill(own, float("-inf"))
    chances = torch.log_softmax(logits, dim=1).masked_fill(own, 0)
    fellows = shared.sum(dim=1)
    each = -(chances * shared).sum(dim=1) / fellows.clamp(min=1)
    return each.sum() / (fellows > 0).sum().clamp(min=1)


def pairs_loss(titles: torch.Tensor, rests: torch.Tensor, temperature: float) -> torch.Tensor:
    """Each finds its counterpart among the batch's, both ways (InfoNCE, arXiv 1807.03748)."""
    logits = titles @ rests.T / temperature
    right = torch.arange(len(titles), device=titles.device)
    both = torch.nn.functional.cross_entropy
    return (both(logits, right) + both(logits.T, right)) / 2


def grouped_batches(texts: Sequence[CatalogueText], size: int, random: np.random.Generator) -> Iterator[Rows]:
    """All rows once, in batches where most texts have fellows: a category's texts come some together."""
    members: dict[str, list[int]] = defaultdict(list)
    for row in random.permutation(len(texts)):
        members[str(random.choice(texts[row].categories))].append(int(row))
    groups = [rows[at : at + GROUP] for rows in members.values() for at in range(0, len(rows), GROUP)]
    order = [row for at in random.permutation(len(groups)) for row in groups[at]]
    return _cut(np.array(order), size)


def plain_batches(count: int, size: int, random: np.random.Generator) -> Iterator[Rows]:
    """All rows once, in any order."""
    return _cut(random.permutation(count), size)


def _cut(order: Rows, size: int) -> Iterator[Rows]:
    """A last batch of a single row is left out: it has nothing to be told apart from."""
    for start in range(0, len(order), size):
        if len(order) - start > 1:
            yield order[start : start + size]


def fellowship(vectors: Float32, shared: Shared) -> Figures:
    """Of texts with a fellow: how often the nearest text is one, and the mean average precision."""
    asked = np.flatnonzero(shared.any(axis=1))
    if not len(asked):
        return {"nearest": 0.0, "precision": 0.0}
    cosines = vectors[asked] @ vectors.T
    cosines[np.arange(len(asked)), asked] = -2
    order = np.argsort(-cosines, axis=1, kind="stable")
    right = np.take_along_axis(shared[asked], order, axis=1)
    places = np.arange(1, right.shape[1] + 1)
    precision = (np.cumsum(right, axis=1) / places * right).sum(axis=1) / right.sum(axis=1)
    return {"nearest": float(right[:, 0].mean()), "precision": float(precision.mean())}


def counterparts(titles: Float32, rests: Float32) -> Figures:
    """How often a title's own rest is the nearest of all, and its mean inverse rank; equals count against."""
    ranks = _ranks(titles @ rests.T)
    return {"first": float((ranks == 1).mean()), "inverse rank": float((1 / ranks).mean())}


def _ranks(cosines: Float32) -> NDArray[np.int64]:
    own = np.diagonal(cosines)[:, None]
    return np.asarray((cosines >= own).sum(axis=1), np.int64)
