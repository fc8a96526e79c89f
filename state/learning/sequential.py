"""Learners of the sequential models, as training and evaluation call them by name."""

from collections.abc import Callable
from typing import NamedTuple

import msgspec
import torch

from state.errors import LearningError
from state.learning.gru4rec import GruModel, GruShape
from state.learning.interactions import Bool
from state.learning.interest import InterestModel, InterestShape
from state.learning.model import SequenceModel
from state.learning.protocol import Learner, Recommender, Task, Tell
from state.learning.readings import InterestRecommender, SequentialRecommender
from state.learning.sasrec import SasModel, SasShape
from state.learning.trainer import NOTHING, Aside, Outcome, Schedule, Trainer
from state.learning.transfer import Tuned, begin, shape_of, tune

INTEREST, GRU4REC, SASREC = "interest", "gru4rec", "sasrec"
KINDS = (INTEREST, GRU4REC, SASREC)


class Plan(msgspec.Struct, frozen=True):
    """Which model is trained and how. Of the shapes the model's own counts."""

    kind: str = INTEREST
    interest: InterestShape = InterestShape()
    gru4rec: GruShape = GruShape()
    sasrec: SasShape = SasShape()
    schedule: Schedule = Schedule()
    tuned: Tuned = "whole"
    """What a training with a start moves."""


class Trained(NamedTuple):
    model: SequenceModel
    recommender: SequentialRecommender
    outcome: Outcome


def device_of(name: str = "auto") -> torch.device:
    """`auto` is a CUDA device where there is one. Raises LearningError for one that is not there."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise LearningError(f"device {name!r} cannot be used: {error}") from error
    return device


def build(plan: Plan, task: Task, device: torch.device) -> SequenceModel:
    """The model before training; its numbers follow from the task's seed. Raises LearningError for an unknown
    kind, and for a start of another model than the interest model."""
    seen = task.train.counts > 0
    makers: dict[str, Callable[[], SequenceModel]] = {
        INTEREST: lambda: _interest_model(plan, task, seen),
        GRU4REC: lambda: GruModel(plan.gru4rec, seen),
        SASREC: lambda: SasModel(plan.sasrec, seen),
    }
    if plan.kind not in makers:
        raise LearningError(f"unknown model {plan.kind!r}; known are: {', '.join(KINDS)}")
    if task.start is not None and plan.kind != INTEREST:
        raise LearningError(f"only the interest model begins with an artifact, not {plan.kind}")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(task.seed)
        return makers[plan.kind]().to(device)


def _interest_model(plan: Plan, task: Task, seen: Bool) -> InterestModel:
    if task.start is None:
        return InterestModel(plan.interest, seen, task.content)
    model = InterestModel(shape_of(task.start, plan.interest), seen, task.content)
    begin(model, task.start, task.train.item_ids)
    tune(model, plan.tuned)
    return model


def train(plan: Plan, task: Task, tell: Tell, device: torch.device, aside: Aside = NOTHING) -> Trained:
    """Trains from the beginning, or from what the checkpoints keep of the same training."""
    model = build(plan, task, device)
    outcome = Trainer(model, task, plan.schedule, aside).run(tell)
    return Trained(model, recommender(model, task, device), outcome)


def recommender(model: SequenceModel, task: Task, device: torch.device) -> SequentialRecommender:
    if isinstance(model, InterestModel):
        return InterestRecommender(model, task.train, device)
    return SequentialRecommender(model, task.train, device)


ABLATION: dict[str, InterestShape] = {
    "heads-alone": InterestShape(ring=False),
    "ring-alone": InterestShape(heads=False),
    "without-decay": InterestShape(decay=False),
    "without-actions": InterestShape(actions=False),
    "without-content": InterestShape(content=False),
    "without-categories": InterestShape(categories=False),
    "without-ids": InterestShape(ids=False),
}
"""What the model is worth without each of its parts."""


def _learner(plan: Plan, name: str) -> Learner:
    def learn(task: Task, tell: Tell) -> Recommender:
        made = train(plan, task, tell, device_of()).recommender
        made.name = name
        return made

    return learn


interest = _learner(Plan(INTEREST), INTEREST)
gru4rec = _learner(Plan(GRU4REC), GRU4REC)
sasrec = _learner(Plan(SASREC), SASREC)
(
    heads_alone,
    ring_alone,
    without_decay,
    without_actions,
    without_content,
    without_categories,
    without_ids,
) = (_learner(Plan(INTEREST, interest=shape), f"{INTEREST}/{name}") for name, shape in ABLATION.items())
