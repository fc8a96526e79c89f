"""Cost of folding and reading, on one thread, in microseconds of CPU per event.

    OMP_NUM_THREADS=1 python tests/bench/bench_fusion.py [--rounds 40] [--profile]

Users have a past of 60 events. A batch of n is one event of each of n users: `fold` is bytes and rows to
bytes, `read` is bytes to readouts. The last line is a batch of 256 rows of one user, who is folded in turns.
Least and median of the rounds.
"""

import argparse
import cProfile
import itertools
import pstats
import time

import numpy as np

from state.artifact import load_artifact
from state.events import ACTIONS, Action, Row
from state.fusion import Fusion
from state.layout import RECORD_BYTES

BATCHES = (1, 16, 64, 256)
PAST = 60
START = 1_750_000_000_000
_counter = itertools.count()
_usual = [ACTIONS.index(action) for action in (Action.VIEW,) * 5 + (Action.CLICK, Action.LIKE, Action.SKIP)]


def media(rng: np.random.Generator) -> dict[int, bytes]:
    vectors = rng.normal(size=(2, 128))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return {code: vector.astype("<f2").tobytes() for code, vector in enumerate(vectors)}


def row(rng: np.random.Generator, user: int, catalogue: list[dict[int, bytes]]) -> Row:
    at, item = next(_counter), int(rng.integers(len(catalogue)))
    action = _usual[rng.integers(len(_usual))]
    return Row(
        f"user-{user}",
        f"event-{at}",
        action,
        START + at * 1_000,
        at,
        START,
        f"item-{item}",
        catalogue[item],
        dwell_seconds=12.0,
    )


def measure(
    fusion: Fusion, states: list[bytes | None], batches: list[list[list[Row]]]
) -> tuple[list[float], list[float]]:
    """CPU seconds of each fold and of each read."""
    folds, reads = [], []
    for batch in batches:
        started = time.process_time()
        states = list(fusion.fold(states, batch).states)
        folded = time.process_time()
        fusion.read([state for state in states if state is not None])
        folds.append(folded - started)
        reads.append(time.process_time() - folded)
    return folds, reads


def line(name: str, seconds: tuple[list[float], list[float]], events: int) -> str:
    numbers = [1e6 * pick(part) / events for part in seconds for pick in (min, np.median)]
    return f"{name:>18}" + "".join(f"{number:12.1f}" for number in numbers)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--profile", action="store_true")
    options = parser.parse_args()
    rng, fusion = np.random.default_rng(1), Fusion(load_artifact(""))
    catalogue = [media(rng) for _ in range(500)]
    states: list[bytes | None] = [None] * max(BATCHES)
    for _ in range(PAST):
        states = list(
            fusion.fold(states, [[row(rng, user, catalogue)] for user in range(len(states))]).states
        )
    print(
        f"record: {RECORD_BYTES} bytes\n"
        f"{'batch':>18}{'fold least':>12}{'median':>12}{'read least':>12}{'median':>12}"
    )
    for size in BATCHES:
        batches = [[[row(rng, user, catalogue)] for user in range(size)] for _ in range(options.rounds)]
        print(line(f"{size} users", measure(fusion, states[:size], batches), size))
    alone = [[[row(rng, 0, catalogue) for _ in range(256)]] for _ in range(max(options.rounds // 10, 2))]
    print(line("256 rows of one", measure(fusion, states[:1], alone), 256))
    if options.profile:
        batches = [[[row(rng, user, catalogue)] for user in range(64)] for _ in range(200)]
        profile = cProfile.Profile()
        profile.runcall(measure, fusion, states[:64], batches)
        pstats.Stats(profile).sort_stats("tottime").print_stats(30)


if __name__ == "__main__":
    main()
