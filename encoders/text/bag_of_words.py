"""Bag of words: which terms a text has, hashed, without any fitting."""

from collections.abc import Sequence

import numpy as np

from encoders.alignment import unit
from encoders.base import Float32, Modality
from encoders.text.terms import DIM, damped, placed, term_counts


class BagOfWords:
    """Texts to float32 [n, 1024] of unit length; a text without a word gives 0."""

    name = "bag-of-words"
    version = "bag-of-words-1"
    modality = Modality.TEXT
    dim = DIM

    def encode(self, batch: Sequence[str]) -> Float32:
        """Float32 [n, 1024], terms by the logarithm of how often they occur."""
        if not batch:
            return np.empty((0, DIM), np.float32)
        return unit(np.stack([_row(text) for text in batch]))


def _row(text: str) -> Float32:
    numbers, counts = term_counts(text)
    return placed(numbers, damped(counts))
