"""CPU of one event by the size of a micro-batch, without a broker: the engine, the processor and its steps.

    OMP_NUM_THREADS=1 python tests/bench/bench_processor.py [--items 2000] [--top 20] [--users 1,4,16,64,256]
        [--events 6000] [--steps] [--profile]

A batch of n is one event of each of n users with a long past. `processor` is InterestsProcessor from the
pack's bytes to values and both outputs; `engine` adds guards, multi-get and WriteBatch in RocksDB and
metrics, everything but the producer. `small` is the small work of bench_engines.py on the engine: an average
of 64 numbers, with a record for each event and without. Microseconds of CPU for each event: a twentieth of
the batches take no longer than the first number (what the machine can do while nobody disturbs it), half of
them no longer than the second. Garbage is looked for as seldom as in the commands. `--steps` splits the
processor's time of 64 users by its steps.
"""

import argparse
import cProfile
import functools
import itertools
import pstats
import sys
import tempfile
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))

from state.catalogue import Catalogue
from state.diversity import choose
from state.events import Pack, Row
from state.fusion import Fusion
from state.prior import content_prior
from state.readout import Reader
from state.reasons import Explainer
from state.recommend import Recommender
from state.rocks import RocksStore
from state.settings import RecommendSettings
from streams.commands.serving import collect_seldom
from streams.engine.engine import Engine, EngineOptions, Resources
from streams.engine.faults import no_fault
from streams.engine.guard import Delivery
from streams.engine.journal import Changes
from streams.engine.processor import Output, Processor, Work
from streams.interests import processor as interests
from streams.interests.outputs import Portraits, topics_text
from streams.interests.processor import InterestsProcessor
from streams.settings import Settings
from streams.testing import MemoryJournal, MemoryLog
from tests.bench.bench_ranking import items, packs
from tests.bench.engines.job import Job
from tests.bench.engines.penchant_worker import SmallProcessor

WARM = 60
LEAST_BATCHES = 30
MOST_BATCHES = 200

STEPS: tuple[tuple[object, str], ...] = (
    (InterestsProcessor, "_fold"),
    (Fusion, "fold"),
    (InterestsProcessor, "_count"),
    (Reader, "read"),
    (Recommender, "slates"),
    (Recommender, "_personal"),
    (sys.modules[choose.__module__], "choose"),
    (Explainer, "explain"),
    (Portraits, "__init__"),
    (interests, topics_text.__name__),
    (Portraits, "interest"),
    (Portraits, "recommendation"),
)


class Forgetful(MemoryLog):
    """A log that keeps nothing."""

    def append(self, partition: int, changes: Changes, outputs: list[Output]) -> int:  # type: ignore[override]
        return 0


def times(step: Callable[[Any], object], batches: list[Any], per: int) -> list[float]:
    """Microseconds of CPU of this process that the step takes for each batch, divided by `per`."""
    taken = []
    for batch in batches:
        began = time.process_time()
        step(batch)
        taken.append((time.process_time() - began) * 1e6 / per)
    return taken


def pack(rows: list[Row]) -> bytes:
    return msgspec.msgpack.encode(Pack(rows[0].offset, rows[-1].offset + 1, rows))


class Alone:
    """A processor with a dictionary for its store."""

    def __init__(self, processor: InterestsProcessor) -> None:
        self._processor = processor
        self._store: dict[bytes, bytes | None] = {}

    def __call__(self, value: bytes) -> None:
        rows = list(self._processor.decode(value).rows)
        work = Work(rows, [], rows[-1].offset + 1)
        stored = {key: self._store.get(key) for key in self._processor.keys(work)}
        effects = self._processor.apply({0: work}, {0: stored}, rows[-1].time)
        self._store.update(effects[0].puts)


class Hosted:
    """A processor in the engine, with a store on disk and no broker."""

    def __init__(self, processor: Processor[Row], folder: Path) -> None:
        resources = Resources(lambda _: RocksStore(folder), lambda number: MemoryJournal(Forgetful(), number))
        self._engine = Engine(processor, resources, EngineOptions("bench", fault=no_fault))
        self._engine.adopt(self._engine.open(0))
        self._offsets = itertools.count()

    def __call__(self, value: bytes) -> None:
        queue: deque[Delivery] = deque([(next(self._offsets), value)])
        outcome = self._engine.process({0: queue}, int(time.time() * 1000))
        assert not queue and not outcome.lost and not outcome.holes

    def close(self) -> None:
        self._engine.close_all()


def small(outputs: str) -> SmallProcessor:
    return SmallProcessor(cast(Job, SimpleNamespace(settings=Settings(), outputs=outputs)))


def small_packs(values: list[bytes]) -> list[bytes]:
    """The same events without vectors, with items as the small work names them."""
    made = []
    for value in values:
        rows = msgspec.msgpack.decode(value, type=Pack).rows
        made.append(
            pack(
                [
                    msgspec.structs.replace(
                        row, vectors={}, topics=(), item_id=f"i{int((row.item_id or 'i-0')[5:])}"
                    )
                    for row in rows
                ]
            )
        )
    return made


def measure(step: Callable[[bytes], object], values: list[bytes], users: int) -> str:
    for value in values[:WARM]:
        step(value)
    taken = times(step, values[WARM:], users)
    return "{:8.1f} {:8.1f}".format(*np.percentile(taken, (5, 50)))


def split(processor: InterestsProcessor, values: list[bytes], users: int) -> Iterator[str]:
    """The processor's steps, each with all that it calls."""
    alone, spent, rows = Alone(processor), defaultdict[str, float](float), defaultdict[str, list[float]](list)
    for owner, name in STEPS:
        step = getattr(owner, name)
        label = f"{getattr(owner, '__name__', '').rpartition('.')[2]}.{name}"

        @functools.wraps(step)
        def timed(*given: Any, step: Any = step, label: str = label) -> Any:
            began = time.perf_counter()
            try:
                return step(*given)
            finally:
                spent[label] += time.perf_counter() - began

        setattr(owner, name, timed)
    for value in values[:WARM]:
        alone(value)
    for value in values[WARM:]:
        spent.clear()
        alone(value)
        for label, seconds in spent.items():
            rows[label].append(seconds * 1e6 / users)
    for label, taken in rows.items():
        yield "  {:28} {:8.1f} {:8.1f}".format(label, *np.percentile(taken, (5, 50)))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--items", type=int, default=2000)
    parser.add_argument("--top", type=int, default=20)
    parser.add_argument("--users", default="1,4,16,64,256")
    parser.add_argument("--events", type=int, default=6000)
    parser.add_argument("--steps", action="store_true")
    parser.add_argument("--profile", action="store_true")
    chosen = parser.parse_args()
    collect_seldom()
    fusion = Fusion(content_prior())
    catalogue = Catalogue(fusion)
    stock = items(chosen.items)
    catalogue.apply([(item.item_id, item) for item in stock])
    settings = Settings(recommend=RecommendSettings(top_k=chosen.top))

    def processor() -> InterestsProcessor:
        return InterestsProcessor(fusion, catalogue, settings)

    def values(users: int) -> list[bytes]:
        turns = WARM + min(MOST_BATCHES, max(LEAST_BATCHES, chosen.events // users))
        return [pack(rows) for rows in packs(stock, users, turns)]

    if chosen.profile:
        made, alone = values(64), Alone(processor())
        for value in made[:WARM]:
            alone(value)
        with cProfile.Profile() as profile:
            for value in made[WARM:]:
                alone(value)
        pstats.Stats(profile).sort_stats("tottime").print_stats(35)
        return
    print(f"{chosen.items} items, best {chosen.top}; CPU us per event: 5 % and 50 % of the batches")
    print(f"{'users':>6}{'processor':>18}{'engine':>18}{'small, output':>18}{'small, state':>18}")
    for users in map(int, chosen.users.split(",")):
        made = values(users)
        columns = [measure(Alone(processor()), made, users)]
        for each, given in (
            (processor(), made),
            (small("each"), small_packs(made)),
            (small("none"), small_packs(made)),
        ):
            with tempfile.TemporaryDirectory() as folder:
                hosted = Hosted(cast(Processor[Row], each), Path(folder))
                columns.append(measure(hosted, given, users))
                hosted.close()
        print(f"{users:>6} " + " ".join(columns))
    if chosen.steps:
        print("steps of 64 users")
        for line in split(processor(), values(64), 64):
            print(line)


if __name__ == "__main__":
    main()
