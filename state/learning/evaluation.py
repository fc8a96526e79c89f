"""Learning models and measuring them all on the same events."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from state.errors import StateError
from state.learning import results
from state.learning.contenders import Contender, contender
from state.learning.dataset import Dataset
from state.learning.interactions import ItemContent
from state.learning.intervals import interval, paired
from state.learning.metrics import Background, Float64, means, of_lists, per_event
from state.learning.protocol import Learner, Recommender, Targets, Task
from state.learning.ranks import Ranking, RankingOptions, rank
from state.learning.results import Evaluation, Figure, ModelResult
from state.learning.slices import lost, slices_of
from state.learning.splits import Split, without_items
from state.learning.verdicts import Judge, enough, from_scores, judged, liked, verdicts

HEADLINE = "ndcg@10"
"""What models are compared and sorted by."""
WITH_INTERVAL = ("hr@10", "ndcg@10", "mrr")
COLD_SHARE = 0.1
LOSSES = (0.0, 0.3, 0.6)

Report = Callable[[str, float], None]
"""Is told what is being done, and how much of the whole is done, 0 to 1."""


@dataclass(frozen=True)
class EvaluationOptions:
    """How models are measured. Models without anything random are learnt once, whatever `seeds` is."""

    models: tuple[str, ...]
    seeds: int = 3
    hide_seen: bool = True
    against: str | None = None
    """The model that the others are compared with; None for the best."""
    cold: bool = False
    """Also learn without a tenth of the test's items, and rank those."""
    missing: bool = False
    """Also learn with 30 and 60 % of the modalities taken away."""

    @property
    def ranking(self) -> RankingOptions:
        return RankingOptions(self.hide_seen)


@dataclass
class _Run:
    """One seed of one model."""

    model: Recommender
    ranking: Ranking
    values: dict[str, Float64]
    learn_seconds: float
    score_seconds: float


class Evaluator:
    """Measures models on one split. `report` is told of every step."""

    def __init__(
        self, split: Split, content: ItemContent | None, options: EvaluationOptions, report: Report
    ) -> None:
        self._split, self._content = split, content
        self._options, self._report = options, report
        self._users = split.test.users
        self._values: dict[str, dict[str, Float64]] = {}
        self._steps_done = 0

    def run(self, dataset: Dataset) -> Evaluation:
        """Raises LearningError for names of no model, before anything is learnt. A model that fails is told
        of in `failed`, and the others go on."""
        found = {name: contender(name) for name in dict.fromkeys(self._options.models)}
        self._steps = sum(self._seeds(each) for each, _ in found.values())
        made, failed = [], {}
        for name, (facts, learner) in found.items():
            try:
                made.append(self._measured(name, facts, learner))
            except StateError as error:
                failed[name] = str(error)
        self._compare(made)
        made.sort(key=lambda each: -each.ranking[HEADLINE].mean)
        return Evaluation(
            facts_of(dataset, self._split),
            self._split.protocol,
            self._options.hide_seen,
            self._options.seeds,
            made,
            failed,
        )

    def _seeds(self, facts: Contender) -> int:
        return self._options.seeds if facts.drawn else 1

    def _measured(self, name: str, facts: Contender, learner: Learner) -> ModelResult:
        runs = []
        for seed in range(self._seeds(facts)):
            runs.append(self._learnt(name, learner, seed))
            self._steps_done += 1
        self._values[name] = {
            metric: np.mean([run.values[metric] for run in runs], axis=0) for metric in runs[0].values
        }
        background = Background(self._split.train, self._content)
        result = ModelResult(
            name,
            len(runs),
            float(np.mean([run.learn_seconds for run in runs])),
            float(np.mean([run.score_seconds for run in runs])),
            self._figures(name, [means(run.values, self._users) for run in runs]),
            _spread([of_lists(run.ranking.top, background) for run in runs]),
            slices_of(self._split, self._values[name]),
            self._verdicts(runs[0]),
        )
        if self._options.cold:
            result.slices += self._cold(learner)
        if self._options.missing and facts.by_content and self._content is not None:
            result.slices += self._missing(learner, self._content)
        return result

    def _learnt(self, name: str, learner: Learner, seed: int) -> _Run:
        def tell(part: float, done: float) -> None:
            self._report(name, (self._steps_done + part + 0.5 * done) / max(1, self._steps))

        begun = time.process_time()
        model = learner(self._task(self._split, self._content, seed), lambda done: tell(0.0, done))
        learnt = time.process_time()
        ranking = rank(model, self._split.test, self._options.ranking, lambda done: tell(0.5, done))
        scored = time.process_time()
        return _Run(model, ranking, per_event(ranking), learnt - begun, scored - learnt)

    @staticmethod
    def _task(split: Split, content: ItemContent | None, seed: int) -> Task:
        return Task(split.train, split.validation, content, seed)

    def _figures(self, name: str, found: Sequence[dict[str, float]]) -> dict[str, Figure]:
        figures = _spread(found)
        for metric in WITH_INTERVAL:
            bounds = interval(self._values[name][metric], self._users)
            figures[metric] = Figure(figures[metric].mean, figures[metric].deviation, bounds.low, bounds.high)
        return figures

    def _verdicts(self, run: _Run) -> results.VerdictResult | None:
        test, validation = self._split.test, self._split.validation
        if not enough(test):
            return None
        chosen = judged(test)
        asked = test.part(chosen)
        if isinstance(run.model, Judge):
            told = np.asarray(run.model.likes(asked.histories(), asked.items), np.float64)
            source = "told by the model"
        else:
            learnt = validation.part(judged(validation))
            if not len(learnt):
                return None
            scores = rank(run.model, learnt, self._options.ranking).scores
            told = from_scores((scores, liked(learnt)), run.ranking.scores[chosen])
            source = "a logistic curve over its scores"
        found = verdicts(told, liked(asked))
        bins = [results.CalibrationBin(one.count, one.told, one.found) for one in found.calibration]
        return results.VerdictResult(len(asked), source, found.figures, found.report, bins)

    def _cold(self, learner: Learner) -> list[results.Slice]:
        """Items held out of training: ranked among all items, and among themselves."""
        split = without_items(self._split, COLD_SHARE, seed=0)
        model = learner(self._task(split, self._content, 0), lambda done: None)
        among = np.zeros(split.train.items, np.bool_)
        among[split.test.items] = True
        out = []
        for name, candidates in (("among all items", None), ("among themselves", among)):
            options = RankingOptions(self._options.hide_seen, candidates)
            values = per_event(rank(model, split.test, options))
            out.append(_slice("items held out", name, split.test, values))
        return out

    def _missing(self, learner: Learner, content: ItemContent) -> list[results.Slice]:
        out = []
        for share in LOSSES:
            left = content.masked(lost(content.present.shape, share, seed=0))
            model = learner(self._task(self._split, left, 0), lambda done: None)
            values = per_event(rank(model, self._split.test, self._options.ranking))
            out.append(_slice("modalities missing", f"{share:.0%}", self._split.test, values))
        return out

    def _compare(self, made: Sequence[ModelResult]) -> None:
        """Every model against the named one, or the best, by paired intervals over users."""
        if len(made) < 2:
            return
        names = [each.name for each in made]
        best = max(made, key=lambda each: each.ranking[HEADLINE].mean).name
        other = self._options.against if self._options.against in names else best
        for each in made:
            if each.name != other:
                each.against = [
                    self._against(each.name, str(other), metric) for metric in ("hr@10", HEADLINE)
                ]

    def _against(self, name: str, other: str, metric: str) -> results.Against:
        found = paired(self._values[name][metric], self._values[other][metric], self._users)
        return results.Against(other, metric, *found)


def facts_of(dataset: Dataset, split: Split) -> results.Facts:
    events = dataset.interactions
    return results.Facts(
        name=dataset.name,
        fingerprint=events.fingerprint,
        users=events.users,
        items=events.items,
        events=len(events),
        described_items=sum(bool(text) for text in dataset.texts),
        train_events=len(split.train),
        validation_events=len(split.validation),
        test_events=len(split.test),
        test_users=len(np.unique(split.test.users)),
        from_ms=int(events.time_ms.min()),
        to_ms=int(events.time_ms.max()),
    )


def _spread(found: Sequence[dict[str, float]]) -> dict[str, Figure]:
    out = {}
    for name in found[0]:
        values = [each[name] for each in found if name in each]
        out[name] = Figure(float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else 0.0)
    return out


def _slice(group: str, name: str, targets: Targets, values: dict[str, Float64]) -> results.Slice:
    return results.Slice(
        group, name, len(targets), {metric: float(each.mean()) for metric, each in values.items()}
    )
