"""What a medium was put into words as, and what puts it."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Protocol, TypeVar

import msgspec


class Kind(StrEnum):
    """What a description speaks of."""

    SEEN = "seen"
    HEARD = "heard"
    CAPTION = "caption"
    TRANSCRIPT = "transcript"
    PHONEMES = "phonemes"
    EMOTION = "emotion"


LABELS = frozenset({Kind.SEEN, Kind.HEARD})
"""Single words, which count as labels of a medium."""


class Description(msgspec.Struct, frozen=True, array_like=True):
    """One label or text. `score` is how sure its model is, 0 to 1."""

    kind: Kind
    text: str
    score: float


Described = tuple[Description, ...]
"""What one sample was put into words as, surest first; empty where there is nothing to say."""

SampleT_contra = TypeVar("SampleT_contra", contravariant=True)


class Describer(Protocol[SampleT_contra]):
    """Puts samples into words: n samples to n descriptions. Never fails for one sample."""

    @property
    def kind(self) -> Kind: ...

    @property
    def version(self) -> str:
        """Changes whenever the words would change."""
        ...

    def describe(self, batch: Sequence[SampleT_contra]) -> list[Described]: ...
