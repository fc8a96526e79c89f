"""What is content worth to trained models? Cold items, lost modalities and the ablation, on the sample items.

    OMP_NUM_THREADS=1 python tests/bench/bench_content.py [--cache FOLDER] [--into FOLDER] [--worlds 3]
    OMP_NUM_THREADS=1 python tests/bench/bench_content.py --alone --models interest,interest/heads-alone
    OMP_NUM_THREADS=1 python tests/bench/bench_content.py --held-out [--cache FOLDER] [--into FOLDER]

Simulated viewers (`streams/demo/viewers.py`) with two hidden tastes each, one of which changes midway, act on
the demo's catalogue: stamps with titles, pictures and sounds, and clips. In three events of twenty they are
shown an item by chance, and turn it away where it is not to their taste. All models are learnt on what comes
before one moment, and ranked on every later event that rejects nothing. Items have the vectors that they
would have were they new to the alignment. Each world has other viewers; deviations are between worlds.

held out       a tenth of the items, not in training at all: ranked among all items, and among themselves
missing        models learnt and measured with 30 and 60 % of the modalities taken away
--held-out     the former alone: each model learnt once, without that tenth, and asked for all later events as
               well, every item there to choose from: new items are not to be bought with what is shown of
               others
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))

from encoders.alignment_fit import fit
from encoders.alignment_unseen import unseen_vectors
from state.events import ACTIONS, Action
from state.learning.contenders import contender
from state.learning.dataset import Dataset, dataset_of
from state.learning.evaluation import COLD_SHARE, HEADLINE, EvaluationOptions, Evaluator
from state.learning.interactions import ItemContent, interactions_of
from state.learning.metrics import per_event
from state.learning.protocol import Targets, Task
from state.learning.ranks import RankingOptions, rank
from state.learning.results import Evaluation, ModelResult
from state.learning.splits import Split, temporal, without_items
from state.signals import REJECTING
from streams.demo.viewers import Shelf, Viewer, make_viewers
from streams.records import Item
from tests.bench.sample_vectors import Sample, catalogue_sample, opened_bank

START_MS = 1_750_000_000_000
MINUTE_MS = 60_000
FAR = 0.1
"""Chance that a viewer is away for hours."""
SHOWN = 0.3
"""Chance that there is anything on the slate, which viewers look at every other time."""
MODELS = "random,popularity,recency-mean,content-prior,sasrec,interest"
HELD_OUT = (
    "random", "popularity", "recency-mean", "content-prior", "interest", "interest/without-categories"
)  # fmt: skip
Found = dict[str, float]
"""Figures by name."""


def sample_items(folder: Path) -> tuple[Sample, ItemContent]:
    """The demo's catalogue, and its vectors as those of new items."""
    with opened_bank(folder) as bank:
        sample, builtin = catalogue_sample(bank, folder), bank.builtin_alignment()
    made = unseen_vectors(fit(sample.items, builtin), sample.items, builtin)
    topics = tuple((category,) for category in sample.categories)
    return sample, ItemContent(made.vectors, made.present, topics)


def watched(categories: Sequence[str], size: tuple[int, int], seed: int) -> Dataset:
    """What so many viewers do, in so many events each (`size`)."""
    items = [Item(f"item-{at}", categories=[name]) for at, name in enumerate(categories)]
    viewers = make_viewers(Shelf(items), size[0], seed)
    rows = [(user, *act) for user, one in enumerate(viewers) for act in acts(one, items, size[1])]
    user, item, time, action = np.array(rows, np.int64).T
    columns = {"user": user, "item": item, "time_ms": time, "action": action}
    made = interactions_of(columns, [one.name for one in viewers], [one.item_id for one in items])
    return dataset_of("viewers", made, {})


def acts(viewer: Viewer, items: Sequence[Item], events: int) -> Iterator[tuple[int, int, int]]:
    """Item, time and action of each event that has an item."""
    now, places = START_MS, {one.item_id: at for at, one in enumerate(items)}
    for number in range(events):
        if number == events // 2:
            viewer.change(now)
        far = viewer.chance.random() < FAR
        now += int(viewer.chance.expovariate(1 / ((600 if far else 2) * MINUTE_MS))) + 1
        shown = [viewer.chance.choice(items).item_id] if viewer.chance.random() < SHOWN else []
        done = viewer.act(shown, now)
        if done.item_id:
            yield places[done.item_id], now, ACTIONS.index(Action(done.action))


def welcomed(split: Split) -> Split:
    """The split with those events alone to be foretold that reject nothing."""

    def part(targets: Targets) -> Targets:
        return targets.part(~REJECTING[targets.source.action[targets.positions]])

    return replace(split, validation=part(split.validation), test=part(split.test))


def measured(world: int, sample: tuple[Sample, ItemContent], options: argparse.Namespace) -> Evaluation:
    """Of one world, kept in the folder `into` as it was found."""
    path: Path | None = options.into and options.into / f"{options.name}-{world}.json"
    if path is not None and path.exists():
        return msgspec.json.decode(path.read_bytes(), type=Evaluation)
    dataset = watched(sample[0].categories, (options.viewers, options.events), world)
    wanted = EvaluationOptions(
        tuple(options.models.split(",")),
        seeds=1,
        against="interest",
        cold=not options.alone,
        missing=not options.alone,
    )
    split = welcomed(temporal(dataset.interactions))
    found = Evaluator(split, sample[1], wanted, lambda name, part: None).run(dataset)
    if path is not None:
        path.write_bytes(msgspec.json.encode(found))
    return found


def held_out(world: int, sample: tuple[Sample, ItemContent], options: argparse.Namespace) -> dict[str, Found]:
    """Of one world, model by model; what the folder `into` has is not learnt again."""
    path: Path | None = options.into and options.into / f"held-out-{world}.json"
    found = (
        msgspec.json.decode(path.read_bytes(), type=dict[str, Found])
        if path is not None and path.exists()
        else {}
    )
    dataset = watched(sample[0].categories, (options.viewers, options.events), world)
    split = welcomed(temporal(dataset.interactions))
    for name in HELD_OUT:
        if name not in found:
            found[name] = told_of_new(name, split, sample[1])
            print(f"world {world}: {name}: {found[name]}", flush=True)
            if path is not None:
                path.write_bytes(msgspec.json.encode(found))
    return found


def told_of_new(name: str, split: Split, content: ItemContent) -> Found:
    """NDCG@10 of a model that learnt without a tenth of the items."""
    cold = without_items(split, COLD_SHARE, seed=0)
    learnt = contender(name)[1](Task(cold.train, cold.validation, content), lambda done: None)
    among = np.zeros(cold.train.items, np.bool_)
    among[cold.test.items] = True
    each = per_event(rank(learnt, split.test, RankingOptions()))[HEADLINE]
    themselves = per_event(rank(learnt, cold.test, RankingOptions(candidates=among)))[HEADLINE]
    new = among[split.test.items]
    return {
        "held out, among themselves": float(themselves.mean()),
        "held out, among all items": float(each[new].mean()),
        "others, among all items": float(each[~new].mean()),
        "every event": float(each.mean()),
    }


def figures(model: ModelResult) -> Found:
    out = {"ndcg@10": model.ranking["ndcg@10"].mean, "hr@10": model.ranking["hr@10"].mean}
    if model.verdicts is not None:
        out["likes roc"] = model.verdicts.figures["roc_auc"]
    for one in model.slices:
        if one.group == "items held out":
            out[f"held out, {one.name}, ndcg@10"] = one.metrics["ndcg@10"]
        if one.group == "modalities missing":
            out[f"missing {one.name}, ndcg@10"] = one.metrics["ndcg@10"]
    return out


def tell(found: Sequence[dict[str, Found]]) -> None:
    for name in found[0]:
        each = [one[name] for one in found]
        print(name)
        for figure in each[0]:
            values = [one[figure] for one in each]
            print(f"    {figure:40} {np.mean(values):.4f} ± {np.std(values, ddof=len(values) > 1):.4f}")


def main() -> None:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("--cache", type=Path, help="folder to keep media and vectors in")
    parser.add_argument("--into", type=Path, help="folder to keep each world's findings in")
    parser.add_argument("--name", default="content", help="of the findings in that folder")
    parser.add_argument("--worlds", type=int, default=3)
    parser.add_argument("--viewers", type=int, default=300)
    parser.add_argument("--events", type=int, default=60)
    parser.add_argument("--models", default=MODELS)
    parser.add_argument("--alone", action="store_true", help="without what is held out and what is missing")
    parser.add_argument(
        "--held-out", action="store_true", help="what is held out alone, with categories and without"
    )
    options = parser.parse_args()
    if options.into:
        options.into.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as scratch:
        sample = sample_items(options.cache or Path(scratch))
    found = []
    for world in range(options.worlds):
        if options.held_out:
            found.append(held_out(world, sample, options))
        else:
            made = measured(world, sample, options)
            print(f"world {world}: {made.data}", flush=True)
            found.append({model.name: figures(model) for model in made.models})
    tell(found)


if __name__ == "__main__":
    main()
