"""Document vectors: what a text is about, from which terms go together in a catalogue.

Latent semantic analysis (Deerwester and others, 1990): the leading axes of a catalogue's TF-IDF vectors. The
paragraph vectors of Le and Mikolov (2014) factorise nearly the same matrix (Levy and Goldberg, 2014) by steps
that depend on chance; this is the closed form, and a text's vector is one product.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import xxhash

from encoders.alignment import unit
from encoders.alignment_builtin import principal_axes
from encoders.base import Float32, Modality

DIM = 128


class Terms(Protocol):
    """The TF-IDF encoder."""

    @property
    def version(self) -> str: ...

    def encode(self, batch: Sequence[str]) -> Float32: ...


def document_axes(rows: Float32) -> Float32:
    """Float32 [d, DIM]: the leading axes of documents' TF-IDF vectors, float32 [n, d], from the origin."""
    mirrored = np.concatenate([rows, -rows])
    return principal_axes(mirrored, DIM)


class DocumentVectors:
    """Texts to float32 [n, 128] of unit length; a text without a word gives 0."""

    name = "document-vectors"
    modality = Modality.TEXT
    dim = DIM

    def __init__(self, terms: Terms, axes: Float32) -> None:
        self._terms = terms
        self._axes = axes
        digest = xxhash.xxh3_64_hexdigest(f"{terms.version} {axes.shape}".encode() + axes.tobytes())
        self.version = f"{self.name}-1-{digest}"

    def encode(self, batch: Sequence[str]) -> Float32:
        """Float32 [n, 128]."""
        # Texts one by one: a matrix product's rounding depends on how many rows it has.
        rows = [self._terms.encode([text])[0] @ self._axes for text in batch]
        return unit(np.stack(rows)) if rows else np.empty((0, DIM), np.float32)
