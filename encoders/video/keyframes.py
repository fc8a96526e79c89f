"""Videos as the mean of their key frames, seen by the image encoder."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from encoders.base import Float32, Modality
from encoders.image.classes import CLASSES, ClassShares, top_shares

Frames = NDArray[np.uint8]


class FrameEncoder(Protocol):
    """What is needed of the image encoder."""

    @property
    def version(self) -> str: ...

    @property
    def dim(self) -> int: ...

    def encode_with_probabilities(self, batch: Sequence[Frames]) -> tuple[Float32, Float32]: ...


class KeyFrames:
    """Key frames uint8 [k, h, w, 3] RGB, k at least 1, to float32 [n, dim of the image encoder]."""

    name = "key-frames"
    modality = Modality.VIDEO

    def __init__(self, image: FrameEncoder) -> None:
        self._image = image
        self.dim = image.dim
        self.version = f"{self.name}-1({image.version})"

    def encode(self, batch: Sequence[Frames]) -> Float32:
        """Float32 [n, dim], the mean of each video's frames."""
        return self.encode_with_classes(batch)[0]

    def encode_with_classes(self, batch: Sequence[Frames]) -> tuple[Float32, ClassShares]:
        """Features float32 [n, dim], and the likeliest classes by the mean probability over the frames."""
        if not batch:
            return np.empty((0, self.dim), np.float32), top_shares(np.empty((0, CLASSES), np.float32))
        features, probabilities = self._image.encode_with_probabilities(
            [frame for video in batch for frame in video]
        )
        ends = np.cumsum([len(video) for video in batch])[:-1]
        return _means(features, ends), top_shares(_means(probabilities, ends))


def _means(rows: Float32, ends: NDArray[np.int64]) -> Float32:
    return np.stack([part.mean(axis=0) for part in np.split(rows, ends)])
