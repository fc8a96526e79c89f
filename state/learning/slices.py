"""Parts of a test that say more than the whole: by how much is known of the user, and of the item."""

import numpy as np

from state.learning.interactions import Bool
from state.learning.metrics import Float64
from state.learning.results import Slice
from state.learning.splits import Split

HISTORY = (0, 1, 6, 21, 51)
"""Fewest events before the target, of each slice."""
TAKEN = (0, 1, 11, 51)
"""Fewest events in training of the item that is taken."""


def slices_of(split: Split, values: dict[str, Float64]) -> list[Slice]:
    """The means of each metric [n test events] over each slice that has any."""
    histories = split.test.histories()
    lengths = histories.end - histories.first
    taken = split.train.counts[split.test.items]
    out = []
    for group, numbers, bounds in (("events before", lengths, HISTORY), ("events of the item", taken, TAKEN)):
        for low, high in zip(bounds, (*bounds[1:], None), strict=True):
            inside = (numbers >= low) & (numbers < high if high is not None else True)
            if inside.any():
                metrics = {name: float(each[inside].mean()) for name, each in values.items()}
                out.append(Slice(group, _name(low, high), int(inside.sum()), metrics))
    return out


def lost(shape: tuple[int, int], share: float, seed: int) -> Bool:
    """Which modalities of which items are taken away, bool [items, 4]; a larger share takes more of them."""
    return np.random.default_rng(seed).random(shape) < share


def _name(low: int, high: int | None) -> str:
    if high is None:
        return f"{low}+"
    return str(low) if high == low + 1 else f"{low}-{high - 1}"
