"""Search for the numbers that a model is shaped and trained by, the same number of trials for every model."""

import warnings
from collections.abc import Callable
from typing import Any, Protocol

import msgspec
import torch

from state.errors import Diverged, LearningError
from state.extras import package
from state.learning.protocol import Task, Tell
from state.learning.sequential import GRU4REC, INTEREST, SASREC, Plan, Trained, train


class Trial(Protocol):
    """What is asked of an Optuna trial."""

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float: ...
    def suggest_categorical(self, name: str, choices: tuple[int, ...]) -> Any: ...


class Tried(msgspec.Struct, frozen=True):
    """One trial: what was drawn, and the validation NDCG@10 that it came to."""

    drawn: dict[str, float]
    found: float


class Searched(msgspec.Struct):
    plan: Plan
    """The best."""
    tried: list[Tried]


def search(plan: Plan, task: Task, trials: int, tell: Tell, device: torch.device) -> tuple[Searched, Trained]:
    """Trains `trials` times, by the tree-structured Parzen estimator (Optuna), and keeps the best. The first
    trial is the plan as it is given, so that nothing worse is kept; all draws follow from the task's seed.
    Raises LearningError where Optuna is missing, and where all diverge."""
    optuna = package("optuna", 'a search needs Optuna: install "penchant[learn]"')
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        direction="maximize", sampler=optuna.samplers.TPESampler(seed=task.seed, n_startup_trials=5)
    )
    study.enqueue_trial(_given(plan))
    tried: list[Tried] = []
    best: tuple[Plan, Trained] | None = None
    for number in range(trials):
        trial = study.ask()
        with warnings.catch_warnings():
            # The first trial's own numbers may lie beyond those that are drawn.
            warnings.simplefilter("ignore")
            drawn = _DRAWS[plan.kind](plan, trial)
        made = _tried(drawn, task, _part(tell, number, trials), device)
        found = 0.0 if made is None else made.outcome.course.best
        study.tell(trial, found)
        tried.append(Tried({name: float(value) for name, value in trial.params.items()}, found))
        if made is not None and (best is None or found > best[1].outcome.course.best):
            best = drawn, made
    if best is None:
        raise LearningError(f"none of {trials} trials came to anything: the loss was never finite")
    return Searched(best[0], tried), best[1]


def _tried(plan: Plan, task: Task, tell: Tell, device: torch.device) -> Trained | None:
    """None where it diverged, which is no reason to lose the trials before it."""
    try:
        return train(plan, task, tell, device)
    except Diverged:
        tell(1.0)
        return None


def _part(tell: Tell, number: int, trials: int) -> Tell:
    return lambda done: tell((number + done) / trials)


def _given(plan: Plan) -> dict[str, float]:
    """The plan's own numbers, by the names that are drawn."""
    optimiser = plan.schedule.optimiser
    own: dict[str, float] = {"rate": optimiser.rate, "decay": optimiser.decay}
    if plan.kind == INTEREST:
        shape = plan.interest
        dropped = {"dropout": shape.dropout, "event_dropout": shape.event_dropout}
        return own | dropped | {"hidden": shape.readout_hidden}
    if plan.kind == GRU4REC:
        return own | {"dropout": plan.gru4rec.dropout, "hidden": plan.gru4rec.hidden}
    attention = plan.sasrec
    return own | {"dropout": attention.dropout, "hidden": attention.hidden, "heads": attention.heads}


def _schedule(plan: Plan, trial: Trial) -> Plan:
    """What all models have in common."""
    schedule = plan.schedule
    optimiser = msgspec.structs.replace(
        schedule.optimiser,
        rate=trial.suggest_float("rate", 5e-4, 5e-3, log=True),
        decay=trial.suggest_float("decay", 1e-3, 0.3, log=True),
    )
    return msgspec.structs.replace(plan, schedule=msgspec.structs.replace(schedule, optimiser=optimiser))


def _interest(plan: Plan, trial: Trial) -> Plan:
    shape = msgspec.structs.replace(
        plan.interest,
        dropout=trial.suggest_float("dropout", 0.0, 0.5),
        event_dropout=trial.suggest_float("event_dropout", 0.0, 0.5),
        readout_hidden=trial.suggest_categorical("hidden", (128, 256)),
    )
    return msgspec.structs.replace(_schedule(plan, trial), interest=shape)


def _gru4rec(plan: Plan, trial: Trial) -> Plan:
    shape = msgspec.structs.replace(
        plan.gru4rec,
        dropout=trial.suggest_float("dropout", 0.0, 0.5),
        hidden=trial.suggest_categorical("hidden", (64, 128, 256)),
    )
    return msgspec.structs.replace(_schedule(plan, trial), gru4rec=shape)


def _sasrec(plan: Plan, trial: Trial) -> Plan:
    shape = msgspec.structs.replace(
        plan.sasrec,
        dropout=trial.suggest_float("dropout", 0.0, 0.5),
        hidden=trial.suggest_categorical("hidden", (128, 256)),
        heads=trial.suggest_categorical("heads", (1, 2)),
    )
    return msgspec.structs.replace(_schedule(plan, trial), sasrec=shape)


_DRAWS: dict[str, Callable[[Plan, Trial], Plan]] = {INTEREST: _interest, GRU4REC: _gru4rec, SASREC: _sasrec}
