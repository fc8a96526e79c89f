"""Where one shot of a clip ends and the next begins, and which picture speaks for a shot."""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from encoders.base import Float32

Greys = NDArray[np.uint8]

LEVELS = 16
"""Grey levels of a histogram."""
CUT = 0.35
"""A step that moves this share of the pixels to other levels is a cut."""
GRADUAL = 0.08
"""A step as large as this may be part of a fade or a dissolve."""
STANDS_OUT = 2.0
"""How much larger than the steps beside it a cut is."""


def shot_starts(greys: Greys) -> list[int]:
    """Ascending indices of the first picture of each shot; 0 is the first.

    The twin comparison of Zhang, Kankanhalli and Smoliar, "Automatic partitioning of full-motion video",
    1993: a large step between the histograms of neighbours is a cut; several middling ones are a gradual
    change if its ends differ as much as a cut's. Histograms are of the picture's quarters, so that things
    that trade places are noticed. As by Yeo and Liu, "Rapid scene analysis on compressed video", 1995, a
    cut must stand out of its neighbours: steps that are large in a row are one change.
    """
    if not len(greys):
        return []
    histograms = _histograms(greys)
    steps = [0.0, *(_moved(one, other) for one, other in pairwise(histograms)), 0.0]
    starts, run = [0], 0
    for index in range(1, len(steps)):
        if _is_cut(steps, index):
            run = 0
            starts.append(index)
        elif steps[index] > GRADUAL:
            run += 1
        elif run:
            first, last = index - 1 - run, index - 1
            if _moved(histograms[first], histograms[last]) > CUT:
                starts.append(last)
            run = 0
    return starts


def _is_cut(steps: list[float], index: int) -> bool:
    """`steps` has the change into each picture, and a 0 at its end."""
    if steps[index] <= CUT:
        return False
    return steps[index] >= STANDS_OUT * max(steps[index - 1], steps[index + 1])


def speaker(greys: Greys) -> int:
    """Index of the picture that is most like the mean of them all; at least one picture."""
    wide = greys.astype(np.float32)
    distances = np.abs(wide - wide.mean(axis=0)).mean(axis=(1, 2))
    return int(distances.argmin())


def _histograms(greys: Greys) -> Float32:
    """Shares of the grey levels in each quarter, float32 [n, 4 * LEVELS]; a row sums to 1."""
    _, height, width = greys.shape
    top, left = max(1, height // 2), max(1, width // 2)
    parts = [greys[:, :top, :left], greys[:, :top, left:], greys[:, top:, :left], greys[:, top:, left:]]
    rows = np.zeros((len(greys), len(parts), LEVELS), np.float32)
    for place, part in enumerate(parts):
        levels = (part.reshape(len(greys), -1) // (256 // LEVELS)).astype(np.int64)
        for row, values in enumerate(levels):
            rows[row, place] = np.bincount(values, minlength=LEVELS)
    return rows.reshape(len(greys), -1) / float(height * width)


def _moved(one: Float32, other: Float32) -> float:
    """Share of the pixels that are at another level: half the distance of the histograms, 0 to 1."""
    return float(np.abs(one - other).sum() / 2)
