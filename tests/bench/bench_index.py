"""The best of all items for a batch of users: exactly, by the index of cells, and by an HNSW graph (usearch).

    OMP_NUM_THREADS=1 python tests/bench/bench_index.py [--items 20000,200000] [--kind spread]
        [--asked near] [--best 50] [--probes 0] [--batch 64] [--turns 5]
        [--widths 64,256,1024] [--links 32] [--adding 128] [--keep FOLDER]

`spread`: items lie around 200 directions of uneven size, with noise as large as the direction. `clustered`:
directions have 20 narrower ones each, and items differ in a few dimensions above all. Told first is how many
dimensions the neighbourhood of an item has (Levina and Bickel, 2004), of as many items as MovieLens has.
Queries lie near an item, or between two, of different directions in most cases, as people with several tastes
do.

Exact is what `state.ranking` does: a product of matrices, keys, a partial sort. Of cells 0 probes are as many
as serving looks into. The graph is in half precision: `links` of an item on each level, twice as many on the
lowest, `adding` candidates kept while an item is added, and a width how many while it is searched; it is left
out without widths, and with `--keep` saved while it grows, gone on with and used again. All take turns; the
figures are microseconds of CPU a query on one thread, the median of the turns, with the recall of the mean
query and of the worst.
"""

import argparse
import json
import resource
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np
from numpy.typing import NDArray

from state.layout import DIM
from state.ranking import Ties, best, scores
from state.strategies.cells import Cells, probes_of

if TYPE_CHECKING:
    from usearch.index import Index

Float32 = NDArray[np.float32]
Int64 = NDArray[np.int64]
Way = Callable[[Float32], list[list[int]]]

GROUPS, WITHIN = 200, 20
PROBES = 256
FILMS = 1_682
CELLS = 2_000_000
"""Scores in memory at once, as in `state.recommend`."""
AT_ONCE = 10_000
SAVED = 50_000
"""Items between two times that an index is saved."""


class Graph(msgspec.Struct, frozen=True):
    """Of an HNSW index."""

    links: int
    adding: int
    keep: str

    def path(self, kind: str, count: int) -> Path | None:
        return Path(self.keep) / f"{kind}-{count}-{self.links}-{self.adding}.usearch" if self.keep else None


def unit(vectors: Float32) -> Float32:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


def spread(count: int, seed: int) -> tuple[Float32, Int64]:
    """Unit vectors [count, 64], and the direction of each."""
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((GROUPS, DIM)).astype(np.float32)
    group = _groups(rng, count)
    out = np.empty((count, DIM), np.float32)
    for start in range(0, count, 100_000):
        part = group[start : start + 100_000]
        out[start : start + 100_000] = unit(centres[part] + rng.standard_normal((len(part), DIM), np.float32))
    return out, group


def clustered(count: int, seed: int) -> tuple[Float32, Int64]:
    """As `spread`; differences fall with the root of the dimension's number."""
    rng = np.random.default_rng(seed)
    spectrum = (np.arange(1, DIM + 1) ** -0.5).astype(np.float32)
    turned = np.linalg.qr(rng.standard_normal((DIM, DIM)))[0].astype(np.float32)
    shape = (spectrum / np.sqrt(np.mean(spectrum**2)))[:, None] * turned
    centres = rng.standard_normal((GROUPS, DIM), np.float32) @ shape
    inner = 0.7 * rng.standard_normal((GROUPS * WITHIN, DIM), np.float32) @ shape
    group, within = _groups(rng, count), rng.integers(WITHIN, size=count)
    out = np.empty((count, DIM), np.float32)
    for start in range(0, count, 100_000):
        part = group[start : start + 100_000]
        middle = centres[part] + inner[part * WITHIN + within[start : start + 100_000]]
        out[start : start + 100_000] = unit(
            middle + 0.5 * rng.standard_normal((len(part), DIM), np.float32) @ shape
        )
    return out, group


def _groups(rng: np.random.Generator, count: int) -> Int64:
    weights = 1 / np.arange(1, GROUPS + 1)
    return rng.choice(GROUPS, count, p=weights / weights.sum())


def dimensions(items: Float32) -> float:
    """Of neighbourhoods: the inverse of the mean logarithm of the 20th neighbour's distance over others'."""
    apart = np.sqrt(np.maximum(2 - 2 * (items[:400] @ items.T), 1e-12))
    apart = np.sort(apart, axis=1)[:, 1:21]
    return float(1 / np.mean(np.log(apart[:, -1:] / apart[:, :-1])))


def queries(items: Float32, count: int, between: bool) -> Float32:
    rng = np.random.default_rng(5)
    near = items[rng.integers(len(items), size=count)]
    if between:
        return unit(near + items[rng.integers(len(items), size=count)])
    return unit(near + 0.08 * rng.standard_normal(near.shape).astype(np.float32))


def empty(graph: Graph) -> "Index":
    from usearch.index import Index

    return Index(ndim=DIM, metric="ip", dtype="f16", connectivity=graph.links, expansion_add=graph.adding)


def grown(index: "Index", items: Float32, path: Path | None) -> float:
    """CPU seconds that adding all items took; with a path, those of earlier runs included."""
    took, adding = 0.0, index.expansion_add
    if path is not None and path.exists():
        index.load(path)
        index.expansion_add = adding
        took = json.loads(path.with_suffix(".json").read_text())["seconds"]
    while len(index) < len(items):
        start = len(index)
        part = items[start : start + AT_ONCE]
        begun = time.process_time()
        index.add(np.arange(start, start + len(part), dtype=np.uint64), part, threads=1, copy=True)
        took += time.process_time() - begun
        if path is not None and (len(index) % SAVED == 0 or len(index) == len(items)):
            _save(index, path, took)
    return took


def _save(index: "Index", path: Path, seconds: float) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    index.save(path.with_suffix(".part"))
    path.with_suffix(".part").replace(path)
    path.with_suffix(".json").write_text(json.dumps({"seconds": seconds}))


def exact(items: Float32, ties: Ties, queries: Float32, count: int) -> Int64:
    bar = np.zeros((1, len(items)), np.float32)
    rows = max(1, CELLS // len(items))
    parts = [queries[start : start + rows] for start in range(0, len(queries), rows)]
    return np.concatenate([best(scores(part, items, bar), count, ties) for part in parts])


def by_graph(index: "Index", width: int, queries: Float32, count: int) -> list[list[int]]:
    index.expansion_search = width
    found: list[list[int]] = index.search(queries, count, threads=1).keys.tolist()
    return found


def ways(options: argparse.Namespace, items: Float32) -> dict[str, Way]:
    """Exact search and those by the two indexes, which are built here."""
    count, best_of = len(items), options.best
    ties = Ties(np.random.default_rng(2).integers(1, 2**63, size=count).astype(np.uint64))
    found: dict[str, Way] = {"exact": lambda asked: exact(items, ties, asked, best_of).tolist()}
    begun = time.process_time()
    cells = Cells(items, np.arange(count))
    took = time.process_time() - begun
    print(
        f"\n{count:,} items, {options.kind}, {options.asked}: {cells.number} cells, "
        f"{took / count * 1e6:.1f} us an item, {cells.nbytes / count:,.0f} bytes an item"
    )
    for number in _numbers(options.probes):
        probes = number or probes_of(cells.number)
        found[f"probes {probes}"] = lambda asked, probes=probes: cells.search(asked, best_of, probes).tolist()
    if options.widths:
        graph = Graph(options.links, options.adding, options.keep)
        index = empty(graph)
        took = grown(index, items, graph.path(options.kind, count))
        print(
            f"HNSW, {graph.links} links, {graph.adding} while adding: {took / count * 1e6:.1f} us an item, "
            f"{index.memory_usage / count:,.0f} bytes an item"
        )
        for width in _numbers(options.widths):
            found[f"width {width}"] = lambda asked, width=width: by_graph(index, width, asked, best_of)
    return found


def measure(options: argparse.Namespace, count: int) -> None:
    items = KINDS[options.kind](count, 1)[0]
    found = ways(options, items)
    probe = queries(items, PROBES, options.asked == "between")
    asked, repeat = probe[: options.batch], max(1, 64 // options.batch)
    taken: dict[str, list[float]] = {name: [] for name in found}
    for _ in range(options.turns):
        for name, way in found.items():
            begun = time.process_time()
            for _ in range(repeat):
                way(asked)
            taken[name].append((time.process_time() - begun) / (len(asked) * repeat) * 1e6)
    true = [set(row) for row in found["exact"](probe)]
    for name, way in found.items():
        shares = [len(one & set(other)) / len(one) for one, other in zip(true, way(probe), strict=True)]
        print(
            f"  {name:12} {statistics.median(taken[name]):9.1f} us, recall@{options.best} "
            f"{statistics.mean(shares):.4f}, least {min(shares):.2f}",
            flush=True,
        )


def _numbers(told: str) -> list[int]:
    return [int(number) for number in told.split(",")]


KINDS = {"spread": spread, "clustered": clustered}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--items", default="20000,200000")
    parser.add_argument("--kind", choices=KINDS, default="spread")
    parser.add_argument("--asked", choices=("near", "between"), default="near")
    parser.add_argument("--best", type=int, default=50)
    parser.add_argument("--probes", default="0")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--widths", default="")
    parser.add_argument("--links", type=int, default=32)
    parser.add_argument("--adding", type=int, default=128)
    parser.add_argument("--keep", default="", metavar="FOLDER")
    options = parser.parse_args()
    few = KINDS[options.kind](FILMS, 1)[0]
    print(f"{options.kind}: {dimensions(few):.1f} dimensions of {FILMS:,} items")
    for count in _numbers(options.items):
        measure(options, count)
    print(f"\nmost memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GB")


if __name__ == "__main__":
    main()
