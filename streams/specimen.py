"""One medium, looked at closely: what its encoding gives, and what that takes."""

import time
from collections.abc import Mapping, Sequence

import msgspec
import numpy as np

from encoders.bank import EncoderBank
from encoders.base import Encoded, Medium, Modality
from encoders.describe.description import Description
from encoders.errors import MediumError
from encoders.layered_cache import LayeredCache
from encoders.media.language import MOST_CHARACTERS as LANGUAGE_CHARACTERS
from encoders.media.language import detect_language
from encoders.media.sniff import sniff
from encoders.media.text import decode_text
from encoders.native import join
from encoders.observer import Observer
from streams.encode.vectors import mean_direction
from streams.shelf import Neighbour, Shelf


class Part(msgspec.Struct, frozen=True):
    """One modality of a medium, before and after alignment."""

    encoder: str
    native_dim: int
    native_norm: float
    norm: float
    """1 but for a vector that lies exactly at the centre of its modality, which is 0."""


class Specimen(msgspec.Struct, frozen=True):
    """What is to be seen of one medium."""

    name: str
    size: int
    modality: str
    language: str = ""
    """Of a text, by its code of ISO 639; `und` where too little speaks for any."""
    parts: dict[str, Part] = {}
    masked: dict[str, str] = {}
    descriptions: tuple[Description, ...] = ()
    nearest: list[Neighbour] = []
    seconds: dict[str, float] = {}
    """`all`, and of that each modality's encoder; the rest is decoding. Models are warm."""


class Stopwatch(Observer):
    """Takes the seconds of each encoder as the bank observes them."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def encoded(self, modality: Modality, media: int, seconds: float) -> None:
        self.seconds[modality.value] = self.seconds.get(modality.value, 0.0) + seconds


class Bypass:
    """A vector cache that can be passed by, so that what is looked at is encoded and not remembered."""

    def __init__(self, cache: LayeredCache | None) -> None:
        self._cache = cache
        self.passed_by = False

    def get_many(self, keys: Sequence[bytes]) -> Sequence[bytes | None]:
        if self._cache is None or self.passed_by:
            return [None] * len(keys)
        return self._cache.get_many(keys)

    def put_many(self, values: Mapping[bytes, bytes]) -> None:
        if self._cache is not None and not self.passed_by:
            self._cache.put_many(values)


def look_at(medium: Medium, bank: EncoderBank, stopwatch: Stopwatch) -> tuple[Encoded, Specimen]:
    """Encodes a medium twice, the second time by the clock. The bank's cache has to be passed by."""
    (encoded,) = bank.encode([medium])
    stopwatch.seconds = {}
    started = time.perf_counter()
    (native,) = bank.natives([medium])
    seconds = {"all": time.perf_counter() - started, **stopwatch.seconds}
    parts: dict[str, Part] = {}
    for modality, vector in native.vectors.items() if native is not None else ():
        row = join([vector]).vectors[0]
        aligned = float(np.linalg.norm(encoded.vectors[modality]))
        parts[modality.value] = Part(
            bank.encoders[modality], len(row), round(float(np.linalg.norm(row)), 4), round(aligned, 4)
        )
    specimen = Specimen(
        name=medium.name,
        size=len(medium.content),
        modality=medium.modality or sniff(medium.content, medium.name) or "unknown",
        language=_language(medium),
        parts=parts,
        masked={
            modality.value: f"{reason}: {encoded.details.get(modality, '')}"
            for modality, reason in encoded.masked.items()
        },
        descriptions=encoded.descriptions,
        seconds={name: round(each, 6) for name, each in seconds.items()},
    )
    return encoded, specimen


def _language(medium: Medium) -> str:
    if (medium.modality or sniff(medium.content, medium.name)) is not Modality.TEXT:
        return ""
    try:
        return detect_language(decode_text(medium.content, LANGUAGE_CHARACTERS)).code
    except MediumError:
        return ""


def with_nearest(specimen: Specimen, encoded: Encoded, shelf: Shelf, count: int) -> Specimen:
    """The specimen with the items nearest to the mean direction of its modalities."""
    if not encoded.vectors:
        return specimen
    direction = mean_direction(list(encoded.vectors.values()))
    return msgspec.structs.replace(specimen, nearest=shelf.nearest(direction, count))
