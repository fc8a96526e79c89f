"""How good the shared space is, built in and fitted, on pictures with titles, sounds and clips.

    OMP_NUM_THREADS=1 python tests/bench/bench_alignment.py [--cache FOLDER] [--counts 60,150,605] [--costs]

The stamps of Debian's package are fetched into the cache, and what is encoded stays there. 180 items are held
out, the fit sees the others; five such splits, mean and standard deviation between them.

R@k: the share of queries that have their own counterpart among the k nearest of the held-out items; a clip is
a pan over a picture that no fit has seen, without its sound. Neighbours: the share of held-out items whose
nearest neighbour is of the same category, by text, image, sound and the mean of the three. Lift: how much
more often a modality is among the ten nearest of a query than among all held-out vectors, the query's own
item aside; where no modality dominates it is 1.
"""

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))

from encoders.alignment import Alignment, to_64, unit
from encoders.alignment_figures import Spread, aligned, retrieval, splits, spread
from encoders.alignment_fit import FitItem, fit
from encoders.bank import EncoderBank
from encoders.base import Float32, Medium, Modality
from streams.demo import stamps
from tests.bench.sample_vectors import Stamps, opened_bank, stamp_vectors

HELD_OUT = 180
NEAREST = 10
SEEN = (Modality.TEXT, Modality.IMAGE, Modality.AUDIO)


def same_category(rows: Float32, categories: np.ndarray) -> float:
    having = np.flatnonzero(rows.any(axis=1))
    cosines = rows[having] @ rows[having].T
    np.fill_diagonal(cosines, -2)
    return float((categories[having][cosines.argmax(axis=1)] == categories[having]).mean())


def lifts(rows: dict[Modality, Float32]) -> dict[str, float]:
    """By the modality of the query and that of what is found."""
    pool = np.concatenate([rows[modality] for modality in SEEN])
    kinds = np.repeat(np.arange(len(SEEN)), [len(rows[modality]) for modality in SEEN])
    there, items = pool.any(axis=1), np.tile(np.arange(len(rows[SEEN[0]])), len(SEEN))
    cosines = np.where(there & (items[:, None] != items), pool @ pool.T, -2)
    top = kinds[np.argsort(-cosines, axis=1)[:, :NEAREST]]
    return {
        f"lift {asking} to {found}": float(
            (top[there & (kinds == a)] == f).mean() / (kinds[there] == f).mean()
        )
        for a, asking in enumerate(SEEN)
        for f, found in enumerate(SEEN)
    }


def figures(alignment: Alignment, data: Stamps, held: np.ndarray) -> dict[str, float]:
    items = [data.shown[row] for row in held]
    categories = np.array(data.categories)[held]
    rows = {modality: aligned(alignment, items, modality) for modality in SEEN}
    foreign = aligned(alignment, [data.chinese[row] for row in held], Modality.TEXT)
    asked = foreign.any(axis=1)
    cosines = foreign[asked] @ rows[Modality.IMAGE].T
    own = cosines[np.arange(len(cosines)), np.flatnonzero(asked)]
    chinese = ((cosines > own[:, None]).sum(axis=1) < 5).mean()
    mean = unit(np.sum([rows[modality] for modality in SEEN], axis=0))
    return {
        **retrieval(alignment, items),
        "Chinese to image R@5": float(chinese),
        **{f"neighbours by {name}": same_category(each, categories) for name, each in rows.items()},
        "neighbours by the mean": same_category(mean, categories),
        "neighbours by 64 of the mean": same_category(to_64(mean), categories),
        **lifts(rows),
    }


def quality(data: Stamps, builtin: Alignment, counts: Sequence[int]) -> None:
    ways: dict[str, Callable[[Sequence[FitItem]], Alignment]] = {"built in": lambda _: builtin}
    for count in counts:
        ways[f"fitted on {count}"] = lambda seen, count=count: fit(seen[:count], builtin)
    found: dict[str, dict[str, Spread]] = {}
    for name, way in ways.items():
        each = [
            figures(way([data.items[row] for row in seen]), data, out)
            for out, seen in splits(len(data.items), HELD_OUT)
        ]
        found[name] = {figure: spread([one[figure] for one in each if figure in one]) for figure in each[0]}
    sounds = sum(Modality.AUDIO in item for item in data.items)
    print(f"{len(data.items)} items, {sounds} with a sound; {HELD_OUT} held out")
    print(f"{'':30}" + "".join(f"{name:>16}" for name in ways))
    for figure in next(iter(found.values())):
        cells = (f"{by[figure].mean:.3f} ± {by[figure].deviation:.3f}" for by in found.values())
        print(f"{figure:30}" + "".join(f"{cell:>16}" for cell in cells))


def timed(name: str, media: Sequence[Medium], bank: EncoderBank) -> None:
    start = time.process_time()
    bank.encode(media)
    print(f"{name:40}{(time.process_time() - start) / len(media) * 1e6:12.1f} us of CPU a medium")


def costs(folder: Path) -> None:
    """Of a bank with an empty cache; decoding, which has processes of its own, is not counted."""
    pictures = list(stamps.pictures(stamps.fetch(folder)))
    images = [Medium(path.read_bytes(), Modality.IMAGE, path.name) for path in pictures[:33]]
    sounds = [
        Medium(sound.read_bytes(), Modality.AUDIO) for path in pictures if (sound := stamps.sound(path))
    ][:9]
    texts = [Medium(f"A sentence about subject {number}.".encode(), Modality.TEXT) for number in range(65)]
    with TemporaryDirectory() as scratch, opened_bank(Path(scratch)) as bank:
        bank.encode([images[32], sounds[8], texts[64]])
        for name, some in (("64 texts", texts[:64]), ("16 images", images[:16]), ("8 sounds", sounds[:8])):
            timed(f"{name}, encoded", some, bank)
            timed(f"{name}, again: from memory", some, bank)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cache", type=Path, help="folder to keep media and vectors in")
    parser.add_argument("--counts", default="60,150,605", help="how many items the fits see")
    parser.add_argument("--costs", action="store_true", help="also measure what encoding costs")
    chosen = parser.parse_args()
    with TemporaryDirectory() as scratch:
        folder = chosen.cache or Path(scratch)
        if chosen.costs:
            costs(folder)
        with opened_bank(folder) as bank:
            data, builtin = stamp_vectors(bank, folder), bank.builtin_alignment()
        quality(data, builtin, [int(count) for count in chosen.counts.split(",")])


if __name__ == "__main__":
    main()
