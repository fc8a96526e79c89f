"""Training of sequential models as the command runs it: data read, items encoded, trained, saved."""

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import torch

from state.artifact import MANIFEST
from state.errors import LearningError, StateError
from state.learning.gain import best_topics
from state.learning.interactions import Bool, Interactions, ItemContent
from state.learning.protocol import Targets, Task
from state.learning.reading import ReadingOptions
from state.learning.saving import Report, save_model
from state.learning.search import Tried, search
from state.learning.sequential import INTEREST, Plan, Trained, device_of, train
from state.learning.start import load_start
from state.learning.tracking import Tracker, each_epoch, flat, tracked
from state.learning.trainer import Aside, Outcome
from streams.encode.configured_media import configured_bank
from streams.encode.instance import Instance
from streams.errors import InputError
from streams.evaluation import encoded
from streams.given_data import given_dataset
from streams.progress import progress
from streams.settings import Settings
from streams.topic_learning import offsets, read_topics

_STEPS = 1_000
CHECKPOINTS = "checkpoints"


class Training(msgspec.Struct, frozen=True):
    """What the command was asked for. `source` None reads the topics; `trials` 0 does not search."""

    source: Path | None
    target: Path
    plan: Plan
    reading: ReadingOptions = ReadingOptions()
    seed: int = 0
    trials: int = 0
    resume: bool = False
    device: str = "auto"
    validation_share: float = 0.1
    """Of the events, the latest: they tell when to stop, and are not learnt from."""
    start: str = ""
    """Folder of the artifact that training begins with, or `prior`; empty begins anew."""
    best_topics: int = 0
    """Topics that are told of the items, those that tell most of likes; 0 tells all."""
    track: str = ""
    """What the training is told to, as `state.learning.tracking.tracked` takes it."""


class Made(msgspec.Struct):
    report: Report
    tried: list[Tried] = []


def train_model(wanted: Training, settings: Settings) -> Made:
    """Raises InputError for data that cannot be read or learnt from, and TopicError for topics."""
    try:
        device = device_of(wanted.device)
        start = load_start(wanted.start) if wanted.start else None
        with claimed(wanted), tracked(wanted.track) as tracker:
            interactions, content, space = _data(wanted, settings)
            if start is not None:
                start.check_space(space)
            task = replace(task_of(interactions, content, wanted), start=start)
            plan, trained, tried = _learnt(wanted, task, device, tracker)
            report = _report(wanted, interactions, plan, trained.outcome)
            report = msgspec.structs.replace(
                report,
                space=space,
                until_ms=int(task.train.time_ms.max()),
                described=0 if content is None else content.described,
                started_from=start.artifact.version if start else "",
            )
            made = save_model(trained, report, interactions.item_ids, wanted.target, start)
            told = {**flat(plan), "seed": float(wanted.seed), "data": report.data}
            tracker.ended(told, _figures(made))
        return Made(made, tried)
    except StateError as error:
        raise InputError(str(error)) from error


@contextmanager
def claimed(wanted: Training) -> Iterator[None]:
    """Holds the folder that is to have the model. Raises InputError where that cannot be, before time was
    spent on training."""
    target = wanted.target
    if wanted.plan.kind != INTEREST and (target / MANIFEST).exists():
        raise InputError(
            f"--into {target}: holds a model that serves, and {wanted.plan.kind} is for comparison alone: "
            "name another folder"
        )
    with ExitStack() as stack:
        try:
            target.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=target).close()
            held = os.open(target, os.O_RDONLY)
            stack.callback(os.close, held)
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(f"--into {target}: another training writes there") from None
        except OSError as error:
            raise InputError(f"--into {target}: cannot be written ({error.strerror})") from error
        yield


def _learnt(
    wanted: Training, task: Task, device: torch.device, tracker: Tracker
) -> tuple[Plan, Trained, list[Tried]]:
    """The plan that was trained, which a search chooses, and what else a search tried."""
    plan, checkpoints = wanted.plan, wanted.target / CHECKPOINTS
    with progress(f"training {plan.kind}", _STEPS) as steps:

        def tell(done: float) -> None:
            steps(round(done * _STEPS))

        if not wanted.trials:
            aside = Aside(checkpoints, each_epoch(tracker), wanted.resume)
            return plan, train(plan, task, tell, device, aside), []
        searched, trained = search(plan, task, wanted.trials, tell, device)
        for number, trial in enumerate(searched.tried, 1):
            tracker.told(number, {"trial/ndcg_10": trial.found})
        return searched.plan, trained, searched.tried


def _report(wanted: Training, interactions: Interactions, plan: Plan, outcome: Outcome) -> Report:
    course = outcome.course
    return Report(
        plan,
        wanted.seed,
        interactions.fingerprint,
        len(interactions),
        interactions.users,
        interactions.items,
        "",
        course.epoch,
        course.best_epoch,
        course.best,
        course.losses,
        course.found,
        course.seconds,
        outcome.profile,
    )


def _figures(report: Report) -> dict[str, float]:
    return {
        "ndcg_10": report.validation,
        "best_epoch": float(report.best_epoch),
        "epochs": float(report.epochs),
        "seconds": float(sum(report.seconds)),
    }


def task_of(interactions: Interactions, content: ItemContent | None, wanted: Training) -> Task:
    """Learns from all but the latest events, which tell when to stop."""
    before = _learnt_from(interactions, wanted.validation_share)
    if not before.any():
        raise LearningError(
            f"the latest {wanted.validation_share:.0%} of the events, which are kept to validate on, are all "
            "there are, since their times are the same: set --validation-share 0"
        )
    late = np.flatnonzero(~before)
    first = interactions.starts[interactions.user[late]] == late
    return Task(interactions.subset(before), Targets(interactions, late[~first]), content, wanted.seed)


def _learnt_from(interactions: Interactions, share: float) -> Bool:
    """All events but a share of the latest."""
    if not share:
        return np.ones(len(interactions), np.bool_)
    times = np.sort(interactions.time_ms)
    cut = int(times[min(len(times) - 1, round(len(times) * (1 - share)))])
    return np.asarray(interactions.time_ms < cut)


def _data(wanted: Training, settings: Settings) -> tuple[Interactions, ItemContent | None, str]:
    """Interactions, what is known of the items, and the version of the encoders that made their vectors."""
    if wanted.source is None:
        with progress("reading the topics", offsets(settings)) as tell:
            return read_topics(settings, tell)
    dataset = given_dataset(wanted.source, wanted.reading)
    if wanted.best_topics:
        learnt = dataset.interactions.subset(_learnt_from(dataset.interactions, wanted.validation_share))
        dataset = dataset.of_topics(best_topics(learnt, dataset.topics, wanted.best_topics))
    content = encoded(dataset, settings)
    return dataset.interactions, content, "" if content is None else _space(settings)


def _space(settings: Settings) -> str:
    with ExitStack() as stack:
        instance = stack.enter_context(Instance(Path(settings.app.data)))
        return configured_bank(settings, instance.folder, stack).version
