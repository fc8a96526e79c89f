"""The best 50 of all items for a batch of users: exactly, and by an HNSW index. CPU time of one thread.

    OMP_NUM_THREADS=1 python tests/bench/bench_index.py [--items 2000,20000,200000,1000000] [--turns 5]

Items lie around 200 directions of uneven size, as catalogues do; queries are near items, as interests are.
Exact is what `state.ranking` does: a product of matrices, keys, a partial sort. The index is usearch, inner
product, half precision, 16 links; `wide` is how many candidates it keeps while it searches. Exact and index
take turns; the figures are microseconds of CPU a query, the median of the turns.
"""

import argparse
import resource
import statistics
import time

import numpy as np
from numpy.typing import NDArray
from usearch.index import Index

from state.layout import DIM
from state.ranking import Ties, best, scores

Float32 = NDArray[np.float32]

BEST = 50
BATCHES = (1, 64, 256)
WIDE = (64, 128, 256)
LINKS, BUILD = 16, 128
GROUPS = 200
CELLS = 2_000_000
"""Scores in memory at once, as in `state.recommend`."""


def units(count: int, seed: int) -> Float32:
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((GROUPS, DIM)).astype(np.float32)
    weights = 1 / np.arange(1, GROUPS + 1)
    group = rng.choice(GROUPS, count, p=weights / weights.sum())
    out = np.empty((count, DIM), np.float32)
    for start in range(0, count, 100_000):
        part = group[start : start + 100_000]
        out[start : start + 100_000] = centres[part] + rng.standard_normal((len(part), DIM), np.float32)
    out /= np.linalg.norm(out, axis=1, keepdims=True)
    return out


def asked(items: Float32, count: int) -> Float32:
    rng = np.random.default_rng(5)
    near = items[rng.integers(len(items), size=count)]
    drawn = near + 0.08 * rng.standard_normal(near.shape).astype(np.float32)
    return np.asarray(drawn / np.linalg.norm(drawn, axis=1, keepdims=True), np.float32)


def exact(items: Float32, ties: Ties, queries: Float32) -> NDArray[np.int64]:
    bar = np.zeros((1, len(items)), np.float32)
    return best(scores(queries, items, bar), BEST, ties)


def exact_cost(items: Float32, ties: Ties, queries: Float32) -> float:
    rows = max(1, CELLS // len(items))
    repeat = max(1, 16 // len(queries))
    begun = time.process_time()
    for _ in range(repeat):
        for start in range(0, len(queries), rows):
            exact(items, ties, queries[start : start + rows])
    return (time.process_time() - begun) / (len(queries) * repeat) * 1e6


def index_cost(index: Index, wide: int, queries: Float32) -> float:
    index.expansion_search = wide
    repeat = max(1, 64 // len(queries))
    begun = time.process_time()
    for _ in range(repeat):
        index.search(queries, BEST, threads=1)
    return (time.process_time() - begun) / (len(queries) * repeat) * 1e6


def recall(index: Index, wide: int, probe: Float32, true: list[set[int]]) -> float:
    index.expansion_search = wide
    found = index.search(probe, BEST, threads=1).keys.tolist()
    return statistics.mean(len(one & set(other)) / BEST for one, other in zip(true, found, strict=True))


def measure(count: int, turns: int) -> None:
    items = units(count, 1)
    ties = Ties(np.random.default_rng(2).integers(1, 2**63, size=count).astype(np.uint64))
    index = Index(ndim=DIM, metric="ip", dtype="f16", connectivity=LINKS, expansion_add=BUILD)
    begun = time.process_time()
    for start in range(0, count, 10_000):
        part = items[start : start + 10_000]
        index.add(np.arange(start, start + len(part)), part, threads=1, copy=True)
    built = (time.process_time() - begun) / count * 1e6
    print(f"\n{count:,} items: built in {built:.0f} us an item, {index.memory_usage / 2**20:,.0f} MB")
    probe = asked(items, 256)
    true = [
        set(row)
        for start in range(0, 256, 64)
        for row in exact(items, ties, probe[start : start + 64]).tolist()
    ]
    for wide in WIDE:
        print(f"  wide {wide:3}: recall@{BEST} {recall(index, wide, probe, true):.4f}")
    for batch in BATCHES:
        queries = probe[:batch]
        taken: dict[str, list[float]] = {"exact": [], **{f"wide {wide}": [] for wide in WIDE}}
        for _ in range(turns):
            taken["exact"].append(exact_cost(items, ties, queries))
            for wide in WIDE:
                taken[f"wide {wide}"].append(index_cost(index, wide, queries))
        told = "  ".join(f"{name} {statistics.median(each):9.1f}" for name, each in taken.items())
        print(f"  batch {batch:3}: {told}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--items", default="2000,20000,200000,1000000")
    parser.add_argument("--turns", type=int, default=5)
    options = parser.parse_args()
    for count in options.items.split(","):
        measure(int(count), options.turns)
    print(f"\nmost memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GB")


if __name__ == "__main__":
    main()
