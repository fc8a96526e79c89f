"""Colour histograms: how much of which colour a picture has."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from encoders.base import Float32, Modality

Image = NDArray[np.uint8]

SIDE = 128
"""Pictures are shrunk to this square: a histogram asks for no detail."""
HUES, SHADES, GREYS = 18, 3, 8
COLOURS = HUES * SHADES * SHADES
BINS = COLOURS + GREYS
LEAST_SATURATION, LEAST_VALUE = 26, 26
"""Below a tenth of the range a hue is noise, and the pixel counts as grey."""


class ColourHistogram:
    """Images uint8 [h, w, 3] RGB to float32 [n, 170]: HSV histograms (Swain and Ballard, 1991).

    Numbers are roots of shares, so that a dot product is the Bhattacharyya coefficient and not ruled by the
    background. Every vector has unit length.
    """

    name = "colour-histogram"
    version = "colour-histogram-1"
    modality = Modality.IMAGE
    dim = BINS

    def encode(self, batch: Sequence[Image]) -> Float32:
        """Float32 [n, 170], all at least 0."""
        if not batch:
            return np.empty((0, self.dim), np.float32)
        return np.stack([_row(image) for image in batch])


def _row(image: Image) -> Float32:
    small = cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    bins = _bins(np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2HSV), np.int64))
    return np.sqrt(np.bincount(bins.ravel(), minlength=BINS) / bins.size).astype(np.float32)


def _bins(hsv: NDArray[np.int64]) -> NDArray[np.int64]:
    """The bin of each pixel. OpenCV's hue goes to 179, saturation and value to 255."""
    hue, saturation, value = hsv[..., 0], hsv[..., 1], hsv[..., 2]
    colour = (hue * HUES // 180 * SHADES + saturation * SHADES // 256) * SHADES + value * SHADES // 256
    grey = COLOURS + value * GREYS // 256
    return np.where((saturation < LEAST_SATURATION) | (value < LEAST_VALUE), grey, colour)
