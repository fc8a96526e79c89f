"""Learns from a catalogue what the classic encoders ask of one: document frequency, axes, visual words."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from encoders.base import Float32
from encoders.classics_artifact import Classics
from encoders.errors import ArtifactError
from encoders.image.visual_words import Descriptors, fitted_words
from encoders.media.decoded import Decoded
from encoders.text.document_vectors import document_axes
from encoders.text.terms import DIM
from encoders.text.tf_idf import DocumentFrequency, TfIdf

KINDS = ("sift", "surf")
MOST_TEXTS = 10_000
"""Texts that the axes are found from; the frequency counts all."""
MOST_IMAGES, PER_IMAGE = 700, 60
"""Images that visual words are found from, and descriptors of each."""

ItemT = TypeVar("ItemT")


class Reservoir(Generic[ItemT]):
    """A sample of bounded size of a stream, each item in it as likely as any (Vitter, 1985)."""

    def __init__(self, size: int) -> None:
        self.items: list[ItemT] = []
        self._size = size
        self._seen = 0
        self._random = np.random.default_rng(0)

    def add(self, make: Callable[[], ItemT]) -> None:
        """Takes the next item, which is made only where it comes into the sample."""
        self._seen += 1
        if len(self.items) < self._size:
            self.items.append(make())
            return
        place = int(self._random.integers(0, self._seen))
        if place < self._size:
            self.items[place] = make()


class ClassicsFit:
    """Takes a catalogue medium by medium, in memory that does not grow with it.

    Equal media in equal order give equal numbers.
    """

    def __init__(self) -> None:
        self._frequency = DocumentFrequency()
        self._texts: Reservoir[str] = Reservoir(MOST_TEXTS)
        kinds = {kind: _descriptors(kind) for kind in KINDS}
        self._descriptors = {kind: found for kind, found in kinds.items() if found is not None}
        self._samples: dict[str, Reservoir[Float32]] = {
            kind: Reservoir(MOST_IMAGES) for kind in self._descriptors
        }
        self._random = np.random.default_rng(0)

    def add(self, media: Iterable[Decoded]) -> None:
        """Learns from decoded media: texts, images, and the first key frame of videos."""
        for medium in media:
            if medium.text is not None:
                self._frequency.add([medium.text])
                self._texts.add(partial(str, medium.text))
            if medium.image is not None:
                self._add_image(medium.image)
            if medium.frames is not None:
                self._add_image(medium.frames[0])

    def finished(self) -> Classics:
        """What was learned so far. Raises ArtifactError where there was neither text nor picture."""
        samples = {
            kind: np.concatenate(sample.items) for kind, sample in self._samples.items() if sample.items
        }
        words = {kind: fitted_words(sample) for kind, sample in samples.items() if len(sample)}
        if not self._frequency.documents and not words:
            raise ArtifactError("the items have neither texts nor pictures to learn from")
        return Classics(self._frequency, self._axes(), words)

    def _axes(self) -> Float32:
        if not self._frequency.documents:
            return np.empty((DIM, 0), np.float32)
        return document_axes(TfIdf(self._frequency).encode(self._texts.items))

    def _add_image(self, image: NDArray[np.uint8]) -> None:
        for kind, sample in self._samples.items():
            sample.add(partial(self._some, self._descriptors[kind], image))

    def _some(self, descriptors: Descriptors, image: NDArray[np.uint8]) -> Float32:
        found = descriptors.of(image)
        return found[self._random.permutation(len(found))[:PER_IMAGE]]


def _descriptors(kind: str) -> Descriptors | None:
    try:
        return Descriptors(kind)
    except ArtifactError:
        # A build of OpenCV without it can neither learn its words nor use them.
        return None
