"""Plain samples that every working encoder takes: they tell a broken encoder from a bad medium."""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from encoders.base import Float32, Modality
from encoders.media.decoded import FRAME_SIDE, IMAGE_SIDE, SOUND_RATE, Decoded

Pixels = NDArray[np.uint8]

SENTENCE = "A red bicycle leans on the wall of the old harbour, and nobody knows whose it is. "


@cache
def canaries(modality: Modality) -> tuple[Decoded, ...]:
    """A small sample and one as large as decoding gives them."""
    if modality is Modality.TEXT:
        return tuple(Decoded(modality, text=SENTENCE * times) for times in (1, 100))
    if modality is Modality.IMAGE:
        return tuple(Decoded(modality, image=one) for one in pictures())
    if modality is Modality.AUDIO:
        return tuple(Decoded(modality, sound=one) for one in sounds())
    shapes = ((1, 90, 160), (4, 180, FRAME_SIDE))
    return tuple(Decoded(modality, frames=_checked(*shape)) for shape in shapes)


@cache
def pictures() -> tuple[Pixels, ...]:
    """Uint8 [h, w, 3], a small one and a large one."""
    return _checked(1, 96, 128)[0], _checked(1, 384, IMAGE_SIDE)[0]


@cache
def sounds() -> tuple[Float32, ...]:
    """Float32 [n], mono, at SOUND_RATE: a tone that swells, of a second and of eight."""
    return tuple(_tone(seconds) for seconds in (1, 8))


def _tone(seconds: int) -> Float32:
    times = np.arange(seconds * SOUND_RATE) / SOUND_RATE
    waves = sum(np.sin(2 * np.pi * 220 * part * times) / part for part in (1, 2, 3))
    return (0.2 * waves * np.sin(np.pi * times / seconds) ** 2).astype(np.float32)


def _checked(count: int, height: int, width: int) -> Pixels:
    """Frames uint8 [count, height, width, 3]: a chequered pattern on a ramp of colours, which moves."""
    frame, row, column = np.ogrid[:count, :height, :width]
    squares = ((row + 8 * frame) // 16 + column // 16) % 2
    ramps = [255 * column / width, 255 * row / height, 255 * (1 - column / width)]
    channels = [np.where(squares, ramp + 0 * squares, 96) for ramp in ramps]
    return np.stack(channels, axis=-1).astype(np.uint8)
