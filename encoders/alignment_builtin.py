"""The alignment that needs no data: made from the encoders' own class names and class weights.

Shared part (72 dimensions): text vectors, centred on everyday words, in the principal axes of the thousand
ImageNet class names; an image enters it by the names of its likeliest classes (ConSE).
Private parts (28 dimensions each): image features in the principal axes of the image classifier's weights,
sound features in those of the sound classifier's. They keep neighbours of one modality apart that the class
names cannot tell from each other, and give 0 across modalities instead of noise.

The leading axes of each part come first, so that the first 64 dimensions are a smaller copy of the whole
(`alignment.to_64`).
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import xxhash
from numpy.typing import NDArray

from encoders.alignment import Alignment, ModalityMap, unit
from encoders.base import SHARED_DIM, Float32, Modality
from encoders.image.classes import class_names

REVISION = 1
"""Raise it with any change to how the maps are made."""
SHARED, PRIVATE = 72, 28
LEADING = (36, 18, 10)
"""Dimensions of the shared, the image and the sound part that lie among the first 64."""
PRIVATE_GAIN = 4.0
"""Of an image's private part beside its shared part. More finds likelier neighbours among images and fewer
images by text; measured in docs/decisions/0002-alignment.md."""
SENTENCES = ("{}", "A {}.", "I like the {}.")
SENTENCE_STEP = 8
"""Every so many class names stand in the sentences that the text centre is the mean of."""


class TextEncoder(Protocol):
    """What is needed of the text encoder."""

    def encode(self, batch: Sequence[str]) -> Float32: ...


def builtin_alignment(
    text: TextEncoder,
    image_weights: Float32,
    audio_weights: Float32,
    encoders: dict[Modality, str],
    video_weights: Float32 | None = None,
) -> Alignment:
    """Alignment without fitting.

    `image_weights` float32 [classes, image dim] and `audio_weights` float32 [units, audio dim] are the rows
    of the encoders' own classifiers; `encoders` names the encoder version of each modality. Videos have
    `video_weights` float32 [units, video dim] where their encoder is not that of their frames.
    """
    names = [name.partition(" (")[0] for name in class_names()]
    vectors = text.encode(names)
    classes = unit(vectors - vectors.mean(axis=0))
    axes = principal_axes(classes, SHARED)
    sentences = [form.format(name) for name in names[::SENTENCE_STEP] for form in SENTENCES]
    shared, _, audio = part_columns()
    pixels = _pixel_map(image_weights, axes)
    maps = {
        Modality.TEXT: ModalityMap(text.encode(sentences).mean(axis=0), _placed(axes, shared)),
        Modality.IMAGE: pixels,
        Modality.VIDEO: pixels if video_weights is None else _pixel_map(video_weights, axes),
        Modality.AUDIO: ModalityMap(
            np.zeros(audio_weights.shape[1], np.float32),
            _placed(_private_axes(audio_weights), audio),
        ),
    }
    return Alignment(f"builtin-{_digest(encoders)}", maps, classes, encoders)


def _pixel_map(weights: Float32, axes: Float32) -> ModalityMap:
    """Of an encoder of pictures with the rows of its classifier; `axes` are the text's."""
    shared, image, _ = part_columns()
    private = _placed(_private_axes(weights) * PRIVATE_GAIN, image)
    return ModalityMap(np.zeros(weights.shape[1], np.float32), private, _placed(axes, shared))


def _digest(encoders: dict[Modality, str]) -> str:
    """Of what the maps are made from, not of their numbers, which two machines round differently."""
    return xxhash.xxh3_64_hexdigest(f"{REVISION} {sorted(encoders.items())}".encode())


def principal_axes(rows: Float32, count: int) -> Float32:
    """Float32 [d, count]: the leading principal axes of float32 [n, d], each with its largest entry positive.

    The sign is fixed because linear algebra libraries differ in it, and vectors of two machines must agree.
    """
    centred = (rows - rows.mean(axis=0)).astype(np.float64)
    _, axes = np.linalg.eigh(centred.T @ centred)
    leading = axes[:, ::-1][:, :count]
    largest = np.abs(leading).argmax(axis=0)
    signs = np.sign(leading[largest, np.arange(leading.shape[1])])
    turned: Float32 = (leading * signs).astype(np.float32)
    return turned


def _private_axes(weights: Float32) -> Float32:
    """Float32 [d, PRIVATE]: what the classifier looks at. No axis sees the mean over the d features: they are
    all at least 0, so that any two vectors share it."""
    return principal_axes(weights - weights.mean(axis=1, keepdims=True), PRIVATE)


def part_columns() -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Columns of the shared, the image and the sound part, each in order of its axes."""
    half = SHARED_DIM // 2
    trailing = np.subtract((SHARED, PRIVATE, PRIVATE), LEADING)
    front = np.split(np.arange(half), np.cumsum(LEADING)[:2])
    back = np.split(np.arange(half, SHARED_DIM), np.cumsum(trailing)[:2])
    shared, image, sound = (np.concatenate(pair) for pair in zip(front, back, strict=True))
    return shared, image, sound


def _placed(weights: Float32, columns: NDArray[np.int64]) -> Float32:
    """Float32 [d, k] into the first k of the given columns of zeros [d, SHARED_DIM]."""
    placed = np.zeros((len(weights), SHARED_DIM), np.float32)
    placed[:, columns[: weights.shape[1]]] = weights
    return placed
