"""Chooses the key frames of a clip by how much its pictures change.

The method is the classic one of shot detection by frame difference (Zhang, Kankanhalli and Smoliar,
"Automatic partitioning of full-motion video", 1993), with two changes: the difference is taken against the
last frame kept, so that a slow pan is noticed too, and the threshold adapts to the clip.
"""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Greys = NDArray[np.uint8]

LOWEST_THRESHOLD = 6.0
HIGHEST_THRESHOLD = 40.0


def choose(greys: Greys, most: int) -> list[int]:
    """Indices of the key frames among `greys`, uint8 [n, h, w]: ascending, the first always, at most `most`.

    A frame is kept where its mean absolute difference to the last one kept exceeds the threshold: the mean
    plus one standard deviation of the differences between neighbours, within 6 to 40 of 255 grey levels.
    Where too many are kept, the clip is cut into `most` spans of equal length and the frame that changed
    most stays in each; spans without a change leave their place to the strongest of the others.
    """
    if not len(greys) or most < 1:
        return []
    wide = greys.astype(np.int16)
    threshold = adaptive_threshold(wide)
    changes = {0: np.inf}
    last = 0
    for index in range(1, len(wide)):
        change = difference(wide[index], wide[last])
        if change > threshold:
            changes[index], last = change, index
    return sorted(changes) if len(changes) <= most else _spread(changes, len(greys), most)


def adaptive_threshold(wide: NDArray[np.int16]) -> float:
    """The difference, in grey levels, above which a frame of this clip counts as changed."""
    steps = [difference(after, before) for before, after in pairwise(wide)]
    if not steps:
        return LOWEST_THRESHOLD
    return float(np.clip(np.mean(steps) + np.std(steps), LOWEST_THRESHOLD, HIGHEST_THRESHOLD))


def difference(one: NDArray[np.int16], other: NDArray[np.int16]) -> float:
    """Mean absolute difference of two grey pictures, 0 to 255."""
    return float(np.abs(one - other).mean())


def _spread(changes: dict[int, float], length: int, most: int) -> list[int]:
    strongest = sorted(changes, key=lambda index: (-changes[index], index))
    best_of_span: dict[int, int] = {}
    for index in strongest:
        best_of_span.setdefault(index * most // length, index)
    kept = set(best_of_span.values())
    kept.update([index for index in strongest if index not in kept][: most - len(kept)])
    return sorted(kept)
