"""How good rankings are: of the taken item's place, and of the lists that would be shown."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from state.learning.interactions import Float32, Int32, Int64, Interactions, ItemContent
from state.learning.ranks import Ranking

Float64 = NDArray[np.float64]

CUTS = (5, 10, 20)
SAMPLED = 2_000
"""Lists of which the inner diversity is worked out, evenly taken."""


def per_event(ranking: Ranking, cuts: Sequence[int] = CUTS) -> dict[str, Float64]:
    """Each metric of each target, float64 [n].

    With one taken item a target: hr@k = 1 where its rank is k or less; ndcg@k = 1 / log2(rank + 1) there
    (Jarvelin and Kekalainen 2002, with one relevant item); mrr = 1 / rank over the whole ranking.
    """
    ranks = ranking.ranks.astype(np.float64)
    out: dict[str, Float64] = {}
    for cut in cuts:
        hit = ranks <= cut
        out[f"hr@{cut}"] = hit.astype(np.float64)
        out[f"ndcg@{cut}"] = np.where(hit, 1 / np.log2(ranks + 1), 0.0)
    out["mrr"] = 1 / ranks
    return out


def means(values: Mapping[str, Float64], users: Int32) -> dict[str, float]:
    """The mean over events of each metric, and recall@k: the mean over users of the part of each one's taken
    items that stood among the first k. Where every user has one target it is hr@k."""
    out = {name: float(each.mean()) for name, each in values.items()}
    _, place = np.unique(users, return_inverse=True)
    counts = np.bincount(place)
    for name, each in values.items():
        kind, _, cut = name.partition("@")
        if kind == "hr":
            out[f"recall@{cut}"] = float((np.bincount(place, each) / counts).mean())
    return out


@dataclass(frozen=True)
class Background:
    """What lists are held against: the events of training, and what is known of the items."""

    train: Interactions
    content: ItemContent | None


def of_lists(top: Int32, background: Background, cut: int = 10) -> dict[str, float]:
    """Of the first `cut` places of the lists [n, places], -1 for an empty place:

    coverage: part of all items that is shown to anyone. gini: inequality of how often items are shown, 0 to
    1. novelty: mean of -log2 of an item's share of the training events, plus one event each (Vargas and
    Castells 2011). popularity: mean percentile of popularity of what is shown, 1 for the most popular item;
    popularity_lift: the same less the mean percentile of what is taken in training, so above 0 is a bias to
    the popular. diversity: 1 - mean cosine of two items of a list, by content; left out where there is none.
    """
    shown = top[:, :cut]
    flat = shown[shown >= 0]
    counts = background.train.counts
    out = {
        "coverage": len(np.unique(flat)) / len(counts),
        "gini": _gini(np.bincount(flat, minlength=len(counts))),
    }
    if not len(flat):
        return out
    shares = (counts + 1) / (counts.sum() + len(counts))
    percentile = _percentiles(counts)
    out["novelty"] = float(-np.log2(shares[flat]).mean())
    out["popularity"] = float(percentile[flat].mean())
    out["popularity_lift"] = out["popularity"] - float(percentile[background.train.item].mean())
    if background.content is not None:
        out["diversity"] = _diversity(shown, background.content)
    return out


def _percentiles(counts: Int64) -> Float64:
    """Part of the items that have no more events than each, with ties in their middle."""
    ordered = np.sort(counts)
    below, to = np.searchsorted(ordered, counts, "left"), np.searchsorted(ordered, counts, "right")
    return np.asarray((below + to) / 2 / len(counts), np.float64)


def _gini(counts: Int64) -> float:
    total = counts.sum()
    if not total:
        return 0.0
    ordered = np.sort(counts).astype(np.float64)
    count = len(ordered)
    return float((2 * np.arange(1, count + 1) - count - 1) @ ordered / (count * total))


def item_means(content: ItemContent) -> Float32:
    """Unit mean of each item's modalities, float32 [items, 128]; zero where none is present."""
    sums = content.vectors.sum(axis=1)
    return np.asarray(sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-12), np.float32)


def _diversity(shown: Int32, content: ItemContent) -> float:
    lists = shown[np.linspace(0, len(shown) - 1, min(len(shown), SAMPLED)).astype(np.int64)]
    vectors = item_means(content)
    usable = (lists >= 0) & np.asarray(vectors.any(axis=1))[lists]
    sums = np.where(usable[..., None], vectors[lists], np.float32(0)).sum(axis=1)
    count = usable.sum(axis=1).astype(np.float64)
    several = count > 1
    if not several.any():
        return 0.0
    # The squared length of the sum is the sum of all cosines, each item with itself among them.
    pairs = (sums.astype(np.float64) ** 2).sum(axis=1)[several] - count[several]
    return float(1 - (pairs / (count[several] * (count[several] - 1))).mean())
