"""What every encoder is, and what goes in and out of the bank of encoders."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Protocol, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from encoders.describe.description import LABELS, Described

SHARED_DIM = 128
"""Dimension of the space that every modality is aligned into."""

Float32 = NDArray[np.float32]


class Modality(StrEnum):
    """The four kinds of media. The order of MODALITIES is the wire code of each."""

    TEXT = "text"
    IMAGE = "image"
    AUDIO = "audio"
    VIDEO = "video"


MODALITIES: tuple[Modality, ...] = tuple(Modality)

SampleT_contra = TypeVar("SampleT_contra", contravariant=True)


class Encoder(Protocol[SampleT_contra]):
    """Turns decoded samples of one modality into vectors.

    `encode` takes n samples and returns float32 [n, dim], finite, the same for a sample alone as in a
    batch (within 1e-4), the same at every call. An empty batch gives [0, dim]. It never fails for one
    bad sample: samples are decoded and checked before.
    """

    @property
    def name(self) -> str: ...

    @property
    def version(self) -> str:
        """Changes whenever the vectors would change."""
        ...

    @property
    def modality(self) -> Modality: ...

    @property
    def dim(self) -> int: ...

    def encode(self, batch: Sequence[SampleT_contra]) -> Float32: ...


class Medium(msgspec.Struct, frozen=True):
    """One medium whose bytes are at hand. `modality` None means: sniff it from the content."""

    content: bytes
    modality: Modality | None = None
    name: str = ""
    """File name or URI, for messages and as a hint for sniffing."""
    private: bool = False
    """Of one person: what comes of it is kept in memory for a while, and on no disk."""


class Encoded(msgspec.Struct, frozen=True):
    """What became of one medium: vectors by modality in the shared space, or the reason of a mask.

    A video gives up to two vectors: video (key frames pooled) and audio (its sound track).
    """

    vectors: dict[Modality, Float32] = {}
    """Per modality float32 [SHARED_DIM], of unit length."""
    masked: dict[Modality, str] = {}
    """Per modality one of `errors.REASONS`."""
    details: dict[Modality, str] = {}
    """Per masked modality a sentence for a person."""
    descriptions: Described = ()
    """What it was put into words as: labels of what is seen and heard, captions, transcripts."""
    cached: bool = False
    fatal: str | None = None
    """Set when decoding ended its process too often: the record is a dead letter."""

    @property
    def labels(self) -> tuple[str, ...]:
        """What a classifier sees or hears in it, likeliest first, each once."""
        return tuple(dict.fromkeys(one.text for one in self.descriptions if one.kind in LABELS))
