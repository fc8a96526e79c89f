"""Cuts what is longer than a model sees at once into windows that overlap, to be pooled."""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from encoders.base import Float32

Scalar = TypeVar("Scalar", np.float32, np.uint8)


def text_windows(text: str, size: int, most: int) -> list[str]:
    """Parts of at most `size` characters that overlap by an eighth and begin at words, where there are words.

    A text that fits is its own only window. Where more than `most` windows would be needed, so many are
    taken, evenly from the first to the last.
    """
    if len(text) <= size or most < 1:
        return [text[:size]]
    overlap = size // 8
    count = 1 + -(-(len(text) - size) // (size - overlap))
    starts = np.linspace(0, len(text) - size, min(count, most)).astype(int)
    return [_from_word(text, int(start), size, overlap) for start in starts]


def _from_word(text: str, start: int, size: int, overlap: int) -> str:
    end = start + size
    if start > 0 and not text[start - 1].isspace():
        blank = next((place for place in range(start, start + overlap) if text[place].isspace()), None)
        start = start if blank is None else blank + 1
    return text[start:end]


def sample_windows(samples: NDArray[Scalar], size: int, hop: int) -> NDArray[Scalar]:
    """[n, ...] to [w, size, ...], one window every `hop`, w at least 1; the last is filled up with zeros."""
    count = max(1, -(-(len(samples) - size) // hop) + 1)
    missing = (count - 1) * hop + size - len(samples)
    padded = np.pad(samples, [(0, max(0, missing)), *[(0, 0)] * (samples.ndim - 1)])
    windows = np.lib.stride_tricks.sliding_window_view(padded, size, axis=0)[::hop][:count]
    return np.moveaxis(windows, -1, 1)


def pooled(windows: Float32) -> Float32:
    """Vectors of the windows of one medium, float32 [w, d], to its own [d]: their mean, as long as they are.

    A mean of unit vectors is shorter than they are, and what is measured from a centre hears length.
    """
    mean: Float32 = windows.mean(axis=0)
    length = float(np.linalg.norm(mean))
    if len(windows) == 1 or length == 0.0:
        return mean
    scaled: Float32 = (mean * (np.linalg.norm(windows, axis=1).mean() / length)).astype(np.float32)
    return scaled
