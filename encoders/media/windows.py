"""Cuts what is longer than a model sees at once into windows that overlap, to be pooled."""

import re

import numpy as np
from numpy.typing import NDArray

from encoders.base import Float32

LETTERS = 4
"""Letters that one sign of a dense script counts as, where tokens are what an encoder reads so many of: one
takes in three or four letters of an alphabet, and one such sign, or less."""
DENSE = re.compile(
    "[\u0e00-\u109f\u1100-\u11ff\u1780-\u17ff\u2e80-\u2fdf\u3005-\u3007\u3021-\u3029\u3040-\u31ff\u3400-\u4dbf"
    "\u4e00-\u9fff\ua000-\ua4cf\uac00-\ud7ff\uf900-\ufaff\U0001f000-\U0001faff\U00020000-\U0003ffff]"
)
"""Thai, Lao, Tibetan, Burmese, Khmer, Chinese, Japanese, Korean, Yi, and pictures."""


def text_windows(text: str, size: int, most: int, letters: int = 1) -> list[str]:
    """Parts of at most `size` letters that overlap by an eighth and begin at words, where there are words.

    A sign of a dense script counts as so many `letters`. A text that fits is its own only window. Where more
    than `most` windows would be needed, so many are taken, evenly from the first to the last.
    """
    if len(text) * letters <= size:
        return [text]
    ends = _ends(text, letters)
    total = int(ends[-1]) if len(ends) else 0
    if total <= size:
        return [text]
    if most < 1:
        return [text[: _signs(ends, size)]]
    overlap = size // 8
    count = 1 + -(-(total - size) // (size - overlap))
    starts = np.linspace(0, total - size, min(count, most)).astype(int)
    return [_window(text, ends, int(start), size) for start in starts]


def _ends(text: str, letters: int) -> NDArray[np.int64]:
    """Where each sign ends, in letters."""
    counts = np.ones(len(text), np.int64)
    if letters > 1:
        counts[[found.start() for found in DENSE.finditer(text)]] = letters
    return np.cumsum(counts)


def _signs(ends: NDArray[np.int64], letters: int) -> int:
    """How many signs fit into so many letters."""
    return int(np.searchsorted(ends, letters, side="right"))


def _window(text: str, ends: NDArray[np.int64], first: int, size: int) -> str:
    """The signs that lie whole within `size` letters from the first on."""
    start = int(np.searchsorted(ends - np.diff(ends, prepend=0), first))
    end = _signs(ends, first + size)
    if start > 0 and not text[start - 1].isspace():
        last = _signs(ends, first + size // 8)
        blank = next((place for place in range(start, last) if text[place].isspace()), None)
        start = start if blank is None else blank + 1
    return text[start:end]


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
