"""What an encoder may offer beside its vectors, if it was trained by classifying."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from encoders.base import Encoder, Float32
from encoders.image.classes import ClassShares

Pixels = NDArray[np.uint8]
DIRECTIONS = 256
"""Made-up rows for an encoder without a classifier: enough that their leading axes prefer no dimension."""


@runtime_checkable
class ClassifyingEncoder(Encoder[Pixels], Protocol):
    """An encoder of images that tells the classes of ImageNet as well."""

    def encode_with_classes(self, batch: Sequence[Pixels]) -> tuple[Float32, ClassShares]: ...

    def encode_with_probabilities(self, batch: Sequence[Pixels]) -> tuple[Float32, Float32]: ...


@runtime_checkable
class HasClassWeights(Protocol):
    """An encoder that was trained under a classifier."""

    def class_weights(self) -> Float32:
        """Rows of the classifier on top of the features, float32 [classes, dim]."""
        ...


def class_weights(encoder: Encoder[Pixels] | Encoder[Float32]) -> Float32:
    """Rows that span what the encoder tells apart, float32 [n, dim].

    Those of its own classifier; where it has none, fixed random rows, whose axes keep distances as any random
    projection does (Johnson and Lindenstrauss, 1984).
    """
    return encoder.class_weights() if isinstance(encoder, HasClassWeights) else random_rows(encoder.dim)


def random_rows(dim: int) -> Float32:
    """The same float32 [DIRECTIONS, dim] at every call."""
    rows: Float32 = np.random.default_rng(0).standard_normal((DIRECTIONS, dim), np.float32)
    return rows


def with_classes(encoder: Encoder[Pixels], images: Sequence[Pixels]) -> tuple[Float32, ClassShares | None]:
    """Vectors of images, and their classes where the encoder knows any."""
    if isinstance(encoder, ClassifyingEncoder):
        return encoder.encode_with_classes(images)
    return encoder.encode(images), None
