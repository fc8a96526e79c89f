"""What a model of one catalogue is worth to another with few events. Prints NDCG@10 on the second catalogue.

    OMP_NUM_THREADS=1 python tests/bench/bench_adaptation.py --cache FOLDER

The sample catalogue is cut in two by category. Simulated viewers of the first half train a model; other
viewers of the second half do so many events each, of which a model is trained anew, from the content prior,
or from the model of the first half. All are then asked for the same later events of those viewers, given all
that each did before: what is compared is what training made of the events, and nothing else.
"""

import argparse
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import msgspec
import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[2]))

from state.artifact import Artifact
from state.learning.baselines.priors import served
from state.learning.exporting import artifact_of
from state.learning.interactions import Interactions, ItemContent
from state.learning.interest import InterestModel
from state.learning.optimiser import OptimiserSettings
from state.learning.protocol import Recommender, Targets, Task
from state.learning.ranks import RankingOptions, rank
from state.learning.sequential import Plan, train
from state.learning.start import PRIOR, Start, load_start
from state.learning.trainer import Schedule
from state.signals import REJECTING
from streams.model_training import Training, task_of
from tests.bench.bench_content import sample_items, watched

CPU = torch.device("cpu")
LEAST = 30
"""Items of a category that viewers can have a taste for (`streams.demo.viewers.make_viewers`)."""


class Half(NamedTuple):
    interactions: Interactions
    content: ItemContent


class Way(NamedTuple):
    """How a model learns on the second catalogue: `start` '' trains anew, `rate` is a part of the usual."""

    start: str
    tuned: str = "whole"
    rate: float = 1.0

    @property
    def name(self) -> str:
        if not self.start:
            return "trained anew"
        return f"from {self.start}, {self.tuned}" + (
            f" at {self.rate:g} of the rate" if self.rate < 1 else ""
        )


WAYS = (
    Way(""),
    *(Way(PRIOR, "whole", rate) for rate in (1.0, 0.1)),
    *(Way("model", *how) for how in (("whole", 1.0), ("whole", 0.1), ("biases", 1.0), ("ids", 1.0))),
)


def halves(categories: list[str], seed: int) -> tuple[list[int], list[int]]:
    """Places of the items of either half: the large categories are dealt out in turn, then the small."""
    places = defaultdict(list)
    for at, name in enumerate(categories):
        places[name].append(at)
    order = np.random.default_rng(seed).permutation(sorted(places)).tolist()
    order.sort(key=lambda name: len(places[name]) < LEAST)
    return tuple(sorted(at for name in order[side::2] for at in places[name]) for side in (0, 1))  # type: ignore[return-value]


def half(side: str, sample: tuple[list[str], ItemContent], size: tuple[int, int], seed: int) -> Half:
    categories, content = sample
    events = watched(categories, size, seed).interactions
    names = tuple(f"{side}-{at}" for at in range(events.items))
    return Half(replace(events, item_ids=names), content)


def part(content: ItemContent, places: list[int]) -> ItemContent:
    topics = tuple(content.topics[at] for at in places)
    return ItemContent(content.vectors[places], content.present[places], topics)


def early(events: Interactions, number: int) -> Interactions:
    """The first so many events of each user."""
    return events.subset(np.arange(len(events)) - events.starts[events.user] < number)


def late(events: Interactions, number: int) -> Targets:
    """What users took later."""
    chosen = np.arange(len(events)) - events.starts[events.user] >= number
    return Targets(events, np.flatnonzero(chosen & ~REJECTING[events.action]))


def ndcg(model: Recommender, targets: Targets) -> float:
    ranks = rank(model, targets, RankingOptions()).ranks
    return float(np.where(ranks <= 10, 1 / np.log2(ranks + 1.0), 0.0).mean())


def model_of(first: Half, epochs: int) -> Start:
    task = task_of(first.interactions, first.content, Training(None, Path(), Plan()))
    made = train(Plan(schedule=Schedule(epochs=epochs)), task, lambda done: None, CPU).model
    assert isinstance(made, InterestModel)
    return Start(artifact_of(made, first.interactions.item_ids), float(made.sharpness.detach()))


def adapted(way: Way, task: Task, start: Start, epochs: int) -> Recommender:
    optimiser = OptimiserSettings()
    optimiser = msgspec.structs.replace(optimiser, rate=optimiser.rate * way.rate)
    plan = Plan(schedule=Schedule(epochs=epochs, optimiser=optimiser), tuned=way.tuned)  # type: ignore[arg-type]
    starts = {"": None, PRIOR: load_start(PRIOR), "model": start}
    return train(plan, replace(task, start=starts[way.start]), lambda done: None, CPU).recommender


def found(
    world: int, sample: tuple[list[str], ItemContent], wanted: argparse.Namespace
) -> Iterator[tuple[str, str, float, float]]:
    """Way, events of each viewer, NDCG@10 and CPU seconds."""
    categories, content = sample
    sides = [
        ([categories[at] for at in places], part(content, places)) for places in halves(categories, world)
    ]
    start = model_of(half("first", sides[0], (wanted.viewers, wanted.events), world), wanted.epochs)
    second = half("second", sides[1], (wanted.viewers, wanted.events), world + 1_000)
    targets = late(second.interactions, max(wanted.few))
    for name, artifact in (
        ("content prior", load_start(PRIOR).artifact),
        ("model of the first", start.artifact),
    ):
        model = as_served(name, artifact, second)
        yield name, "0", ndcg(model, targets), 0.0
    for few in wanted.few:
        task = task_of(early(second.interactions, few), second.content, Training(None, Path(), Plan()))
        for way in WAYS:
            begun = time.process_time()
            model = adapted(way, task, start, wanted.epochs)
            spent = time.process_time() - begun
            yield way.name, str(few), ndcg(model, targets), spent


def as_served(name: str, artifact: Artifact, second: Half) -> Recommender:
    return served(name, artifact, Task(second.interactions, late(second.interactions, 0), second.content))


def main() -> None:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("--cache", type=Path, help="folder to keep media and vectors in")
    parser.add_argument("--worlds", type=int, default=2)
    parser.add_argument("--viewers", type=int, default=120)
    parser.add_argument("--events", type=int, default=40)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument(
        "--few", type=lambda words: [int(one) for one in words.split(",")], default=[2, 5, 20]
    )
    wanted = parser.parse_args()
    with TemporaryDirectory() as scratch:
        made, content = sample_items(wanted.cache or Path(scratch))
    figures: dict[tuple[str, str], list[tuple[float, float]]] = defaultdict(list)
    for world in range(wanted.worlds):
        for name, few, value, spent in found(world, (made.categories, content), wanted):
            figures[name, few].append((value, spent))
            print(f"world {world}, {few:>2} events, {name}: {value:.4f}, {spent:.1f} s", flush=True)
    for (name, few), values in figures.items():
        each = np.array(values)
        spread = each[:, 0].std(ddof=len(values) > 1)
        print(f"{name:44} {few:>3} {each[:, 0].mean():.4f} ± {spread:.4f} {each[:, 1].mean():.1f} s")


if __name__ == "__main__":
    main()
