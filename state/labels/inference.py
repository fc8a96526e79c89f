"""Labels for the items that have none, from those that have one and from how near items are to each other."""

import warnings
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from state.errors import LearningError
from state.extras import package
from state.labels.material import UNKNOWN, Float32, Float64, Labels

NEIGHBOURS = 10
CLAMPING = 0.8
"""How much of what its neighbours say an item takes over in each turn, its own label included."""
TURNS = 100


class Belief(NamedTuple):
    """Shares [n, labels] that sum to 1 of each item that any label reaches, and are 0 of the others."""

    names: tuple[str, ...]
    shares: Float64

    def likeliest(self) -> tuple[Sequence[str], Float64]:
        """Of each item the label with the largest share, and that share; '' and 0 where none reaches it."""
        if not self.names:
            return [""] * len(self.shares), np.zeros(len(self.shares))
        best = self.shares.argmax(axis=1)
        sure = self.shares[np.arange(len(best)), best]
        return [self.names[place] if share > 0 else "" for place, share in zip(best, sure, strict=True)], sure


def infer(vectors: Float32, labels: Labels) -> Belief:
    """Spread the labels over the graph of nearest neighbours (Zhou et al., Learning with Local and Global
    Consistency, 2003), given unit vectors [n, d], zeros of items that nothing is known of.

    Raises LearningError where no item has a label, or scikit-learn is missing.
    """
    if not labels.names:
        raise LearningError("no item carries a label: give some, or ask which ones would help most")
    shares = np.zeros((len(vectors), len(labels.names)))
    seen = np.flatnonzero(vectors.any(axis=1))
    known = labels.codes[seen] != UNKNOWN
    if known.any():
        shares[seen] = _spread(vectors[seen], labels._replace(codes=labels.codes[seen]))
    given = np.flatnonzero(labels.codes != UNKNOWN)
    shares[given] = 0.0
    shares[given, labels.codes[given]] = 1.0
    return Belief(labels.names, shares)


def _spread(vectors: Float32, labels: Labels) -> Float64:
    lacking = "labels are inferred by scikit-learn: install penchant[learn]"
    module = package("sklearn.semi_supervised", lacking)
    neighbours = min(NEIGHBOURS, len(vectors))
    model = module.LabelSpreading(
        kernel="knn", n_neighbors=neighbours, alpha=CLAMPING, max_iter=TURNS, tol=1e-4
    )
    with warnings.catch_warnings():
        # A few turns more or less change no label, and what no label reaches is divided by zero.
        warnings.simplefilter("ignore")
        model.fit(vectors, labels.codes)
    out = np.zeros((len(vectors), len(labels.names)))
    out[:, model.classes_] = np.nan_to_num(model.label_distributions_)
    return out
