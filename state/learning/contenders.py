"""The models that can be learnt and measured, by name; each is imported when it is asked for."""

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from state.artifact import MANIFEST, load_artifact
from state.errors import LearningError
from state.fusions import FUSIONS
from state.learning.protocol import Learner, Recommender, Task, Tell

PACKAGE = "state.learning"
ABLATION = (
    "heads-alone",
    "ring-alone",
    "without-decay",
    "without-actions",
    "without-content",
    "without-categories",
    "without-ids",
)
"""What `state.learning.sequential` knows to leave out of the interest model."""


class Contender(NamedTuple):
    """Where its learner is, and what it depends on."""

    learner: str
    """Module of `state.learning` and function."""
    drawn: bool = False
    """Whether anything random enters, so that several seeds say more than one."""
    by_content: bool = False
    """Whether it knows items by their content: it can rank items that nobody took, and suffers where
    modalities are missing."""


CONTENDERS: dict[str, Contender] = {
    "random": Contender("baselines.counting:random", drawn=True),
    "popularity": Contender("baselines.counting:popularity"),
    "recent-popularity": Contender("baselines.counting:recent_popularity"),
    "recency-mean": Contender("baselines.nearest:recency_mean", by_content=True),
    "item-knn": Contender("baselines.nearest:item_knn"),
    "following": Contender("baselines.following:following"),
    "als": Contender("baselines.factors:als", drawn=True),
    "bpr": Contender("baselines.factors:bpr", drawn=True),
    "content-prior": Contender("baselines.priors:prior", by_content=True),
    **{
        f"content-prior/{kind}": Contender(f"baselines.priors:{kind.replace('-', '_')}", by_content=True)
        for kind in sorted(FUSIONS)
        if kind != "gated"
    },
    "gru4rec": Contender("sequential:gru4rec", drawn=True),
    "sasrec": Contender("sequential:sasrec", drawn=True),
    "interest": Contender("sequential:interest", drawn=True, by_content=True),
    **{
        f"interest/{part}": Contender(f"sequential:{part.replace('-', '_')}", drawn=True, by_content=True)
        for part in ABLATION
    },
}
"""Models by name. `content-prior` fuses an item's modalities by gates; with /KIND by another fusion.
`interest` is the model that serves once it is trained; with /PART it goes without a part of it."""

QUICK = ("random", "popularity", "recent-popularity", "recency-mean", "item-knn", "content-prior")
"""What is measured where nothing is named: no library and minutes are needed for these."""


def contender(name: str, known: Mapping[str, Contender] = CONTENDERS) -> tuple[Contender, Learner]:
    """A model by its name, or the artifact in a folder. Raises LearningError for what is neither."""
    if name in known:
        module, _, function = known[name].learner.partition(":")
        learner: Learner = getattr(importlib.import_module(f"{PACKAGE}.{module}"), function)
        return known[name], learner
    if (Path(name) / MANIFEST).exists():
        return Contender("", by_content=True), _artifact_learner(name)
    raise LearningError(
        f"{name!r} is neither a model nor a folder with {MANIFEST}; models are: {', '.join(known)}"
    )


def _artifact_learner(folder: str) -> Learner:
    def learn(task: Task, tell: Tell) -> Recommender:
        from state.learning.baselines.priors import served

        return served(Path(folder).name, load_artifact(folder), task)

    return learn
