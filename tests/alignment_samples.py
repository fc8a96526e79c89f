"""A small world of known topics, seen through made-up encoders of every modality."""

from collections.abc import Sequence
from hashlib import blake2b
from typing import NamedTuple

import numpy as np

from encoders.alignment import Alignment
from encoders.alignment_builtin import builtin_alignment
from encoders.alignment_fit import FitItem
from encoders.base import Float32, Modality
from encoders.image.classes import CLASSES, ClassShares, top_shares
from encoders.native import NativeBatch, NativeVector, split

TEXT_DIM, IMAGE_DIM, AUDIO_DIM, TOPICS = 96, 120, 72, 24
VERSIONS = {modality: f"made-up-{modality}-1" for modality in Modality}


class HashedWords:
    """The mean of one fixed random vector per word."""

    dim = TEXT_DIM

    def encode(self, batch: Sequence[str]) -> Float32:
        rows = [np.mean([_word(word) for word in text.split()], axis=0) for text in batch]
        return np.asarray(rows, np.float32)


def _word(word: str) -> Float32:
    seed = int.from_bytes(blake2b(word.lower().strip(".").encode(), digest_size=8).digest(), "big")
    return np.random.default_rng(seed).standard_normal(TEXT_DIM).astype(np.float32)


class World(NamedTuple):
    """Native vectors of n items, drawn from the same topics in every modality."""

    text: Float32
    image: Float32
    classes: ClassShares
    audio: Float32


def world(items: int, seed: int) -> World:
    """What each topic looks like is fixed; which item has which topics is drawn by the seed."""
    looks = np.random.default_rng(99)
    to_text, to_image, to_audio, to_classes = (
        looks.standard_normal((TOPICS, dim)) for dim in (TEXT_DIM, IMAGE_DIM, AUDIO_DIM, CLASSES)
    )
    draw = np.random.default_rng(seed)
    topics = draw.standard_normal((items, TOPICS)) * np.linspace(1.5, 0.4, TOPICS)
    noise = [draw.standard_normal((items, dim)) for dim in (TEXT_DIM, IMAGE_DIM, AUDIO_DIM)]
    logits = topics @ to_classes
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    return World(
        (topics @ to_text + noise[0] + 3.0).astype(np.float32),
        np.maximum(topics @ to_image + noise[1], 0).astype(np.float32),
        top_shares((shares / shares.sum(axis=1, keepdims=True)).astype(np.float32)),
        np.maximum(topics @ to_audio + noise[2], 0).astype(np.float32),
    )


def builtin() -> Alignment:
    """The built-in alignment of the made-up encoders."""
    random = np.random.default_rng(7)
    image = random.standard_normal((CLASSES, IMAGE_DIM)).astype(np.float32)
    audio = random.standard_normal((200, AUDIO_DIM)).astype(np.float32)
    return builtin_alignment(HashedWords(), image, audio, VERSIONS)


def fit_items(given: World, sounds: int) -> list[FitItem]:
    """Items with a text and an image each, the first of them with a sound as well."""
    texts = _records(NativeBatch(given.text))
    images = _records(NativeBatch(given.image, given.classes))
    audio = _records(NativeBatch(given.audio))
    return [
        {Modality.TEXT: [text], Modality.IMAGE: [image], Modality.AUDIO: [audio[row]] if row < sounds else []}
        for row, (text, image) in enumerate(zip(texts, images, strict=True))
    ]


def _records(batch: NativeBatch) -> list[NativeVector]:
    records = split(batch)
    kept = [one for one in records if isinstance(one, NativeVector)]
    assert len(kept) == len(records)
    return kept


def recall_at_1(queries: Float32, documents: Float32) -> float:
    """Share of rows whose best document by cosine is the one of the same row."""
    return float(((queries @ documents.T).argmax(axis=1) == np.arange(len(queries))).mean())
