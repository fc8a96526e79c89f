"""What decoding gives: arrays of bounded size, ready for the encoders."""

import msgspec
import numpy as np
from numpy.typing import NDArray

from encoders.base import Modality

SOUND_RATE = 44100
"""Samples per second of every decoded sound."""

IMAGE_SIDE = 512
"""Longest side of a decoded image, pixels."""

FRAME_SIDE = 320
"""Longest side of a decoded key frame, pixels."""

DECODER_VERSION = "3"
"""Part of the vector cache's keys: raise it when the same bytes decode to other samples."""


class Decoded(msgspec.Struct, frozen=True):
    """One decoded medium: exactly the fields of its modality are set.

    `image` is uint8 [h, w, 3] RGB. `sound` is float32 [n], mono at SOUND_RATE, within -1 to 1. `frames` is
    uint8 [k, h, w, 3] RGB, the key frames of a video; the sound track of the video, where it has one, is in
    `sound`.
    """

    modality: Modality
    text: str | None = None
    image: NDArray[np.uint8] | None = None
    sound: NDArray[np.float32] | None = None
    frames: NDArray[np.uint8] | None = None
