"""Training of sequential models as the command runs it: data read, items encoded, trained, saved."""

from contextlib import ExitStack
from pathlib import Path

import msgspec
import numpy as np

from state.errors import StateError
from state.learning.interactions import Interactions, ItemContent
from state.learning.protocol import Targets, Task
from state.learning.reading import ReadingOptions, read_dataset
from state.learning.saving import Report, save_model
from state.learning.search import Tried, search
from state.learning.sequential import Plan, device_of, train
from streams.encode.configured_media import configured_bank
from streams.encode.instance import Instance
from streams.errors import InputError
from streams.evaluation import encoded
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


class Made(msgspec.Struct):
    report: Report
    tried: list[Tried] = []


def train_model(wanted: Training, settings: Settings) -> Made:
    """Raises InputError for data that cannot be read or learnt from, and TopicError for topics."""
    try:
        device = device_of(wanted.device)
        interactions, content, space = _data(wanted, settings)
        task = task_of(interactions, content, wanted)
        checkpoints = wanted.target / CHECKPOINTS
        if not wanted.resume:
            _forget(checkpoints)
        tried: list[Tried] = []
        plan = wanted.plan
        with progress(f"training {plan.kind}", _STEPS) as tell:
            if wanted.trials:
                searched, trained = search(
                    plan, task, wanted.trials, lambda done: tell(round(done * _STEPS)), device
                )
                plan, tried = searched.plan, searched.tried
            else:
                trained = train(plan, task, lambda done: tell(round(done * _STEPS)), device, checkpoints)
        course = trained.outcome.course
        report = Report(
            plan,
            wanted.seed,
            interactions.fingerprint,
            len(interactions),
            interactions.users,
            interactions.items,
            space,
            course.epoch,
            course.best_epoch,
            course.best,
            course.losses,
            course.found,
            course.seconds,
            trained.outcome.profile,
        )
        return Made(save_model(trained, report, interactions.item_ids, wanted.target), tried)
    except StateError as error:
        raise InputError(str(error)) from error


def task_of(interactions: Interactions, content: ItemContent | None, wanted: Training) -> Task:
    """Learns from all but the latest events, which tell when to stop."""
    times = np.sort(interactions.time_ms)
    cut = int(times[min(len(times) - 1, round(len(times) * (1 - wanted.validation_share)))])
    before = interactions.time_ms < cut
    late = np.flatnonzero(~before)
    first = interactions.starts[interactions.user[late]] == late
    return Task(interactions.subset(before), Targets(interactions, late[~first]), content, wanted.seed)


def _data(wanted: Training, settings: Settings) -> tuple[Interactions, ItemContent | None, str]:
    """Interactions, what is known of the items, and the version of the encoders that made their vectors."""
    if wanted.source is None:
        with progress("reading the topics", offsets(settings)) as tell:
            return read_topics(settings, tell)
    dataset = read_dataset(wanted.source, wanted.reading)
    content = encoded(dataset, settings)
    return dataset.interactions, content, "" if content is None else _space(settings)


def _space(settings: Settings) -> str:
    with ExitStack() as stack:
        instance = stack.enter_context(Instance(Path(settings.app.data)))
        return configured_bank(settings, instance.folder, stack).version


def _forget(checkpoints: Path) -> None:
    for path in checkpoints.glob("*.safetensors"):
        path.unlink()
