"""CPU of a slate by the size of the catalogue: every item looked at, or an index searched; and what the index
misses.

    OMP_NUM_THREADS=1 python tests/bench/bench_serving.py [--items 2000,20000,200000,1000000] [--users 64]
        [--turns 5] [--probes 0]

Users have 40 events each; slates are of 20, by the default settings, reasons included, availability, sights
and dislikes filtered. Items lie around 200 directions of uneven size. Both ways take turns over the same
users in one process; the figures are microseconds of CPU a user, median of the turns. Recall is the share of
the slate by looking at all that the index brings as well; `candidates` the same of the 200 nearest. Then what
taking in 1,000 more items costs the writer, and the first slates after it the reader. 0 probes
are as many cells as serving looks into by itself.
"""

import argparse
import resource
import statistics
import time
from collections.abc import Iterator

import numpy as np

from state.catalogue import Catalogue
from state.events import ACTIONS, Action, Row
from state.fusion import Fusion
from state.items import EncodedItem
from state.layout import SHARED_DIM
from state.prior import content_prior
from state.profile import Profile, fold_profile
from state.ranking import queries
from state.recommend import Audience, Recommender
from state.settings import RecommendSettings
from state.slots import item_hash
from state.strategies.base import Ask
from state.strategies.field import FoundField, WholeField

START = 1_750_000_000_000
GROUPS = 200
PAST = 40
BULK = 5_000
TOP = 20
NEAREST = 200


class Space:
    """Vectors as they are, so that a million of them need not be fused first."""

    def __init__(self) -> None:
        self.next: np.ndarray | None = None

    def item_vectors(self, vectors: object, items: object, topics: object) -> np.ndarray:
        assert self.next is not None
        return self.next


def drawn(count: int, first: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors [count, 128] around uneven directions, and their groups."""
    centres = np.random.default_rng(1).standard_normal((GROUPS, SHARED_DIM)).astype(np.float32)
    weights = 1 / np.arange(1, GROUPS + 1)
    group = rng.choice(GROUPS, count, p=weights / weights.sum())
    made = centres[group] + rng.standard_normal((count, SHARED_DIM), np.float32)
    made /= np.linalg.norm(made, axis=1, keepdims=True)
    return made, group


def items_of(first: int, groups: np.ndarray) -> Iterator[tuple[str, EncodedItem]]:
    for number, group in enumerate(groups.tolist(), first):
        name = f"i{number}"
        yield name, EncodedItem(name, 0, number, categories=(f"c{group}",), tags=(f"t{number % 40}",))


class World:
    """One catalogue with two ways to search it."""

    def __init__(self, count: int) -> None:
        self._rng = np.random.default_rng(2)
        self.fusion = Fusion(content_prior())
        self._space = Space()
        self.catalogue = Catalogue(self._space)
        self.vectors = np.empty((0, SHARED_DIM), np.float16)
        self.groups = np.empty(0, np.int64)
        for start in range(0, count, BULK):
            self.load(min(BULK, count - start))
        self.whole = Recommender(self.catalogue, RecommendSettings(top_k=TOP))
        began = time.process_time()
        self.found = Recommender(self.catalogue, RecommendSettings(top_k=TOP, index_above=1))
        self.built = (time.process_time() - began) / count * 1e6
        assert self.found._index is not None
        self.nearest = self.found._index

    def load(self, count: int) -> float:
        """Take in more items; returns the CPU seconds of it."""
        made, groups = drawn(count, len(self.groups), self._rng)
        fused = self.fusion.item_vectors([{1: each.astype("<f2").tobytes()} for each in made], [])
        changes = list(items_of(len(self.groups), groups))
        self._space.next = fused
        began = time.process_time()
        self.catalogue.apply(changes)
        took = time.process_time() - began
        self.vectors = np.concatenate([self.vectors, made.astype(np.float16)])
        self.groups = np.concatenate([self.groups, groups])
        return took

    def audience(self, users: int, seed: int) -> Audience:
        rng = np.random.default_rng(seed)
        pasts, profiles = [], []
        for user in range(users):
            tastes = rng.choice(30, 2, replace=False)
            mine = [np.flatnonzero(self.groups == taste) for taste in tastes]
            rows = [self._row(user, turn, int(rng.choice(mine[turn % 2]))) for turn in range(PAST)]
            profile = Profile()
            fold_profile(profile, [(row, item_hash(row.item_id or "")) for row in rows])
            pasts.append(rows)
            profiles.append(profile)
        states = self.fusion.fold([None] * users, pasts).states
        readouts = self.fusion.read(states)
        return Audience(readouts, profiles, readouts.time_ms + 1)

    def _row(self, user: int, turn: int, number: int) -> Row:
        action = ACTIONS.index(Action.LIKE if turn % 5 == 0 else Action.VIEW)
        vectors = {1: self.vectors[number].astype("<f2").tobytes()}
        when = START + turn * 60_000
        return Row(f"u{user}", f"e{user}-{turn}", action, when, turn, when, f"i{number}", vectors)


def cost(recommender: Recommender, audience: Audience) -> float:
    began = time.process_time()
    recommender.slates(audience)
    return (time.process_time() - began) / len(audience) * 1e6


def agreement(world: World, audience: Audience) -> tuple[float, float]:
    """Of slates, and of the nearest items that may be shown."""
    pairs = zip(world.whole.slates(audience).each(), world.found.slates(audience).each(), strict=True)
    slates = statistics.mean(len(set(one.items) & set(other.items)) / TOP for one, other in pairs)
    shares = []
    for start in range(0, len(audience), 8):
        part = audience.part(list(range(start, min(start + 8, len(audience)))))
        whole, found = (recommender._field(part) for recommender in (world.whole, world.found))
        assert isinstance(whole, WholeField) and isinstance(found, FoundField)
        asked = queries(Ask(part, whole).audience.readouts)
        both = (field.nearest(asked, NEAREST) for field in (whole, found))
        for one, other in zip(*both, strict=True):
            shares.append(len(set(one.tolist()) & set(other.tolist())) / NEAREST)
    return slates, statistics.mean(shares)


def measure(count: int, options: argparse.Namespace) -> None:
    world = World(count)
    audiences = [world.audience(options.users, seed) for seed in range(2)]
    probes = [int(number) for number in options.probes.split(",")]
    taken: dict[int | None, list[float]] = {None: [], **{number: [] for number in probes}}
    for turn in range(options.turns + 1):
        for number, values in taken.items():
            world.nearest._probes = number or 0
            value = cost(world.whole if number is None else world.found, audiences[turn % 2])
            if turn:
                values.append(value)
    size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(
        f"{count:>9,} items: all {statistics.median(taken[None]):8.0f} us; "
        f"{world.built:.0f} us to add an item; {size:.2f} GB at most",
        flush=True,
    )
    for number in probes:
        world.nearest._probes = number
        slates, nearest = agreement(world, audiences[0])
        print(
            f"{'':>9}  probes {number:4}: {statistics.median(taken[number]):8.0f} us; "
            f"recall of slates {slates:.3f}, candidates {nearest:.3f}",
            flush=True,
        )
    world.nearest._probes = probes[0]
    more = world.load(1_000) * 1e3
    after = [cost(each, audiences[0]) for each in (world.whole, world.found)]
    print(
        f"{'':>9}  1,000 more items: {more:.0f} ms for the writer; then slates take {after[0]:.0f} us and "
        f"{after[1]:.0f} us once",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--items", default="2000,20000,200000,1000000")
    parser.add_argument("--users", type=int, default=64)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--probes", default="0")
    options = parser.parse_args()
    for count in options.items.split(","):
        measure(int(count), options)


if __name__ == "__main__":
    main()
