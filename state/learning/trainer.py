"""One trainer for every sequential model: epochs over all users' events, judged by validation NDCG@10."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
import torch
import xxhash
from torch import Tensor

from state.errors import Diverged, LearningError
from state.learning.checkpoints import Course, load_checkpoint, moved, named, of_name, save_checkpoint
from state.learning.losses import LossSettings, Objective
from state.learning.model import SequenceModel
from state.learning.optimiser import AdamW, OptimiserSettings
from state.learning.protocol import Targets, Task, Tell
from state.learning.ranks import RankingOptions, rank
from state.learning.readings import SequentialRecommender
from state.learning.sequences import Batch, events_of, training_pieces

CUT = 10
"""Of the NDCG that tells when to stop."""
JUDGED = 5_000
"""Validation events that are looked at after each epoch, at most."""
PARTS = ("batch", "forward", "backward", "optimiser", "validation")
"""Of a training's time."""


class Schedule(msgspec.Struct, frozen=True):
    """How a sequential model is trained."""

    epochs: int = 60
    batch: int = 32
    """Sequences of a step."""
    length: int = 192
    """Events of a sequence; who has more is cut."""
    patience: int = 8
    """Epochs without a better validation after which training ends."""
    optimiser: OptimiserSettings = OptimiserSettings()
    loss: LossSettings = LossSettings()


class Outcome(msgspec.Struct):
    """What came of a training: where it ended, and milliseconds a step (of validation, an epoch) by part: of
    CPU time on a CPU, which others on the machine do not change, of the clock on a GPU."""

    course: Course
    profile: dict[str, float]


class Aside(NamedTuple):
    """What else becomes of a training: `checkpoints` is the folder of those, without one there are none;
    `epoch` is told the course after each epoch; `resume` goes on from the checkpoint that is there."""

    checkpoints: Path | None = None
    epoch: Callable[[Course], None] = lambda course: None
    resume: bool = True


NOTHING = Aside()


class Trainer:
    """Trains `model` in place; `run` leaves it with the numbers of its best epoch.

    The same task, model, schedule and machine give the same numbers, cut off and resumed or not. A model that
    had a start keeps the numbers of it (epoch 0) where no epoch does better.
    """

    def __init__(self, model: SequenceModel, task: Task, schedule: Schedule, aside: Aside = NOTHING) -> None:
        self.model = model
        self._task = task
        self._schedule = schedule
        self._aside, self._folder = aside, aside.checkpoints
        self._device = next(model.parameters()).device
        self._events = events_of(task.train)
        self._clock = time.process_time if self._device.type == "cpu" else time.perf_counter
        self._spent: dict[str, float] = defaultdict(float)
        self._steps = self._epochs = 0

    def run(self, tell: Tell = lambda done: None) -> Outcome:
        """`tell` is told the part of the epochs that are done. Raises LearningError where there is nothing to
        learn, and for a checkpoint that is broken or of another training; Diverged where the loss is not
        finite any more."""
        if not len(training_pieces(self._task.train, self._events, self._schedule.length, 0)):
            raise LearningError("no user has two events: there is nothing to learn")
        with torch.random.fork_rng(devices=[self._device] if self._device.type == "cuda" else []):
            return self._run(tell)

    def _run(self, tell: Tell) -> Outcome:
        counts = torch.from_numpy(self._task.train.counts).to(self._device)
        objective = Objective(self.model, self._schedule.loss, counts)
        optimiser = AdamW(list(self.model.parameters()), self._schedule.optimiser)
        course, best = Course(self._fingerprint()), _copied(self.model)
        found = load_checkpoint(self._folder, course.run) if self._aside.resume and self._folder else None
        if found is not None:
            course, tensors = found
            self.model.load_state_dict(of_name("model", tensors))
            optimiser.restore(of_name("optimiser", tensors))
            best = moved(of_name("best", tensors), self._device)
        elif self._task.start is not None and len(self._task.validation):
            course.best = self._validation(0.0)
        while course.epoch < self._schedule.epochs and not self._is_over(course):
            begun = self._clock()
            course.losses.append(self._epoch(course.epoch, objective, optimiser, tell))
            course.epoch += 1
            self._epochs += 1
            with self._timed("validation"):
                course.found.append(self._validation(course.losses[-1]))
            course.seconds.append(self._clock() - begun)
            if course.found[-1] > course.best:
                course.best, course.best_epoch, best = course.found[-1], course.epoch, _copied(self.model)
            if self._folder is not None:
                kept = named("model", self.model.state_dict()) | named("best", best)
                save_checkpoint(self._folder, course, kept | named("optimiser", optimiser.state()))
            self._aside.epoch(course)
            tell(course.epoch / self._schedule.epochs)
        tell(1.0)
        self.model.load_state_dict(best)
        return Outcome(course, self._profile())

    def _is_over(self, course: Course) -> bool:
        return course.epoch - course.best_epoch >= self._schedule.patience

    def _epoch(self, epoch: int, objective: Objective, optimiser: AdamW, tell: Tell) -> float:
        """The mean loss of a step."""
        self.model.train()
        seed = self._seed(epoch)
        torch.manual_seed(seed)
        pieces = training_pieces(self._task.train, self._events, self._schedule.length, seed)
        total, steps = torch.zeros((), device=self._device), -(-len(pieces) // self._schedule.batch)
        for step, chosen in enumerate(pieces.batches(self._schedule.batch, seed)):
            with self._timed("batch"):
                batch = pieces.batch(chosen, self.model.multiple).to(self._device)
            total += self._step(batch, objective, optimiser)
            tell((epoch + (step + 1) / steps) / self._schedule.epochs)
        self._steps += steps
        loss = float(total) / steps
        if not np.isfinite(loss) or _is_broken(self.model):
            raise Diverged(
                f"epoch {epoch + 1}: loss or weights are not finite: train with a smaller rate than "
                f"{self._schedule.optimiser.rate:g}"
            )
        return loss

    def _step(self, batch: Batch, objective: Objective, optimiser: AdamW) -> Tensor:
        with self._timed("forward"), self._precision():
            loss = objective(batch)
        with self._timed("backward"):
            torch.autograd.backward(loss)
        with self._timed("optimiser"):
            optimiser.step()
        return loss.detach()

    def _precision(self) -> torch.autocast:
        """Half precision where there is a GPU that has it."""
        on = self._device.type == "cuda" and torch.cuda.is_bf16_supported()
        return torch.autocast(self._device.type, torch.bfloat16, enabled=on)

    def _validation(self, loss: float) -> float:
        """NDCG, or where nothing is to judge by, e^-loss."""
        targets = self._task.validation
        if not len(targets):
            return float(np.exp(-loss))
        if len(targets) > JUDGED:
            rng = np.random.default_rng(self._task.seed)
            targets = targets.part(np.sort(rng.choice(len(targets), JUDGED, replace=False)))
        return ndcg(SequentialRecommender(self.model, self._task.train, self._device), targets)

    def _seed(self, epoch: int) -> int:
        return self._task.seed * 1_000_003 + epoch

    def _fingerprint(self) -> str:
        parts = (
            self._task.train.fingerprint,
            str(self._task.seed),
            self.model.kind,
            repr([(name, tuple(each.shape)) for name, each in self.model.named_parameters()]),
            msgspec.json.encode(self._schedule).decode(),
            self._told(),
            *self._begun_from(),
        )
        return xxhash.xxh64_hexdigest("\0".join(parts).encode())

    def _told(self) -> str:
        """What is known of the items, and what is judged by."""
        digest, content = xxhash.xxh64(), self._task.content
        if content is not None:
            digest.update(np.ascontiguousarray(content.vectors).data)
            digest.update(np.ascontiguousarray(content.present).data)
            digest.update(msgspec.json.encode(content.topics))
        digest.update(np.ascontiguousarray(self._task.validation.positions).data)
        return digest.hexdigest()

    def _begun_from(self) -> tuple[str, ...]:
        if self._task.start is None:
            return ()
        moved = [name for name, each in self.model.named_parameters() if each.requires_grad]
        return (str(self._task.start.artifact.fingerprint), repr(moved))

    @contextmanager
    def _timed(self, part: str) -> Iterator[None]:
        begun = self._clock()
        yield
        if self._device.type == "cuda":
            torch.cuda.synchronize()
        self._spent[part] += self._clock() - begun

    def _profile(self) -> dict[str, float]:
        """Of what was trained here: what a training before it was cut off took is not known."""
        counts = {part: max(1, self._epochs if part == "validation" else self._steps) for part in PARTS}
        return {part: round(1000 * self._spent[part] / counts[part], 3) for part in PARTS}


def ndcg(model: SequentialRecommender, targets: Targets, cut: int = CUT) -> float:
    """Mean NDCG at `cut` of one right item each, seen items left out."""
    ranks = rank(model, targets, RankingOptions()).ranks
    return float(np.where(ranks <= cut, 1 / np.log2(ranks + 1.0), 0.0).mean())


def _is_broken(model: SequenceModel) -> bool:
    """Minus infinity is the bias of an action that a start keeps out, as the content prior does."""
    return any(bool((each.isnan() | each.isposinf()).any()) for each in model.parameters())


def _copied(model: SequenceModel) -> dict[str, Tensor]:
    return {name: each.detach().clone() for name, each in model.state_dict().items()}
