"""Which fusion of an item's modalities is best? All, before and after training, on the sample catalogue.

    OMP_NUM_THREADS=1 python tests/bench/bench_item_fusions.py [--cache FOLDER] [--kinds gated,late]

A third of the items is held out. The alignment is fitted to the rest, and so is each fusion, without labels
and on vectors as if the alignment had not seen them; five such splits, mean and standard deviation between.

neighbours     share of held-out items whose nearest neighbour is of the same category
at 30 %, 60 %  the same, when each modality of each item is lost with that chance, but for the last one
text, image,   share of items of which that modality alone finds the rest of the item among the rest of all
sound          held-out items, in the first five; `first`: text and image, at the first place
numbers        that training may change
us             CPU microseconds an item in batches of 1 and of 64, on vectors of two modalities
"""

import argparse
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))

from encoders.alignment import Alignment
from encoders.alignment_figures import SPLITS, spread
from encoders.alignment_fit import fit
from encoders.alignment_unseen import ItemVectors, item_vectors, unseen_vectors
from state.fusions import FUSIONS, ItemFusion
from state.fusions.learning import FIXED, learn
from state.fusions.untrained import untrained
from state.modalities import fuse
from tests.bench.sample_vectors import Sample, catalogue_sample, opened_bank

LOSSES = (0.3, 0.6)
DRAWS = 5
"""Of what is lost, for each split."""
QUERIES = {"text": 0, "image": 1, "sound": 2}


class Split(NamedTuple):
    """Vectors to train on, vectors to judge by, and the categories of the latter."""

    seen: ItemVectors
    held: ItemVectors
    categories: np.ndarray


def made_splits(sample: Sample, builtin: Alignment) -> Iterator[Split]:
    count = len(sample.items)
    for seed in range(SPLITS):
        order = np.random.default_rng(100 + seed).permutation(count).tolist()
        held, seen = order[: count // 3], [sample.items[row] for row in order[count // 3 :]]
        alignment = fit(seen, builtin)
        judged = item_vectors(alignment, [sample.items[row] for row in held])
        categories = np.array([sample.categories[row] for row in held])
        yield Split(unseen_vectors(alignment, seen, builtin), judged, categories)


def vectors_of(fusion: ItemFusion, items: ItemVectors, present: np.ndarray) -> np.ndarray:
    return fusion.fuse(items.vectors[present], present).vectors


def neighbours(rows: np.ndarray, categories: np.ndarray) -> float:
    having = np.flatnonzero(rows.any(axis=1))
    cosines = rows[having] @ rows[having].T
    np.fill_diagonal(cosines, -2)
    return float((categories[having][cosines.argmax(axis=1)] == categories[having]).mean())


def reduced(present: np.ndarray, loss: float, rng: np.random.Generator) -> np.ndarray:
    """What is left of the modalities; the last one of an item stays."""
    order = np.where(present, rng.random(present.shape), 2.0)
    left = present & (order >= loss)
    left[np.arange(len(left)), np.where(present, order, -1).argmax(axis=1)] |= present.any(axis=1)
    return left


def places(fusion: ItemFusion, items: ItemVectors, code: int) -> np.ndarray:
    """At which place a modality alone finds the rest of its item."""
    only = np.zeros_like(items.present)
    only[:, code] = items.present[:, code]
    rest = items.present & ~only
    asking = np.flatnonzero(only[:, code] & rest.any(axis=1))
    queries, found = vectors_of(fusion, items, only)[asking], vectors_of(fusion, items, rest)
    cosines = queries @ found.T
    own = cosines[np.arange(len(asking)), asking]
    return (cosines >= own[:, None]).sum(axis=1) - 1


def figures(fusion: ItemFusion, split: Split, seed: int) -> dict[str, float]:
    items, categories = split.held, split.categories
    out = {"neighbours": neighbours(vectors_of(fusion, items, items.present), categories)}
    for loss in LOSSES:
        rng = np.random.default_rng(seed)
        draws = [reduced(items.present, loss, rng) for _ in range(DRAWS)]
        each = [neighbours(vectors_of(fusion, items, left), categories) for left in draws]
        out[f"at {loss:.0%}"] = float(np.mean(each))
    at = {name: places(fusion, items, code) for name, code in QUERIES.items()}
    out |= {name: float((place < 5).mean()) for name, place in at.items()}
    out["first"] = float(np.mean([(at[name] == 0).mean() for name in ("text", "image")]))
    return out


def cost(fusion: ItemFusion, count: int) -> float:
    """CPU seconds an item, least of the rounds."""
    rng = np.random.default_rng(1)
    vectors = rng.normal(size=(count, 2, 128)).astype("<f2")
    items = [{0: one.tobytes(), 1: other.tobytes()} for one, other in vectors]
    best, turns = np.inf, max(1, 64 // count)
    for _ in range(20):
        started = time.process_time()
        for _ in range(turns):
            fuse(fusion, items)
        best = min(best, time.process_time() - started)
    return best / turns / count


def line(name: str, each: list[dict[str, float]]) -> str:
    cells = [spread([one[figure] for one in each]) for figure in each[0]]
    return f"{name:24}" + "".join(f"{cell.mean:8.3f} ±{cell.deviation:.3f}" for cell in cells)


def compare(splits: list[Split], kinds: list[str]) -> None:
    names = figures(untrained("gated"), splits[0], 0)
    print(f"{'':24}" + "".join(f"{name:>15}" for name in names) + f"{'numbers':>9}{'us':>14}")
    for kind in kinds:
        start = untrained(kind)
        trained = [learn(kind, *split.seen) for split in splits]
        moving = sum(array.size for name, array in trained[0].fusion.arrays.items() if name not in FIXED)
        for when, fusions in (
            ("untrained", [start] * len(splits)),
            ("trained", [learned.fusion for learned in trained]),
        ):
            each = [
                figures(fusion, split, seed)
                for seed, (fusion, split) in enumerate(zip(fusions, splits, strict=True))
            ]
            costs = " / ".join(f"{cost(fusions[0], count) * 1e6:.1f}" for count in (1, 64))
            print(line(f"{kind}, {when}", each) + f"{moving:9,}{costs:>14}", flush=True)
        kept = sum(learned.after > learned.before for learned in trained)
        print(f"{'':24}training was kept in {kept} of {len(trained)} splits")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cache", type=Path, help="folder to keep media and vectors in")
    parser.add_argument("--kinds", default=",".join(FUSIONS))
    chosen = parser.parse_args()
    with TemporaryDirectory() as scratch:
        folder = chosen.cache or Path(scratch)
        with opened_bank(folder) as bank:
            sample, builtin = catalogue_sample(bank, folder), bank.builtin_alignment()
    compare(list(made_splits(sample, builtin)), chosen.kinds.split(","))


if __name__ == "__main__":
    main()
