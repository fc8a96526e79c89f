"""How well do the sequential models foretell? One run after another, each kept in a folder.

    python tests/bench/bench_training.py --into FOLDER --models interest,sasrec,gru4rec --seeds 0,1,2
    python tests/bench/bench_training.py --into FOLDER --summary

The data is ML-100K out of the package `recbole` (install it without what it depends on), or --data FOLDER,
in the same format. All ratings are views of their value, as papers take them; with --judged they are likes,
views and dislikes, what was rejected is no target, and how high it is ranked is told beside. Models:
interest, sasrec, gru4rec and interest/NAME, NAME of the ablation. `--search N` searches on the first seed's
validation and keeps what it found for all seeds (`--seeds ""` stops there). A run that was cut off goes on.

    python tests/bench/bench_training.py --million [--models interest]

times one pass over a million interactions that are made up.
"""

import argparse
import importlib.util
import json
import sys
import time
from pathlib import Path

import msgspec
import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[2]))

from state.learning.dataset import Dataset
from state.learning.interactions import Bool, Interactions, ItemContent, interactions_of
from state.learning.intervals import paired_over_seeds
from state.learning.metrics import means, per_event
from state.learning.protocol import Recommender, Targets, Task
from state.learning.ranks import RankingOptions, rank
from state.learning.reading import ReadingOptions, read_dataset
from state.learning.search import search
from state.learning.sequential import ABLATION, Plan, device_of, train
from state.learning.splits import Split, leave_one_out, temporal
from state.learning.trainer import Aside, Schedule
from state.signals import REJECTING

SPLITS = {"leave-one-out": leave_one_out, "temporal": temporal}


class Run(msgspec.Struct):
    """One model, trained once."""

    model: str
    protocol: str
    seed: int
    epochs: int
    best_epoch: int
    validation: float
    metrics: dict[str, float]
    cpu_seconds: float
    epoch_seconds: float
    profile: dict[str, float]
    plan: Plan
    rejected: float | None = None
    """NDCG@10 of what was rejected."""


def packaged() -> Path:
    found = importlib.util.find_spec("recbole")
    if found is None or found.origin is None:
        sys.exit("ML-100K is in the package recbole: uv pip install --no-deps recbole==1.2.1; or name --data")
    return Path(found.origin).parent / "dataset_example" / "ml-100k"


def read(options: argparse.Namespace) -> Dataset:
    reading = ReadingOptions() if options.judged else ReadingOptions(like_from=np.inf, dislike_to=-1)
    return read_dataset(options.data or packaged(), reading)


def wanted(split: Split) -> Split:
    """Without targets that their users rejected: a model that learns not to recommend such is right."""
    kept = (each.part(~rejected(each)) for each in (split.validation, split.test))
    return Split(split.protocol, split.train, *kept)


def rejected(targets: Targets) -> Bool:
    return REJECTING[targets.source.action[targets.positions]]


def content_of(dataset: Dataset, folder: Path) -> ItemContent:
    """The items' texts, encoded once."""
    from streams.evaluation import encoded
    from streams.settings import Settings

    path = folder / "content.npz"
    if not path.exists():
        made = encoded(dataset, Settings())
        if made is None:
            sys.exit("nothing is told of the items")
        np.savez(path, vectors=made.vectors, present=made.present)
    kept = np.load(path)
    return ItemContent(kept["vectors"], kept["present"], dataset.topics, dataset.published_ms)


def plan_of(model: str, options: argparse.Namespace, folder: Path) -> Plan:
    kind, _, part = model.partition("/")
    kept = folder / f"{kind}.plan.json"
    plan = msgspec.json.decode(kept.read_bytes(), type=Plan) if kept.exists() else Plan(kind)
    if options.plan:
        plan = msgspec.json.decode(
            msgspec.json.encode(merged(msgspec.to_builtins(plan), json.loads(options.plan))), type=Plan
        )
    if options.epochs:
        plan = msgspec.structs.replace(
            plan, schedule=msgspec.structs.replace(plan.schedule, epochs=options.epochs)
        )
    if part in ABLATION:
        changed = msgspec.to_builtins(ABLATION[part])
        usual = msgspec.to_builtins(Plan().interest)
        differs = {name: value for name, value in changed.items() if value != usual[name]}
        plan = msgspec.structs.replace(plan, interest=msgspec.structs.replace(plan.interest, **differs))
    return plan


def merged(base: dict[str, object], change: dict[str, object]) -> dict[str, object]:
    out = dict(base)
    for name, value in change.items():
        old = out.get(name)
        out[name] = merged(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return out


def run(
    model: str, seed: int, split: Split, content: ItemContent | None, options: argparse.Namespace
) -> None:
    folder: Path = options.into
    name = f"{model.replace('/', '.')}-{split.protocol}-{seed}"
    if (folder / f"{name}.json").exists():
        return
    told = wanted(split)
    task = Task(told.train, told.validation, content, seed)
    plan, device = plan_of(model, options, folder), device_of(options.device)
    begun = time.process_time()
    made = train(plan, task, lambda done: None, device, Aside(folder / "checkpoints" / name))
    spent = time.process_time() - begun
    values = per_event(rank(made.recommender, told.test, RankingOptions()))
    course = made.outcome.course
    kept = Run(
        model, split.protocol, seed, course.epoch, course.best_epoch, course.best,
        means(values, told.test.users), spent, float(np.mean(course.seconds)), made.outcome.profile, plan,
        turned_down(made.recommender, split.test),
    )  # fmt: skip
    np.savez(folder / f"{name}.npz", users=told.test.users, ndcg=values["ndcg@10"], hr=values["hr@10"])
    (folder / f"{name}.json").write_bytes(msgspec.json.format(msgspec.json.encode(kept), indent=2))
    print(f"{name}: {line(kept)}", flush=True)


def turned_down(model: Recommender, targets: Targets) -> float | None:
    turned = targets.part(rejected(targets))
    if not len(turned):
        return None
    return means(per_event(rank(model, turned, RankingOptions())), turned.users)["ndcg@10"]


def line(one: Run) -> str:
    found = one.metrics
    beside = "" if one.rejected is None else f"  rejected {one.rejected:.4f}"
    return (
        f"ndcg@10 {found['ndcg@10']:.4f}{beside}  hr@10 {found['hr@10']:.4f}  mrr {found['mrr']:.4f}  "
        f"validation {one.validation:.4f}  epoch {one.best_epoch} of {one.epochs}, "
        f"{one.epoch_seconds:.1f} s each"
    )


def searched(
    models: list[str], split: Split, content: ItemContent | None, options: argparse.Namespace
) -> None:
    for model in models:
        path = options.into / f"{model}.plan.json"
        if not path.exists():
            task = Task(split.train, split.validation, content, 0)
            plan = plan_of(model, options, options.into)
            found, _ = search(plan, task, options.search, lambda done: None, device_of(options.device))
            path.write_bytes(msgspec.json.format(msgspec.json.encode(found.plan), indent=2))
            (options.into / f"{model}.tried.json").write_bytes(msgspec.json.encode(found.tried))


def summary(folder: Path, against: str) -> None:
    runs = [msgspec.json.decode(path.read_bytes(), type=Run) for path in sorted(folder.glob("*-[0-9]*.json"))]
    for protocol in sorted({one.protocol for one in runs}):
        print(
            f"\n{protocol}: mean and deviation over seeds; difference in ndcg@10 to {against}, 95 % by users "
            "and seeds"
        )
        values = {}
        for model in sorted({one.model for one in runs if one.protocol == protocol}):
            own = [one for one in runs if (one.model, one.protocol) == (model, protocol)]
            files = [np.load(folder / f"{model.replace('/', '.')}-{protocol}-{one.seed}.npz") for one in own]
            values[model] = np.stack([file["ndcg"] for file in files]), files[0]["users"], own
        for model, (each, users, own) in sorted(values.items(), key=lambda item: -item[1][0].mean()):
            figures = {name: [one.metrics[name] for one in own] for name in ("ndcg@10", "hr@10")}
            text = "  ".join(
                f"{name} {np.mean(got):.4f} ± {np.std(got, ddof=len(got) > 1):.4f}"
                for name, got in figures.items()
            )
            if model != against and against in values:
                found = paired_over_seeds(each, values[against][0], users)
                text += f"  {found.mean:+.4f} ({found.low:+.4f} to {found.high:+.4f}, p {found.p:.3f})"
            turned = [one.rejected for one in own if one.rejected is not None]
            if turned:
                text += f"  rejected {np.mean(turned):.4f} ± {np.std(turned, ddof=len(turned) > 1):.4f}"
            seconds = np.mean([one.epoch_seconds for one in own])
            print(f"{model:26} {len(own)} seeds  {text}  {seconds:.1f} s an epoch")


def million(models: list[str], options: argparse.Namespace) -> None:
    """20,000 users, 20,000 items with popularity by Zipf, 50 events each."""
    rng = np.random.default_rng(0)
    users, items, each = 20_000, 20_000, 50
    chance = 1 / np.arange(1, items + 1)
    made: Interactions = interactions_of(
        {
            "user": np.repeat(np.arange(users), each),
            "item": rng.choice(items, users * each, p=chance / chance.sum()),
            "time_ms": np.cumsum(rng.exponential(3_600_000, (users, each)), axis=1).ravel(),
            "action": np.zeros(users * each),
        },
        [str(at) for at in range(users)],
        [str(at) for at in range(items)],
    )
    task = Task(made, Targets(made, np.arange(each - 1, users * each, each * 100)), None, 0)
    for model in models:
        plan = msgspec.structs.replace(
            plan_of(model, options, options.into), schedule=Schedule(epochs=1, length=64)
        )
        begun = time.perf_counter(), time.process_time()
        outcome = train(plan, task, lambda done: None, device_of(options.device)).outcome
        wall, cpu = time.perf_counter() - begun[0], time.process_time() - begun[1]
        threads = torch.get_num_threads()
        print(f"{model}: {wall:.0f} s, {cpu:.0f} s of CPU on {threads} threads; ms a step: {outcome.profile}")


def main() -> None:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("--into", type=Path, default=Path("/tmp/bench-training"))
    parser.add_argument("--data", type=Path)
    parser.add_argument("--models", default="interest,sasrec,gru4rec")
    parser.add_argument("--protocols", default="leave-one-out,temporal")
    parser.add_argument("--seeds", default="0")
    parser.add_argument("--epochs", type=int, default=0)
    parser.add_argument("--plan", help="Changes to the plan, as JSON.")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--search", type=int, default=0)
    parser.add_argument("--content", action="store_true", help="Titles and genres, encoded.")
    parser.add_argument("--judged", action="store_true")
    parser.add_argument("--summary", action="store_true")
    parser.add_argument("--against", default="sasrec")
    parser.add_argument("--million", action="store_true")
    options = parser.parse_args()
    options.into.mkdir(parents=True, exist_ok=True)
    models = options.models.split(",")
    if options.summary:
        summary(options.into, options.against)
    elif options.million:
        million(models, options)
    else:
        dataset = read(options)
        content = content_of(dataset, options.into) if options.content else None
        splits = [SPLITS[name](dataset.interactions) for name in options.protocols.split(",")]
        if options.search:
            searched(models, wanted(splits[0]), content, options)
        for seed in map(int, filter(None, options.seeds.split(","))):
            for split in splits:
                for model in models:
                    run(model, seed, split, content, options)


if __name__ == "__main__":
    main()
