"""Settings chosen on validation, the same way for every model that has any."""

from collections.abc import Iterable
from typing import TypeVar

import numpy as np

from state.learning.metrics import per_event
from state.learning.protocol import Recommender, Targets, Task, Tell
from state.learning.ranks import RankingOptions, rank

JUDGES = 5_000
"""Validation events that a choice is made on, evenly taken."""

Model = TypeVar("Model", bound=Recommender)


def sampled(targets: Targets, count: int = JUDGES) -> Targets:
    if len(targets) <= count:
        return targets
    return targets.part(np.linspace(0, len(targets) - 1, count).astype(np.int64))


def judged(model: Recommender, task: Task) -> float:
    """NDCG@10 on validation."""
    ranking = rank(model, sampled(task.validation), RankingOptions())
    return float(per_event(ranking, (10,))["ndcg@10"].mean())


def best_of(models: Iterable[tuple[str, Model]], count: int, task: Task, tell: Tell) -> tuple[str, Model]:
    """The first of those with the highest NDCG@10 on validation, with its name; the others are let go."""
    best: tuple[float, str, Model] | None = None
    for done, (name, model) in enumerate(models, 1):
        value = judged(model, task)
        if best is None or value > best[0]:
            best = (value, name, model)
        tell(done / count)
    if best is None:
        raise ValueError("nothing to choose from")
    return best[1], best[2]
