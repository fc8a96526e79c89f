"""Which topics rise and fade: from the events against chance, or from the heads' vectors?

    OMP_NUM_THREADS=1 python tests/bench/bench_trends.py [--users 200] [--seed 1]

The viewers of bench_tastes: two tastes for 80 events, then one of them goes and a third comes for 30; one
event in eight is off taste. Each item has its cluster as its topic. Judged against the hidden tastes: before
the change both are steady; after it one is steady, one fades, one rises; of any other topic every claim
is wrong.

right     share of the claims that hold
told      share of the three (before the change, two) movements that are told, rightly

`events` is `state.trends`. `heads` holds each topic's share at a short head against its share at the one that
forgets nothing, where the share is the softmax of the cosines between the head's vector and the mean of each
topic's items; a claim needs a difference of so much.
"""

import argparse
from collections.abc import Mapping

import msgspec
import numpy as np

from state.artifact import Float32
from state.events import Row
from state.facts import read_facts
from state.fusion import Fusion
from state.items import EncodedItem
from state.prior import content_prior
from state.profile import Profile, encode_profile, fold_profile
from state.slots import item_hash
from tests.bench.bench_tastes import CHANGE, CLUSTERS, EVENTS, ITEMS_EACH, Viewers, World, viewers, world
from tests.shelf import Shelf

MOMENTS = (CHANGE - 1, CHANGE + 9, CHANGE + 19, EVENTS - 1)
SHORT = {"1 minute": 0, "10 minutes": 1, "1 hour": 2, "6 hours": 3}
DIFFERENCES = (0.1, 0.2)
SHARPNESS = 10.0
LEAST = 0.1

Claims = Mapping[str, str]


def truth(tastes: np.ndarray, moment: int) -> dict[str, str]:
    kept, dropped, new = (f"taste {number}" for number in tastes)
    if moment < CHANGE:
        return {kept: "steady", dropped: "steady"}
    return {kept: "steady", dropped: "fading", new: "rising"}


def told(rows: list[Row]) -> list[Row]:
    """The rows with their item's cluster as its topic."""
    numbers = [int((row.item_id or "").removeprefix("item-")) for row in rows]
    return [
        msgspec.structs.replace(row, topics=(topic(number),))
        for row, number in zip(rows, numbers, strict=True)
    ]


def topic(item: int) -> str:
    return f"taste {item // ITEMS_EACH}"


def records(fusion: Fusion, rows: list[Row]) -> tuple[bytes, bytes]:
    profile = Profile()
    fold_profile(profile, [(row, item_hash(row.item_id or "")) for row in rows])
    return fusion.fold([None], [rows]).states[0], encode_profile(profile)


def by_heads(heads: Float32, weights: Float32, centres: Float32, rule: tuple[int, float]) -> Claims:
    short, difference = rule
    if weights[short] <= 0 or weights[-1] <= 0:
        return {}
    now, always = (np.exp(SHARPNESS * (centres @ heads[place])) for place in (short, -1))
    now, always = now / now.sum(), always / always.sum()
    claims = {}
    for number, (one, other) in enumerate(zip(now.tolist(), always.tolist(), strict=True)):
        if one - other >= difference:
            claims[f"taste {number}"] = "rising"
        elif other - one >= difference:
            claims[f"taste {number}"] = "fading"
        elif min(one, other) >= LEAST:
            claims[f"taste {number}"] = "steady"
    return claims


def claims_of(place: World, crowd: Viewers, moment: int) -> dict[str, list[Claims]]:
    fusion = Fusion(content_prior())
    shelf = Shelf(
        EncodedItem(f"item-{number}", 0, number, categories=(topic(number),))
        for number in range(len(place.cluster))
    )
    held = [
        records(fusion, told([crowd.rows[event][user] for event in range(moment + 1)]))
        for user in range(len(crowd.tastes))
    ]
    facts = read_facts(fusion, held, shelf)
    found: dict[str, list[Claims]] = {
        "events": [{each.name: str(each.trend) for each in one.topics if each.trend} for one in facts]
    }
    vectors = fusion.item_vectors(place.media)
    centres = np.stack([vectors[place.cluster == number].mean(axis=0) for number in range(CLUSTERS)])
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    readouts = fusion.read([state for state, _ in held])
    for name, short in SHORT.items():
        for difference in DIFFERENCES:
            found[f"heads, {name}, {difference}"] = [
                by_heads(heads, weights, centres, (short, difference))
                for heads, weights in zip(readouts.heads, readouts.head_weights, strict=True)
            ]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--users", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    place = world(rng)
    crowd = viewers(rng, place, options.users)
    table: dict[str, list[str]] = {}
    for moment in MOMENTS:
        for method, claims in claims_of(place, crowd, moment).items():
            truths = [truth(tastes, moment) for tastes in crowd.tastes]
            made = sum(map(len, claims))
            held = sum(
                one.get(name) == moves
                for one, real in zip(claims, truths, strict=True)
                for name, moves in real.items()
            )
            wanted = sum(map(len, truths))
            table.setdefault(method, []).append(f"{held / max(made, 1):8.3f}{held / wanted:8.3f}")
    print(f"{'':28}" + "".join(f"{f'after {moment + 1}':>16}" for moment in MOMENTS))
    print(f"{'':28}" + "".join(f"{'right':>8}{'told':>8}" for _ in MOMENTS))
    for name, cells in table.items():
        print(f"{name:28}" + "".join(cells))


if __name__ == "__main__":
    main()
