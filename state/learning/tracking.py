"""Trainings told to an experiment tracker: TensorBoard, by tensorboardX, or Weights & Biases."""

import importlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from types import ModuleType
from typing import Any, Protocol

import msgspec

from state.errors import LearningError
from state.extras import package
from state.learning.checkpoints import Course

FORMS = "tensorboard:FOLDER or wandb:PROJECT"


class Tracker(Protocol):
    """What a training is told to."""

    def told(self, step: int, figures: Mapping[str, float]) -> None:
        """Figures by name after so many epochs, or trials."""

    def ended(self, settings: Mapping[str, str | float], figures: Mapping[str, float]) -> None:
        """What the training was made with, and what it came to."""


def each_epoch(tracker: Tracker) -> Callable[[Course], None]:
    """Tells the last epoch of a course."""

    def tell(course: Course) -> None:
        figures = {"loss": course.losses[-1], "seconds": course.seconds[-1]}
        tracker.told(course.epoch, figures | {"validation/ndcg_10": course.found[-1]})

    return tell


def flat(settings: msgspec.Struct) -> dict[str, str | float]:
    """The settings by dotted names; numbers and switches as numbers."""
    found: dict[str, str | float] = {}

    def walk(name: str, value: object) -> None:
        if isinstance(value, dict):
            for key, each in value.items():
                walk(f"{name}.{key}" if name else str(key), each)
        else:
            found[name] = float(value) if isinstance(value, (int, float)) else str(value)

    walk("", msgspec.to_builtins(settings))
    return found


@contextmanager
def tracked(where: str) -> Iterator[Tracker]:
    """The tracker that `where` names, one of FORMS; '' is one that nothing becomes of.

    Raises LearningError for another form, for a folder that cannot be written, and for a missing package,
    with the extra that has it.
    """
    kind, colon, target = where.partition(":")
    if not where:
        yield _Nothing()
    elif kind in _OPENED and colon and target:
        with ExitStack() as stack:
            try:
                tracker = stack.enter_context(_OPENED[kind](target))
            except OSError as error:
                raise LearningError(f"cannot track to {where}: {error}") from error
            yield tracker
    else:
        raise LearningError(f"cannot track to {where!r}: it must be {FORMS}")


class _Nothing:
    def told(self, step: int, figures: Mapping[str, float]) -> None:
        pass

    def ended(self, settings: Mapping[str, str | float], figures: Mapping[str, float]) -> None:
        pass


class _TensorBoard:
    """One event file of one run; settings and last figures are on the HParams page."""

    def __init__(self, writer: Any, summaries: ModuleType) -> None:
        self._writer = writer
        self._summaries = summaries

    def told(self, step: int, figures: Mapping[str, float]) -> None:
        for name, figure in figures.items():
            self._writer.add_scalar(name, figure, step)
        self._writer.flush()

    def ended(self, settings: Mapping[str, str | float], figures: Mapping[str, float]) -> None:
        named = {f"last/{name}": figure for name, figure in figures.items()}
        for summary in self._summaries.hparams(dict(settings), named):
            self._writer.file_writer.add_summary(summary)
        for name, figure in named.items():
            self._writer.add_scalar(name, figure)


class _Wandb:
    def __init__(self, run: Any) -> None:
        self._run = run

    def told(self, step: int, figures: Mapping[str, float]) -> None:
        self._run.log(dict(figures), step=step)

    def ended(self, settings: Mapping[str, str | float], figures: Mapping[str, float]) -> None:
        self._run.config.update(dict(settings))
        self._run.summary.update(dict(figures))


@contextmanager
def _tensorboard(folder: str) -> Iterator[Tracker]:
    writer = _package("tensorboardX", "tensorboard").SummaryWriter(folder)
    try:
        yield _TensorBoard(writer, importlib.import_module("tensorboardX.summary"))
    finally:
        writer.close()


@contextmanager
def _wandb(project: str) -> Iterator[Tracker]:
    wandb = _package("wandb", "wandb")
    try:
        run = wandb.init(project=project, job_type="train")
    except wandb.Error as error:
        raise LearningError(f"Weights & Biases cannot begin a run: {error}") from error
    with run:
        yield _Wandb(run)


_OPENED = {"tensorboard": _tensorboard, "wandb": _wandb}


def _package(name: str, extra: str) -> ModuleType:
    return package(name, f'tracking needs {name}: install "penchant[{extra}]"')
