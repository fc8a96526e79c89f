"""The shared space: one affine map per modality from native vectors (and image classes) to 128 dimensions.

Every kind of alignment is the same arithmetic, `Alignment.align`; only where the maps come from differs:
`builtin_alignment` needs no data, `alignment_fit.fit` learns them from a catalogue in closed form.

What a consumer may count on, for both kinds:
- rows are of unit length, so a dot product is the cosine;
- dimensions are ordered: the first 64 keep most of what the 128 hold (`to_64`);
- the cosine means closeness within a modality, and between text, image and video. The built-in kind gives a
  sound exactly 0 to everything that is not a sound; the fitted kind makes sounds comparable as well.
"""

import msgspec
import numpy as np
import xxhash

from encoders.base import Float32, Modality
from encoders.errors import ArtifactError
from encoders.image.classes import ClassShares

HALF_DIM = 64
TINY = 1e-6


class ModalityMap(msgspec.Struct, frozen=True, eq=False):
    """One modality's way in: unit(x - centre) @ weights + unit(class vector) @ bridge + offset."""

    centre: Float32
    """[d]"""
    weights: Float32
    """[d, SHARED_DIM]"""
    bridge: Float32 | None = None
    """[t, SHARED_DIM], or None for a modality without classes."""
    offset: Float32 | None = None
    """[SHARED_DIM], added where there are classes: the centre of the class vectors, mapped."""


def digest(maps: dict[Modality, ModalityMap], class_vectors: Float32) -> str:
    """16 hexadecimal digits that change with any number of an alignment."""
    found = xxhash.xxh3_64(class_vectors.tobytes())
    for modality in sorted(maps):
        mapping = maps[modality]
        found.update(modality.encode())
        for part in (mapping.centre, mapping.weights, mapping.bridge, mapping.offset):
            found.update(b"-" if part is None else part.tobytes())
    return found.hexdigest()


class Alignment:
    """Maps native vectors of every modality into the shared space.

    Equal `version`s align alike, to rounding. `class_vectors` float32 [1000, t] says what each image class
    means; `encoders` names the encoder version that each map was made for.
    """

    def __init__(
        self,
        version: str,
        maps: dict[Modality, ModalityMap],
        class_vectors: Float32,
        encoders: dict[Modality, str],
    ) -> None:
        self.version = version
        self.maps = maps
        self.class_vectors = class_vectors
        self.encoders = encoders

    @property
    def kind(self) -> str:
        """`builtin` or `fitted`."""
        return self.version.partition("-")[0]

    def check(self, encoders: dict[Modality, str]) -> None:
        """Raises ArtifactError when an encoder is not the one that this alignment was made for."""
        wrong = [
            f"{modality} is {encoders.get(modality)}, the alignment is for {version}"
            for modality, version in self.encoders.items()
            if encoders.get(modality) != version
        ]
        if wrong:
            raise ArtifactError(
                f"the alignment {self.version} is for other encoders ({'; '.join(wrong)}): "
                "fit it again, or leave encoders.alignment empty for the built-in one"
            )

    def align(self, modality: Modality, native: Float32, classes: ClassShares | None = None) -> Float32:
        """Float32 [n, d] to float32 [n, SHARED_DIM] of unit length (a row exactly at the centre gives 0)."""
        mapping = self.maps[modality]
        aligned = unit(native - mapping.centre) @ mapping.weights
        if mapping.bridge is not None and classes is not None:
            aligned = aligned + unit(mean_class_vectors(self.class_vectors, classes)) @ mapping.bridge
            if mapping.offset is not None:
                aligned = aligned + mapping.offset
        return unit(aligned)


def mean_class_vectors(class_vectors: Float32, classes: ClassShares) -> Float32:
    """ConSE (arXiv 1312.5650): the mean vector of the likeliest classes, float32 [n, t].

    Weighted by the square root of each probability, which keeps a confident wrong class from drowning the
    others and measured better than the probability itself.
    """
    weights = np.sqrt(classes.shares)
    mean: Float32 = np.einsum("nk,nkt->nt", weights, class_vectors[classes.ids]).astype(np.float32)
    return mean


def unit(rows: Float32) -> Float32:
    """Rows of float32 [n, d] scaled to length 1; rows of no length stay 0."""
    lengths = np.linalg.norm(rows, axis=-1, keepdims=True)
    scaled: Float32 = (rows / np.maximum(lengths, TINY)).astype(np.float32)
    return scaled


def to_64(vectors: Float32) -> Float32:
    """Float32 [n, SHARED_DIM] to [n, 64] of unit length: the leading dimensions, which carry the most."""
    return unit(vectors[..., :HALF_DIM])
