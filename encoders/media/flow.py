"""How much the picture moves, by optical flow: dense, of every pixel, or sparse, of corners alone.

Both take a clip as small grey pictures, uint8 [n, h, w], and give n numbers: how long the flow into each
picture from the one before is, in pixels; 0 for the first.
"""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Greys = NDArray[np.uint8]

CORNERS, CORNER_QUALITY, CORNER_DISTANCE = 60, 0.01, 3.0
"""At most so many corners, no weaker than this share of the strongest, at least so many pixels apart."""
WINDOW, LEVELS = (9, 9), 2
"""What Lucas and Kanade's way compares around a corner, and how often it halves the picture."""
LOST = 9.0
"""Pixels that a corner counts for that is found no more: it moved too far, or a cut came between."""


def dense_motion(greys: Greys) -> list[float]:
    """The mean over all pixels, by Farnebäck's polynomial expansion (SCIA 2003)."""
    # Half a second and 50 MB to load, which ways without flow need not pay.
    import cv2

    cv2.setNumThreads(1)
    motion = [0.0]
    room = np.zeros((*greys.shape[1:], 2), np.float32)
    for before, after in pairwise(greys):
        flow = cv2.calcOpticalFlowFarneback(before, after, room, 0.5, 3, 15, 3, 5, 1.2, 0)
        motion.append(float(np.hypot(flow[..., 0], flow[..., 1]).mean()))
    return motion


def sparse_motion(greys: Greys) -> list[float]:
    """The median over corners (Shi and Tomasi, 1994), by Lucas and Kanade's way (1981) in a pyramid.

    The median, since those at the border are lost in every pan. A picture without corners, a flat one, has
    no motion into the next.
    """
    import cv2

    cv2.setNumThreads(1)
    motion = [0.0]
    for before, after in pairwise(greys):
        corners = cv2.goodFeaturesToTrack(before, CORNERS, CORNER_QUALITY, CORNER_DISTANCE)
        if corners is None or not len(corners):
            motion.append(0.0)
            continue
        start = corners.astype(np.float32).reshape(-1, 1, 2)
        moved, found, _ = cv2.calcOpticalFlowPyrLK(
            before, after, start, np.zeros_like(start), winSize=WINDOW, maxLevel=LEVELS
        )
        lengths = np.linalg.norm((moved - start).reshape(-1, 2), axis=1)
        lengths = np.where(found.reshape(-1) == 1, np.minimum(lengths, LOST), LOST)
        motion.append(float(np.median(lengths)))
    return motion
