"""What applying a micro-batch costs, per event: fold, read, rank, and both outputs as JSON.

    OMP_NUM_THREADS=1 python tests/bench/bench_ranking.py [--items 1000] [--users 64] [--profile]

Users have a long past: full rings, a full list of seen items. One event per user and micro-batch.
"""

import argparse
import cProfile
import pstats
import statistics
import time
from collections.abc import Callable

import msgspec
import numpy as np

from state.catalogue import Catalogue
from state.events import ACTIONS, Action, Pack, Row
from state.fusion import Fusion
from state.items import EncodedItem
from state.layout import SHARED_DIM
from state.prior import content_prior
from state.profile import decode_profile
from state.recommend import Audience, Recommender
from state.settings import RecommendSettings
from streams.engine.processor import Work
from streams.interests.processor import KIND_FUSION, KIND_PROFILE, InterestsProcessor
from streams.settings import Settings

START = 1_750_000_000_000
CATEGORIES = 12
WARM = 60
Store = dict[bytes, bytes | None]


def items(count: int, seed: int = 7) -> list[EncodedItem]:
    """Items around one direction per category, as an encoder's vectors lie."""
    random = np.random.default_rng(seed)
    centres = random.standard_normal((CATEGORIES, SHARED_DIM))
    made = []
    for number in range(count):
        vector = centres[number % CATEGORIES] + 0.6 * random.standard_normal(SHARED_DIM)
        made.append(
            EncodedItem(
                item_id=f"item-{number:05d}",
                partition=0,
                offset=number,
                vectors={1: (vector / np.linalg.norm(vector)).astype("<f2").tobytes()},
                title=f"Item {number}",
                tags=(f"tag-{number % 40}", f"tag-{number % 7}"),
                categories=(f"category-{number % CATEGORIES}",),
            )
        )
    return made


def packs(stock: list[EncodedItem], users: int, turns: int, seed: int = 3) -> list[list[Row]]:
    """`turns` micro-batches of one row per user; each user prefers two categories."""
    random = np.random.default_rng(seed)
    made = []
    for turn in range(turns):
        rows = []
        for user in range(users):
            category = int(random.choice([user % CATEGORIES, (user * 5 + 3) % CATEGORIES]))
            item = stock[int(random.integers(len(stock) // CATEGORIES)) * CATEGORIES + category]
            when = START + turn * 60_000 + user
            action = ACTIONS.index(Action.LIKE if random.random() < 0.2 else Action.VIEW)
            rows.append(
                Row(
                    user_id=f"user-{user}",
                    event_id=f"interactions-0-{turn * users + user}",
                    action=action,
                    time=when,
                    offset=turn * users + user,
                    broker_time=when + 5,
                    item_id=item.item_id,
                    vectors=item.vectors,
                    topics=item.topics,
                )
            )
        made.append(rows)
    return made


def apply(processor: InterestsProcessor, rows: list[Row], store: Store) -> int:
    pack = msgspec.msgpack.encode(Pack(rows[0].offset, rows[-1].offset + 1, rows))
    work = Work(list(processor.decode(pack).rows), [], rows[-1].offset + 1)
    stored = {key: store.get(key) for key in processor.keys(work)}
    effects = processor.apply({0: work}, {0: stored}, rows[-1].time)
    store.update(effects[0].puts)
    return sum(len(output.value or b"") for output in effects[0].outputs)


def microseconds(step: Callable[[], object], per: int, rounds: int = 15) -> tuple[float, float]:
    """Median and best of the time of one call, divided by `per`."""
    taken = []
    for _ in range(rounds):
        begin = time.process_time()
        step()
        taken.append((time.process_time() - begin) / per * 1e6)
    return statistics.median(taken), min(taken)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=1000)
    parser.add_argument("--users", type=int, default=64)
    parser.add_argument("--profile", action="store_true")
    chosen = parser.parse_args()
    fusion = Fusion(content_prior())
    catalogue = Catalogue(fusion)
    stock = items(chosen.items)
    catalogue.apply([(item.item_id, item) for item in stock])
    processor = InterestsProcessor(fusion, catalogue, Settings())
    store: Store = {}
    batches = packs(stock, chosen.users, WARM + 20)
    for rows in batches[:WARM]:
        apply(processor, rows, store)
    remaining = iter(batches[WARM:])
    if chosen.profile:
        with cProfile.Profile() as profile:
            for _ in range(15):
                apply(processor, next(remaining), store)
        pstats.Stats(profile).sort_stats("tottime").print_stats(35)
        return
    print(f"{chosen.items} items, {chosen.users} users, CPU us per event: median / best")
    whole = microseconds(lambda: apply(processor, next(remaining), store), chosen.users)
    print(f"  decode, apply, both outputs  {whole[0]:7.1f} / {whole[1]:.1f}")
    states = [store[KIND_FUSION + f"user-{user}".encode()] or b"" for user in range(chosen.users)]
    secondary = [store[KIND_PROFILE + f"user-{user}".encode()] for user in range(chosen.users)]
    again = [[row] for row in batches[-1]]
    for name, step in (
        ("fold", lambda: fusion.fold(states, again)),
        ("read", lambda: fusion.read(states)),
        ("rank", _ranking(fusion, catalogue, states, secondary)),
    ):
        median, best = microseconds(step, chosen.users)
        print(f"  {name:28s} {median:7.1f} / {best:.1f}")
    sizes = [len(value) for value in secondary if value is not None]
    print(f"  bytes: fusion record {len(states[0])}, profile {statistics.mean(sizes):.0f}")


def _ranking(
    fusion: Fusion, catalogue: Catalogue, states: list[bytes], secondary: list[bytes | None]
) -> Callable[[], object]:
    recommender = Recommender(catalogue, RecommendSettings())
    readouts = fusion.read(states)
    profiles = [decode_profile(value) for value in secondary]
    audience = Audience(readouts, profiles, readouts.time_ms)
    return lambda: recommender.slates(audience)


if __name__ == "__main__":
    main()
