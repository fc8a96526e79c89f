"""Texts longer than a model reads, seen in windows whose vectors are pooled."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np

from encoders.base import Encoder, Float32, Modality
from encoders.media.windows import pooled, text_windows

AT_ONCE = 64
"""Windows in one call of the encoder, whatever the batch: it bounds the memory that long texts take."""


@runtime_checkable
class ReadsSoMuch(Protocol):
    """A text encoder that leaves out what lies beyond so many characters."""

    @property
    def window_characters(self) -> int: ...


@runtime_checkable
class ReadsTokens(ReadsSoMuch, Protocol):
    """One that counts tokens, of which a sign of a dense script takes as many as so many letters do."""

    @property
    def letters_a_sign(self) -> int: ...


class Windowed:
    """An encoder of texts that sees the whole of each, in at most `most` windows spread over it."""

    modality = Modality.TEXT

    def __init__(self, encoder: Encoder[str], size: int, most: int, letters: int = 1) -> None:
        self._encoder = encoder
        self._size = size
        self._most = most
        self._letters = letters
        self.name = encoder.name
        self.dim = encoder.dim
        self.version = f"{encoder.version}-windows-{size}x{most}"
        if letters > 1:
            self.version += f"-by-{letters}"

    def encode(self, batch: Sequence[str]) -> Float32:
        """Float32 [n, dim]: as by the encoder for texts of one window, else the windows' mean, as long."""
        windows = [text_windows(text, self._size, self._most, self._letters) for text in batch]
        flat = [window for each in windows for window in each]
        if len(flat) == len(batch):
            return self._encoder.encode(flat)
        parts = [flat[start : start + AT_ONCE] for start in range(0, len(flat), AT_ONCE)]
        vectors = np.concatenate([self._encoder.encode(part) for part in parts])
        ends = np.cumsum([len(each) for each in windows])[:-1]
        return np.stack([pooled(part) for part in np.split(vectors, ends)])


def windowed(encoder: Encoder[str], most: int) -> Encoder[str]:
    """The encoder, seeing long texts in windows where it does not read them whole."""
    if isinstance(encoder, ReadsSoMuch) and most > 1:
        letters = encoder.letters_a_sign if isinstance(encoder, ReadsTokens) else 1
        return Windowed(encoder, encoder.window_characters, most, letters)
    return encoder
