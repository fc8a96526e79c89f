"""Bags of visual words: which local patterns a picture has, by SIFT or SURF."""

from collections.abc import Sequence
from functools import cache
from typing import Any

import cv2
import numpy as np
import xxhash
from numpy.typing import NDArray

from encoders.base import Float32, Modality
from encoders.errors import ArtifactError
from encoders.image.drawings import drawings

Image = NDArray[np.uint8]

WORDS = 256
SIDE = 128
"""Longest side that descriptors are taken at."""
STEP = 10
"""Pixels between descriptors: they lie on a grid, since corners alone leave plain pictures without any."""
SIZES = (4.0, 8.0)
"""Sizes of the keypoints: SIFT describes a patch six times as wide, a fifth and two fifths of the picture."""
DRAWINGS = 24
ROUNDS = 12
"""Steps of k-means; the last ones move hardly anything."""


class Descriptors:
    """Local descriptors of one kind, `sift` or `surf`. Raises ArtifactError for what this OpenCV lacks."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._extractor = _extractor(kind)
        self.dim = int(self._extractor.descriptorSize())

    def of(self, image: Image) -> Float32:
        """Of an image uint8 [h, w, 3] RGB, float32 [k, dim], of unit length; none where it is flat.

        Roots of the descriptor's shares (Arandjelović and Zisserman, "Three things everyone should know to
        improve object retrieval", CVPR 2012), signs kept.
        """
        grey = _small_grey(image)
        height, width = grey.shape
        points = [
            cv2.KeyPoint(float(across), float(down), size)
            for size in SIZES
            for down in _places(height)
            for across in _places(width)
        ]
        _, found = self._extractor.compute(grey, points)
        if found is None or not len(found):
            return np.empty((0, self.dim), np.float32)
        found = found[np.abs(found).sum(axis=1) > 0]
        shares = np.abs(found) / np.abs(found).sum(axis=1, keepdims=True)
        return np.asarray(np.sqrt(shares) * np.sign(found), np.float32)


class VisualWords:
    """Images uint8 [h, w, 3] RGB to float32 [n, words]: roots of the words' shares, a flat picture to 0.

    Csurka and others, "Visual categorization with bags of keypoints", 2004. Without words of a catalogue the
    words are patterns of made drawings.
    """

    modality = Modality.IMAGE

    def __init__(self, kind: str, words: Float32 | None = None) -> None:
        self.name = kind
        self._descriptors = Descriptors(kind)
        if words is None:
            self.version = f"{kind}-1-drawn"
            self._words = _drawn_words(kind)
        else:
            self.version = f"{kind}-1-{xxhash.xxh3_64_hexdigest(words.tobytes())}"
            self._words = words
        if self._words.ndim != 2 or self._words.shape[1] != self._descriptors.dim:
            raise ArtifactError(f"the visual words for {kind} have another length: fit them again")
        self.dim = len(self._words)

    def encode(self, batch: Sequence[Image]) -> Float32:
        """Float32 [n, words], all at least 0, of unit length or 0."""
        rows = np.zeros((len(batch), self.dim), np.float32)
        for row, image in enumerate(batch):
            found = self._descriptors.of(image)
            if len(found):
                counts = np.bincount(nearest(found, self._words), minlength=self.dim)
                rows[row] = np.sqrt(counts / len(found))
        return rows


def fitted_words(descriptors: Float32, count: int = WORDS) -> Float32:
    """The words of a sample of descriptors, float32 [n, d], by k-means: float32 [at most count, d]."""
    random = np.random.default_rng(0)
    words = descriptors[np.sort(random.permutation(len(descriptors))[:count])]
    for _ in range(ROUNDS):
        places = nearest(descriptors, words)
        order = np.argsort(places, kind="stable")
        starts = np.searchsorted(places[order], np.arange(len(words)))
        counts = np.bincount(places, minlength=len(words))
        filled = counts > 0
        sums = np.add.reduceat(descriptors[order], starts[filled], axis=0)
        words[filled] = sums / counts[filled, None]
    return words


def nearest(rows: Float32, words: Float32) -> NDArray[np.int64]:
    """Index of the nearest word of each row, by Euclidean distance."""
    closeness = rows @ words.T - 0.5 * (words * words).sum(axis=1)
    return np.asarray(closeness.argmax(axis=1), np.int64)


def _places(length: int) -> range:
    """Places along a side: the middle at least, however short it is."""
    return range(min(STEP, length) // 2, length, STEP)


@cache
def _drawn_words(kind: str) -> Float32:
    """Patterns drawn by chance: as words they served as well as the centres of clusters."""
    descriptors = Descriptors(kind)
    sample = np.concatenate([descriptors.of(image) for image in drawings(DRAWINGS)])
    chosen = np.random.default_rng(2).permutation(len(sample))[:WORDS]
    return sample[np.sort(chosen)]


def _small_grey(image: Image) -> Image:
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    scale = SIDE / max(grey.shape)
    size = (max(1, round(grey.shape[1] * scale)), max(1, round(grey.shape[0] * scale)))
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(grey, size, interpolation=interpolation), np.uint8)


def _extractor(kind: str) -> Any:
    module: Any = cv2 if kind == "sift" else getattr(cv2, "xfeatures2d", None)
    create = getattr(module, f"{kind.upper()}_create", None)
    if create is None:
        raise _lacking(kind)
    try:
        return create()
    except cv2.error as error:
        # Builds without the non-free module have the name and refuse the call.
        raise _lacking(kind) from error


def _lacking(kind: str) -> ArtifactError:
    return ArtifactError(
        f"encoders.image is '{kind}', which this build of OpenCV does not have: choose another one, or "
        "install an OpenCV that was built with its contributed and non-free modules"
    )
