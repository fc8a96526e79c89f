"""TF-IDF: terms of a text, those that few documents have above those that all have."""

from collections.abc import Iterable, Sequence

import numpy as np
import xxhash
from numpy.typing import NDArray

from encoders.alignment import unit
from encoders.base import Float32, Modality
from encoders.text.terms import DIM, damped, placed, term_counts

SLOTS = 1 << 16
"""Counters of document frequency; terms that share one count together."""


class DocumentFrequency:
    """In how many documents each term was seen: a table of fixed size for any number of documents.

    It is counted from a stream, `add` by `add`, and frozen in an artifact before it serves: weights that
    moved under a running service would give one text two vectors.
    """

    def __init__(self, counts: NDArray[np.int64] | None = None, documents: int = 0) -> None:
        self.counts = np.zeros(SLOTS, np.int64) if counts is None else counts
        self.documents = documents

    def add(self, texts: Iterable[str]) -> None:
        """Counts further documents; one that has no term counts for nothing."""
        for text in texts:
            numbers, _ = term_counts(text)
            if len(numbers):
                self.counts[np.unique(_slots(numbers))] += 1
                self.documents += 1

    def weights(self, numbers: NDArray[np.uint64]) -> Float32:
        """Inverse document frequency of terms, at least 1, as smoothed by one document that has them all."""
        seen = self.counts[_slots(numbers)]
        weights: Float32 = (np.log((1.0 + self.documents) / (1.0 + seen)) + 1.0).astype(np.float32)
        return weights

    @property
    def digest(self) -> str:
        """16 hexadecimal digits that change with any count."""
        return xxhash.xxh3_64_hexdigest(self.counts.tobytes() + self.documents.to_bytes(8, "little"))


class TfIdf:
    """Texts to float32 [n, 1024] of unit length, under a document frequency that no longer changes."""

    name = "tf-idf"
    modality = Modality.TEXT
    dim = DIM

    def __init__(self, frequency: DocumentFrequency) -> None:
        self._frequency = frequency
        self.version = f"{self.name}-1-{frequency.digest}"

    def encode(self, batch: Sequence[str]) -> Float32:
        """Float32 [n, 1024]: (1 + ln tf) * idf, hashed. A text without a word gives 0."""
        if not batch:
            return np.empty((0, DIM), np.float32)
        return unit(np.stack([self._row(text) for text in batch]))

    def _row(self, text: str) -> Float32:
        numbers, counts = term_counts(text)
        return placed(numbers, damped(counts) * self._frequency.weights(numbers))


def _slots(numbers: NDArray[np.uint64]) -> NDArray[np.int64]:
    # Not the bits that say where a term goes in the vector.
    return ((numbers >> np.uint64(32)) % np.uint64(SLOTS)).astype(np.int64)
