"""Videos as the mean of their key frames, seen by the image encoder."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from encoders.base import Encoder, Float32, Modality
from encoders.classifying import ClassifyingEncoder
from encoders.image.classes import CLASSES, ClassShares, top_shares

Frames = NDArray[np.uint8]


class KeyFrames:
    """Key frames uint8 [k, h, w, 3] RGB, k at least 1, to float32 [n, dim of the image encoder]."""

    name = "key-frames"
    modality = Modality.VIDEO

    def __init__(self, image: Encoder[Frames]) -> None:
        self._image = image
        self.dim = image.dim
        self.version = f"{self.name}-1({image.version})"

    def encode(self, batch: Sequence[Frames]) -> Float32:
        """Float32 [n, dim], the mean of each video's frames."""
        return self.encode_with_classes(batch)[0]

    def encode_with_classes(self, batch: Sequence[Frames]) -> tuple[Float32, ClassShares | None]:
        """Features float32 [n, dim], and the likeliest classes by the mean probability over the frames, or
        None where the image encoder knows no classes."""
        frames = [frame for video in batch for frame in video]
        ends = np.cumsum([len(video) for video in batch])[:-1]
        if not isinstance(self._image, ClassifyingEncoder):
            return _means(self._image.encode(frames), ends, len(batch)), None
        features, probabilities = self._image.encode_with_probabilities(frames)
        probable = _means(probabilities.reshape(len(frames), CLASSES), ends, len(batch))
        return _means(features, ends, len(batch)), top_shares(probable)


def _means(rows: Float32, ends: NDArray[np.int64], videos: int) -> Float32:
    if not videos:
        return rows
    return np.stack([part.mean(axis=0) for part in np.split(rows, ends)])
