"""Histograms of oriented gradients: the outlines of a picture."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from encoders.base import Float32, Modality

Image = NDArray[np.uint8]

CELL, CELLS, BLOCK, ANGLES = 16, 6, 2, 9
SIDE = CELL * CELLS
BLOCKS = CELLS - BLOCK + 1
CLIP, TINY = 0.2, 1e-3


class Hog:
    """Images uint8 [h, w, 3] RGB to float32 [n, 900], a flat one to 0.

    Dalal and Triggs, "Histograms of oriented gradients for human detection", CVPR 2005: nine directions
    without sign in cells of 16 pixels, of the channel with the steepest gradient, votes shared by the two
    nearest directions; blocks of 2 x 2 cells, normalised, clipped, normalised again.
    """

    name = "hog"
    version = "hog-1"
    modality = Modality.IMAGE
    dim = BLOCKS * BLOCKS * BLOCK * BLOCK * ANGLES

    def encode(self, batch: Sequence[Image]) -> Float32:
        """Float32 [n, 900], all at least 0."""
        if not batch:
            return np.empty((0, self.dim), np.float32)
        return np.stack([_blocks(_cells(image)).ravel() for image in batch])


def _cells(image: Image) -> Float32:
    """Weight of each direction in each cell, float32 [CELLS, CELLS, ANGLES]."""
    small = cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_AREA).astype(np.float32) / 255.0
    across, down = cv2.Sobel(small, cv2.CV_32F, 1, 0, ksize=1), cv2.Sobel(small, cv2.CV_32F, 0, 1, ksize=1)
    strengths = np.hypot(across, down)
    steepest = strengths.argmax(axis=2)[..., None]
    across, down, strength = (
        np.take_along_axis(values, steepest, axis=2)[..., 0] for values in (across, down, strengths)
    )
    angle = np.mod(np.arctan2(down, across), np.pi) * (ANGLES / np.pi)
    lower = np.floor(angle).astype(np.int64)
    share = angle - lower
    rows, columns = np.indices((SIDE, SIDE)) // CELL
    place = (rows * CELLS + columns) * ANGLES
    votes = np.bincount((place + lower % ANGLES).ravel(), (strength * (1 - share)).ravel(), CELLS**2 * ANGLES)
    votes += np.bincount(
        (place + (lower + 1) % ANGLES).ravel(), (strength * share).ravel(), CELLS**2 * ANGLES
    )
    return (votes / CELL**2).reshape(CELLS, CELLS, ANGLES).astype(np.float32)


def _blocks(cells: Float32) -> Float32:
    """Float32 [BLOCKS, BLOCKS, 36]."""
    corners = [
        cells[row : row + BLOCKS, column : column + BLOCKS] for row in range(BLOCK) for column in range(BLOCK)
    ]
    return _normalised(np.minimum(_normalised(np.concatenate(corners, axis=2)), CLIP))


def _normalised(blocks: Float32) -> Float32:
    lengths = np.sqrt((blocks * blocks).sum(axis=2, keepdims=True) + TINY**2)
    scaled: Float32 = (blocks / lengths).astype(np.float32)
    return scaled
