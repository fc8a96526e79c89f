"""How good are labels that are inferred from few others, and do chosen ones help more than random ones?

    OMP_NUM_THREADS=1 python tests/bench/bench_labels.py --cache FOLDER

The sample catalogue (414 items, 16 categories, real vectors aligned without labels). First: so many labels of
each category, drawn at random; accuracy of what is inferred of all others, by three ways; then the share of
items with a confidence of .6 or more, and the accuracy on these. Second: 20, 40 and 80 labels, asked for 20
at a time given the answers so far, against as many drawn at random. Mean and deviation of five seeds; where
items are asked for, the seed draws the first five labels.
"""

import argparse
import importlib
import sys
import warnings
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))

from state.labels.asking import most_useful
from state.labels.inference import infer
from state.labels.material import UNKNOWN, Labels

SEEDS, SHOTS, ROUNDS, STEP, BEGIN = 5, (1, 2, 5), (20, 40, 80), 20, 5
SURE = 0.6


def known_of(truth: np.ndarray, rows: np.ndarray) -> Labels:
    """The names of all categories are known; codes are of those rows alone."""
    names = np.unique(truth[rows])
    codes = np.full(len(truth), UNKNOWN)
    codes[rows] = names.searchsorted(truth[rows])
    return Labels(tuple(map(str, names)), codes)


def drawn(truth: np.ndarray, shots: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    picks = [rng.permutation(np.flatnonzero(truth == name))[:shots] for name in np.unique(truth)]
    return np.concatenate(picks)


def spread(vectors: np.ndarray, labels: Labels) -> tuple[np.ndarray, np.ndarray]:
    found, sure = infer(vectors, labels).likeliest()
    return np.array(found), sure


def self_trained(vectors: np.ndarray, labels: Labels) -> tuple[np.ndarray, np.ndarray]:
    semi, linear = (
        importlib.import_module(f"sklearn.{name}") for name in ("semi_supervised", "linear_model")
    )
    model = semi.SelfTrainingClassifier(linear.LogisticRegression(C=10.0, max_iter=300), threshold=0.8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(vectors, labels.codes)
    shares = model.predict_proba(vectors)
    names = np.array(labels.names)[model.classes_]
    return names[shares.argmax(axis=1)], shares.max(axis=1)


def nearest(vectors: np.ndarray, labels: Labels) -> tuple[np.ndarray, np.ndarray]:
    given = np.flatnonzero(labels.codes != UNKNOWN)
    cosines = vectors @ vectors[given].T
    return np.array(labels.names)[labels.codes[given[cosines.argmax(axis=1)]]], cosines.max(axis=1)


WAYS = {"spreading": spread, "self-training": self_trained, "nearest labelled item": nearest}


def by_shots(vectors: np.ndarray, truth: np.ndarray) -> None:
    for shots in SHOTS:
        for name, way in WAYS.items():
            told = []
            for seed in range(SEEDS):
                rows = drawn(truth, shots, seed)
                found, sure = way(vectors, known_of(truth, rows))
                rest = np.setdiff1d(np.arange(len(truth)), rows)
                right, kept = found[rest] == truth[rest], sure[rest] >= SURE
                told.append((right.mean(), kept.mean(), right[kept].mean() if kept.any() else np.nan))
            print(f"{shots} a category, {name:24}" + cells(told), flush=True)


def asked_for(vectors: np.ndarray, truth: np.ndarray, seed: int, doubting: bool) -> list[float]:
    """Accuracy on the items without a label after each round."""
    rng = np.random.default_rng(seed)
    rows = np.sort(rng.choice(len(truth), BEGIN, replace=False))
    out = []
    while len(rows) < max(ROUNDS):
        count = min(STEP, ROUNDS[len(out)] - len(rows))
        belief = infer(vectors, known_of(truth, rows)) if doubting else None
        rows = np.concatenate([rows, most_useful(vectors, belief, rows, count)])
        if len(rows) in ROUNDS:
            out.append(accuracy(vectors, truth, rows))
    return out


def at_random(vectors: np.ndarray, truth: np.ndarray, seed: int) -> list[float]:
    order = np.random.default_rng(seed).permutation(len(truth))
    return [accuracy(vectors, truth, order[:count]) for count in ROUNDS]


def accuracy(vectors: np.ndarray, truth: np.ndarray, rows: np.ndarray) -> float:
    found, _ = spread(vectors, known_of(truth, rows))
    rest = np.setdiff1d(np.arange(len(truth)), rows)
    return float((found[rest] == truth[rest]).mean())


def cells(told: list[tuple[float, ...]]) -> str:
    """Mean and deviation of each column, of the seeds that have the figure."""
    columns = [[value for value in column if not np.isnan(value)] for column in zip(*told, strict=True)]
    return "".join(
        f"{np.mean(column):9.3f} ±{np.std(column):.3f}" if column else f"{'-':>15}" for column in columns
    )


def compare(vectors: np.ndarray, truth: np.ndarray) -> None:
    print(f"{len(truth)} items, {len(np.unique(truth))} categories")
    print(f"{'':38}{'accuracy':>15}{f'at {SURE:g}':>15}{'right of these':>15}")
    by_shots(vectors, truth)
    print(f"{'':38}" + "".join(f"{f'{count} labels':>15}" for count in ROUNDS))
    print(f"{'at random':38}" + cells([tuple(at_random(vectors, truth, seed)) for seed in range(SEEDS)]))
    for name, doubting in (("spread out alone", False), ("spread out, weighed by doubt", True)):
        told = [tuple(asked_for(vectors, truth, seed, doubting)) for seed in range(SEEDS)]
        print(f"{name:38}" + cells(told), flush=True)


def main() -> None:
    from encoders.alignment_fit import fit
    from encoders.alignment_unseen import item_vectors
    from tests.bench.sample_vectors import catalogue_sample, opened_bank

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cache", type=Path, required=True)
    cache = parser.parse_args().cache
    with opened_bank(cache) as bank:
        sample = catalogue_sample(bank, cache)
        items = item_vectors(fit(sample.items, bank.builtin_alignment()), sample.items)
    means = items.vectors.sum(axis=1, where=items.present[..., None])
    compare(means / np.linalg.norm(means, axis=1, keepdims=True), np.array(sample.categories))


if __name__ == "__main__":
    main()
