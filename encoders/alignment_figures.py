"""How well an alignment finds one modality by another, on items that it was not fitted to."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from encoders.alignment import Alignment, unit
from encoders.alignment_fit import FitItem, fit
from encoders.base import SHARED_DIM, Float32, Modality
from encoders.errors import ArtifactError
from encoders.native import join

SPLITS = 5
HELD_OUT = 0.25
"""Share of the items that each split holds out, where no number is given."""
FEWEST_QUERIES = 4
"""With fewer a split says nothing of a pair."""
AT = (1, 5)
PAIRS = {
    "text to image": (Modality.TEXT, Modality.IMAGE),
    "image to text": (Modality.IMAGE, Modality.TEXT),
    "sound to text": (Modality.AUDIO, Modality.TEXT),
    "clip to text": (Modality.VIDEO, Modality.TEXT),
}


class Spread(NamedTuple):
    """Mean over the splits, and standard deviation from one split to another."""

    mean: float
    deviation: float


class Judged(NamedTuple):
    """Items that an alignment is fitted to, and the same as they are asked for, maybe with more media."""

    fitted: Sequence[FitItem]
    asked: Sequence[FitItem]


def held_out(items: Judged, builtin: Alignment, held: int | None = None) -> dict[str, Spread]:
    """`text to image R@1` and so on: how often the k nearest held-out items hold the query's own.

    Over SPLITS random splits; `held` items are held out of each fit. What no split can tell is left out.
    Raises ArtifactError where too few items are left to fit to.
    """
    found: dict[str, list[float]] = {}
    for out, seen in splits(len(items.fitted), held):
        alignment = fit([items.fitted[row] for row in seen], builtin)
        for name, figure in retrieval(alignment, [items.asked[row] for row in out]).items():
            found.setdefault(name, []).append(figure)
    return {name: spread(figures) for name, figures in found.items() if len(figures) == SPLITS}


def splits(count: int, held: int | None = None) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Rows held out and rows seen, SPLITS times, the same for the same count."""
    out = int(count * HELD_OUT) if held is None else held
    if not 0 < out < count:
        raise ArtifactError(f"{count} items cannot be split: more are needed to hold some out")
    for seed in range(SPLITS):
        order = np.random.default_rng(seed).permutation(count)
        yield order[:out], order[out:]


def retrieval(alignment: Alignment, items: Sequence[FitItem]) -> dict[str, float]:
    """Recall at AT of each pair that enough items have, among all items that have what is looked for."""
    rows = {modality: aligned(alignment, items, modality) for modality in Modality}
    found: dict[str, float] = {}
    for name, (asking, asked) in PAIRS.items():
        there = np.flatnonzero(rows[asked].any(axis=1))
        both = there[rows[asking][there].any(axis=1)]
        if len(both) >= FEWEST_QUERIES:
            cosines = rows[asking][both] @ rows[asked][there].T
            own = np.searchsorted(there, both)
            # Of equals the own one comes last: what lies at a cosine of 0 to everything has found nothing.
            ranks = (cosines >= cosines[np.arange(len(own)), own][:, None]).sum(axis=1) - 1
            found |= {f"{name} R@{k}": float((ranks < k).mean()) for k in AT}
    return found


def aligned(alignment: Alignment, items: Sequence[FitItem], modality: Modality) -> Float32:
    """[n, SHARED_DIM], the mean of an item's own; zero where it lacks the modality."""
    rows = np.zeros((len(items), SHARED_DIM), np.float32)
    each = [(row, vector) for row, item in enumerate(items) for vector in item.get(modality, ())]
    if each:
        batch = join([vector for _, vector in each])
        np.add.at(rows, [row for row, _ in each], alignment.align(modality, batch.vectors, batch.classes))
    return unit(rows)


def spread(figures: Sequence[float]) -> Spread:
    """Of at least two figures."""
    return Spread(float(np.mean(figures)), float(np.std(figures, ddof=1)))
