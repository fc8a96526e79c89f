"""Chooses the key frames of a clip: by how much its pictures change, how they move, or one for each shot.

Every way takes the clip as small grey pictures, uint8 [n, h, w], and gives indices: ascending, at least
one, at most `most`.
"""

from collections.abc import Callable
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from encoders.media.flow import dense_motion, sparse_motion
from encoders.media.shots import shot_starts, speaker

Greys = NDArray[np.uint8]
Choose = Callable[[Greys, int], list[int]]

LOWEST_THRESHOLD = 6.0
HIGHEST_THRESHOLD = 40.0

LEAST_SWING = 0.2
"""How much motion must fall from one peak, and rise to the next, for the rest between them to count."""

MOTION_NOISE = 0.05
"""Pixels of the small picture; motion below this is none."""


def choose_by_difference(greys: Greys, most: int) -> list[int]:
    """The frames at which the picture has changed.

    The classic way of shot detection by frame difference (Zhang, Kankanhalli and Smoliar, "Automatic
    partitioning of full-motion video", 1993), with two changes: the difference is taken against the last
    frame kept, so that a slow pan is noticed too, and the threshold adapts to the clip. A frame is kept
    where its mean absolute difference exceeds the mean plus one standard deviation of the differences
    between neighbours, within 6 to 40 of 255 grey levels. Where too many are kept, the clip is cut into
    `most` spans of equal length and the frame that changed most stays in each; spans without a change leave
    their place to the strongest of the others.
    """
    if not len(greys) or most < 1:
        return []
    wide = greys.astype(np.int16)
    threshold = _adaptive_threshold(wide)
    changes = {0: np.inf}
    last = 0
    for index in range(1, len(wide)):
        change = _difference(wide[index], wide[last])
        if change > threshold:
            changes[index], last = change, index
    return _spread(changes, len(greys), most)


def choose_by_flow(greys: Greys, most: int) -> list[int]:
    """The frames at which the motion comes to rest, which is where a film shows what it wants seen.

    Wolf, "Key frame selection by motion analysis", 1996: the motion of a frame is the length of its optical
    flow, and key frames are the minima of motion between two peaks, where it falls and rises again by a fifth
    at least. The first frame is always one. A cut is a peak of its own, since no flow explains it.
    """
    return _rests_of(dense_motion, greys, most)


def choose_by_sparse_flow(greys: Greys, most: int) -> list[int]:
    """The same by the flow of corners alone: less to compute, and blind to what has no corners."""
    return _rests_of(sparse_motion, greys, most)


def choose_by_shots(greys: Greys, most: int) -> list[int]:
    """One frame of each shot, the one most like the shot's mean; of too many, the longest of each span."""
    if not len(greys) or most < 1:
        return []
    starts = shot_starts(greys)
    shots = {
        start + speaker(greys[start:end]): float(end - start)
        for start, end in pairwise([*starts, len(greys)])
    }
    return _spread(shots, len(greys), most)


WAYS: dict[str, Choose] = {
    "difference": choose_by_difference,
    "flow": choose_by_flow,
    "sparse-flow": choose_by_sparse_flow,
    "shots": choose_by_shots,
}


def _rests_of(motion: Callable[[Greys], list[float]], greys: Greys, most: int) -> list[int]:
    if not len(greys) or most < 1:
        return []
    rests = {0: np.inf} | _rests(motion(greys))
    return _spread(rests, len(greys), most)


def _adaptive_threshold(wide: NDArray[np.int16]) -> float:
    steps = [_difference(after, before) for before, after in pairwise(wide)]
    if not steps:
        return LOWEST_THRESHOLD
    return float(np.clip(np.mean(steps) + np.std(steps), LOWEST_THRESHOLD, HIGHEST_THRESHOLD))


def _difference(one: NDArray[np.int16], other: NDArray[np.int16]) -> float:
    return float(np.abs(one - other).mean())


def _rests(motion: list[float]) -> dict[int, float]:
    """Index to depth of each minimum of motion between two peaks."""
    found: dict[int, float] = {}
    peak, low, place = motion[0], motion[0], 0
    for index, value in enumerate(motion[1:], start=1):
        if value < low:
            low, place = value, index
        elif low < (1 - LEAST_SWING) * min(peak, value) - MOTION_NOISE:
            found[place] = min(peak, value) - low
            peak = low = value
            place = index
        elif value > peak:
            peak = low = value
            place = index
    if low < (1 - LEAST_SWING) * peak - MOTION_NOISE:
        found[place] = peak - low
    return found


def _spread(strengths: dict[int, float], length: int, most: int) -> list[int]:
    if len(strengths) <= most:
        return sorted(strengths)
    strongest = sorted(strengths, key=lambda index: (-strengths[index], index))
    best_of_span: dict[int, int] = {}
    for index in strongest:
        best_of_span.setdefault(index * most // length, index)
    kept = set(best_of_span.values())
    kept.update([index for index in strongest if index not in kept][: most - len(kept)])
    return sorted(kept)
