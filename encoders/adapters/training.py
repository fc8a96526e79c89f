"""Trains an adapter on texts of one's own: the model's own numbers stay as they are."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
import torch

from encoders.adapters.artifact import FORMAT, AdapterManifest, save_adapter
from encoders.adapters.learner import AdapterState, Learner
from encoders.adapters.live import begun, callable_of
from encoders.adapters.objectives import (
    Figures,
    counterparts,
    fellowship,
    grouped_batches,
    likeness_loss,
    pairs_loss,
    plain_batches,
)
from encoders.adapters.settings import AdapterPlan
from encoders.adapters.texts import CatalogueText, Material, Rows, material, sharing
from encoders.adapters.trainee import Trainee
from encoders.errors import ArtifactError
from encoders.hub.files import ModelFiles
from encoders.hub.text import text_weights, two_towers
from encoders.hub.towers import has_towers
from encoders.hub.weights import quiet

STOPS_BY = {"categories": "precision", "parts": "inverse rank"}
"""The figure of held-out texts that tells when to stop: smoother than how often the nearest is right."""

Tell = Callable[[int, int], None]


class Epoch(NamedTuple):
    """One pass over the texts: the mean loss of its steps, and the figures of texts held out after it."""

    loss: float
    figures: Figures


class AdapterFit(NamedTuple):
    """What came of a training. `best` counts epochs from 1; 0 means that none was better than the start."""

    manifest: AdapterManifest
    state: AdapterState | None
    epochs: tuple[Epoch, ...]
    best: int

    def save(self, folder: Path) -> AdapterManifest:
        """Writes the adapter's folder. Raises ArtifactError where no epoch was better than the start."""
        if self.state is None:
            raise ArtifactError(
                f"{len(self.epochs)} epochs made nothing better for texts held out: no adapter is written; "
                "try another kind, a smaller rate, or more texts"
            )
        return save_adapter(folder, self.state.tensors, self.state.config, self.manifest)


def fit_adapter(
    files: ModelFiles, texts: Sequence[CatalogueText], plan: AdapterPlan, tell: Tell = lambda done, of: None
) -> AdapterFit:
    """Trains an adapter for the model and keeps the epoch that was best for the texts held out.

    `tell` is told how many steps are done, of how many at most. The same seed gives the same numbers on the
    same CPU. Raises ArtifactError for a model that takes no adapter, and for too few texts.
    """
    files = replace(files, hub=msgspec.structs.replace(files.hub, adapter=""), dtype=torch.float32)
    chosen = material(texts, plan.objective)
    plan = msgspec.structs.replace(plan, objective=chosen.objective, rate=plan.step)
    course = Course(chosen, plan)
    weights = text_weights(files)
    if has_towers(weights.model):
        raise two_towers(files)
    with torch.random.fork_rng(), quiet():
        torch.manual_seed(plan.seed)
        trainee = Trainee(files, weights, plan)
        before = course.figures(trainee)
        course.remember(trainee)
        best, epochs = _trained(trainee, course, plan, before, tell)
    manifest = AdapterManifest(
        format=FORMAT, plan=plan, base=weights.fingerprint, model=files.hub.model, reading=trainee.reading,
        digest="", data=chosen.fingerprint, texts=len(chosen.texts), parameters=_numbers(best.state),
        before=before, after=best.figures,
    )  # fmt: skip
    return AdapterFit(manifest, best.state, epochs, best.number)


class _Best(NamedTuple):
    """The best epoch so far; 0 is the start, of which there is nothing to keep."""

    number: int
    figures: Figures
    state: AdapterState | None


def _trained(
    trainee: Trainee, course: "Course", plan: AdapterPlan, before: Figures, tell: Tell
) -> tuple[_Best, tuple[Epoch, ...]]:
    steps = plan.epochs * course.steps
    live = begun(trainee.model, plan, trainee.layers(), steps)
    trainee.read_by(callable_of(live))
    learner = Learner(live, plan, steps)
    epochs: list[Epoch] = []
    best, since = _Best(0, before, None), 0
    for number in range(1, plan.epochs + 1):
        live.train()
        losses = []
        for rows in course.batches():
            losses.append(learner.step(course.loss(trainee, rows)))
            tell(learner.steps, steps)
        live.eval()
        epochs.append(Epoch(float(np.mean(losses)), course.figures(trainee)))
        since += learner.is_settled
        if learner.is_settled and epochs[-1].figures[course.stops_by] > best.figures[course.stops_by]:
            best, since = _Best(number, epochs[-1].figures, learner.state()), 0
        if since >= plan.patience:
            break
    return best, tuple(epochs)


def _numbers(state: AdapterState | None) -> int:
    return 0 if state is None else sum(each.numel() for each in state.tensors.values())


class Course:
    """What is learnt from and what is held out, and what either is asked."""

    def __init__(self, chosen: Material, plan: AdapterPlan) -> None:
        learnt, held = chosen.split(plan.held_out, plan.seed)
        self._plan = plan
        self._of_categories = chosen.objective == "categories"
        self._learnt = [chosen.texts[row] for row in learnt]
        self._held = [chosen.texts[row] for row in held]
        self._held_fellows = sharing(self._held)
        if self._of_categories and not self._held_fellows.any():
            raise ArtifactError(
                f"no two of {len(held)} texts held out have a category in common: each needs more texts"
            )
        self._random = np.random.default_rng(plan.seed)
        self._start: torch.Tensor | None = None
        self.stops_by = STOPS_BY[chosen.objective]

    def remember(self, trainee: Trainee) -> None:
        """The vectors before any learning, where the plan keeps near them."""
        if self._plan.keep:
            found = trainee.vectors([each.whole for each in self._learnt])
            self._start = torch.from_numpy(found).to(trainee.device)

    @property
    def steps(self) -> int:
        """Batches of an epoch."""
        return len(list(plain_batches(len(self._learnt), self._plan.batch, np.random.default_rng(0))))

    def batches(self) -> Iterator[Rows]:
        """Rows of the texts that are learnt from, each once."""
        if self._of_categories:
            return grouped_batches(self._learnt, self._plan.batch, self._random)
        return plain_batches(len(self._learnt), self._plan.batch, self._random)

    def loss(self, trainee: Trainee, rows: Rows) -> torch.Tensor:
        """Of one batch, with its gradient."""
        texts = [self._learnt[row] for row in rows]
        if not self._of_categories:
            both = trainee.tensors([each.title for each in texts] + [each.rest for each in texts])
            return pairs_loss(both[: len(texts)], both[len(texts) :], self._plan.temperature)
        vectors = trainee.tensors([each.whole for each in texts])
        fellows = torch.from_numpy(sharing(texts)).to(vectors.device)
        loss = likeness_loss(vectors, fellows, self._plan.temperature)
        if self._start is not None:
            loss = loss + self._plan.keep * (1 - (vectors * self._start[rows]).sum(dim=1)).mean()
        return loss

    def figures(self, trainee: Trainee) -> Figures:
        """Of the texts held out."""
        if self._of_categories:
            return fellowship(trainee.vectors([each.whole for each in self._held]), self._held_fellows)
        return counterparts(
            trainee.vectors([each.title for each in self._held]),
            trainee.vectors([each.rest for each in self._held]),
        )
