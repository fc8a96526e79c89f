"""Like or dislike: how well a model tells which of the two the user will say of an item.

A model with a `likes` method is asked for probabilities. Of any other the score of the item is made one by a
logistic curve (Platt 1999), fitted to validation.
"""

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from state.events import ACTIONS, Action
from state.extras import package
from state.learning.interactions import Bool, Float32, Int32
from state.learning.protocol import Histories, Targets

Float64 = NDArray[np.float64]

BINS = 10
"""Of the calibration: probabilities by tenths."""
FEWEST = 10
"""Events of each verdict below which nothing is told."""

_LIKES = np.array([action in (Action.LIKE, Action.SAVE, Action.SHARE, Action.PURCHASE) for action in ACTIONS])
_DISLIKES = np.array([action in (Action.DISLIKE, Action.UNLIKE, Action.SKIP) for action in ACTIONS])


@runtime_checkable
class Judge(Protocol):
    """A model that tells how likely a user is to like an item."""

    def likes(self, histories: Histories, items: Int32) -> Float32:
        """Probability for each history and its item, float32 [n]."""
        ...


@dataclass(frozen=True)
class Bin:
    """Events whose probability lies in one tenth: their number, mean probability and part that was liked."""

    count: int
    told: float
    found: float


@dataclass(frozen=True)
class Verdicts:
    """What came of n events with a verdict. `figures`: accuracy, precision, recall and f1 of likes at a
    probability of a half, roc_auc, log_loss, brier, ece (expected calibration error, Guo et al. 2017) and
    `liked`, the part of likes."""

    figures: dict[str, float]
    report: str
    """Of scikit-learn, by class."""
    calibration: tuple[Bin, ...]


def judged(targets: Targets) -> Bool:
    """Which targets carry a verdict: a like, save, share or purchase, or a dislike, unlike or skip."""
    actions = targets.source.action[targets.positions]
    return np.asarray(_LIKES[actions] | _DISLIKES[actions])


def liked(targets: Targets) -> Bool:
    return np.asarray(_LIKES[targets.source.action[targets.positions]])


def enough(targets: Targets) -> bool:
    """Whether both verdicts are given often enough to measure on."""
    with_verdict = targets.part(judged(targets))
    likes = int(liked(with_verdict).sum())
    return min(likes, len(with_verdict) - likes) >= FEWEST


def from_scores(validation: tuple[Float32, Bool], scores: Float32) -> Float64:
    """Probabilities of scores [n], by a logistic curve through the scores and verdicts of validation."""
    learn = _sklearn("linear_model").LogisticRegression()
    told, verdicts = validation
    finite = told[np.isfinite(told)]
    if not len(finite) or verdicts.all() or not verdicts.any():
        return np.full(len(scores), verdicts.mean() if len(verdicts) else 0.5)
    low, spread = float(finite.min()), float(finite.std()) or 1.0

    def scaled(values: Float32) -> Float64:
        return np.asarray(np.where(np.isfinite(values), values, low), np.float64)[:, None] / spread

    learn.fit(scaled(told), verdicts)
    return np.asarray(learn.predict_proba(scaled(scores))[:, 1], np.float64)


def verdicts(probabilities: Float64, likes: Bool) -> Verdicts:
    """Of probabilities [n] against what was said. Raises LearningError where scikit-learn is missing."""
    metrics = _sklearn("metrics")
    told = np.clip(probabilities, 1e-6, 1 - 1e-6)
    says = told >= 0.5
    bins = calibration(told, likes)
    figures = {
        "liked": float(likes.mean()),
        "accuracy": float(metrics.accuracy_score(likes, says)),
        "precision": float(metrics.precision_score(likes, says, zero_division=0)),
        "recall": float(metrics.recall_score(likes, says, zero_division=0)),
        "f1": float(metrics.f1_score(likes, says, zero_division=0)),
        "roc_auc": float(metrics.roc_auc_score(likes, told)),
        "log_loss": float(metrics.log_loss(likes, told)),
        "brier": float(metrics.brier_score_loss(likes, told)),
        "ece": sum(one.count * abs(one.told - one.found) for one in bins) / len(told),
    }
    names = ["dislike", "like"]
    report = str(metrics.classification_report(likes, says, target_names=names, digits=3, zero_division=0))
    return Verdicts(figures, report, bins)


def calibration(told: Float64, likes: Bool) -> tuple[Bin, ...]:
    """The tenths that hold any event."""
    place = np.minimum((told * BINS).astype(np.int64), BINS - 1)
    bins = []
    for number in range(BINS):
        inside = place == number
        if inside.any():
            bins.append(Bin(int(inside.sum()), float(told[inside].mean()), float(likes[inside].mean())))
    return tuple(bins)


def _sklearn(module: str) -> Any:
    lacking = "verdicts are measured by scikit-learn: install penchant[learn]"
    return package(f"sklearn.{module}", lacking)
