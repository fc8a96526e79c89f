"""Does the content prior follow what viewers like? Simulated viewers with hidden tastes, no training.

    OMP_NUM_THREADS=1 python tests/bench/bench_tastes.py [--users 100] [--seed 1]

Items lie in 16 clusters of the shared space, two modalities each (one of them often missing), cosine
about .4 within a cluster. A viewer likes two clusters for 80 events, then drops the one and takes up a
third for 30 more; one event in eight is off taste. Slates are the exact ten best unseen items by the
ranking vector alone. Rows are blends of the readout; the columns:

first     share of slate in taste, after events 1 to 5
taste     the same, events 20 to 80
both      the weaker taste's part of the slate, events 20 to 80 (a half is perfect balance)
next      part of the slate in the cluster of the next event
new@k     k events after the change: part of the slate in the new taste (a half is perfect)
kept@20   20 events after the change: part of the slate in the tastes now held
old@20    the same, in the taste that was dropped
"""

import argparse
from dataclasses import dataclass, replace

import numpy as np

from state.codec import decode
from state.events import ACTIONS, Action, Row
from state.fusion import Fusion
from state.prior import DEFAULT, Blend, content_prior
from state.readout import Reader

CLUSTERS, ITEMS_EACH = 16, 125
CHANGE, EVENTS = 80, 110
COHESION = 0.4
"""Cosine of two items of one cluster."""
STICKY = 0.6
"""Chance that a viewer stays with the taste of the event before."""


@dataclass
class World:
    media: list[dict[int, bytes]]
    cluster: np.ndarray
    """Cluster of each item."""


@dataclass
class Viewers:
    rows: list[list[Row]]
    """By event, by viewer."""
    items: np.ndarray
    """Item of each event [events, viewers]; its cluster as `wanted` where it is no noise."""
    tastes: np.ndarray
    """[viewers, 3]: kept, dropped, new."""


def world(rng: np.random.Generator) -> World:
    spectrum = 1 / np.sqrt(1 + np.arange(128) / 24)
    cluster = np.repeat(np.arange(CLUSTERS), ITEMS_EACH)

    def draw(count: int) -> np.ndarray:
        vectors = rng.normal(size=(count, 128)) * spectrum
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    centres, media = draw(CLUSTERS), []
    own = draw(len(cluster))
    for index, at in enumerate(cluster):
        present = [0, 1] if rng.random() < 0.5 else [int(rng.integers(2))]
        parts = {}
        for code in present:
            noise = 0.7 * own[index] + 0.7 * draw(1)[0]
            vector = np.sqrt(COHESION) * centres[at] + np.sqrt(1 - COHESION) * noise
            parts[code] = (vector / np.linalg.norm(vector)).astype("<f2").tobytes()
        media.append(parts)
    return World(media, cluster)


def viewers(rng: np.random.Generator, place: World, count: int) -> Viewers:
    tastes = np.stack([rng.choice(CLUSTERS, 3, replace=False) for _ in range(count)])
    items, rows = np.zeros((EVENTS, count), int), []
    times, last = np.full(count, 1_750_000_000_000), np.zeros(count, int)
    common = [Action.VIEW, Action.VIEW, Action.VIEW, Action.CLICK, Action.LIKE, Action.SAVE]
    for event in range(EVENTS):
        step = []
        for user in range(count):
            new_session = rng.random() < 0.1
            times[user] += int(rng.exponential(6 * 3_600_000 if new_session else 40_000)) + 1
            if rng.random() > STICKY:
                last[user] = 1 - last[user]
            held = tastes[user, [0, 1 if event < CHANGE else 2]]
            noise = rng.random() < 0.125
            at = rng.integers(CLUSTERS) if noise else held[last[user]]
            item = int(at * ITEMS_EACH + rng.integers(ITEMS_EACH))
            action = Action.VIEW if noise else common[rng.integers(len(common))]
            items[event, user] = item
            step.append(row(f"u{user}", event, item, (action, int(times[user]), place.media[item])))
        rows.append(step)
    return Viewers(rows, items, tastes)


def row(user: str, event: int, item: int, fact: tuple[Action, int, dict[int, bytes]]) -> Row:
    action, time, media = fact
    return Row(user, f"{user}-{event}", ACTIONS.index(action), time, event, time, f"item-{item}", media)


def states(crowd: Viewers) -> list[list[bytes]]:
    """State of each viewer after each event. It does not depend on the blend."""
    fusion, now, out = Fusion(content_prior()), [None] * len(crowd.tastes), []
    for step in crowd.rows:
        now = fusion.fold(now, [[one] for one in step]).states
        out.append(now)
    return out


def slates(interest: np.ndarray, items: np.ndarray, seen: np.ndarray) -> np.ndarray:
    scores = interest @ items.T
    for user, past in enumerate(seen.T):
        scores[user, past] = -np.inf
    return np.argsort(-scores, axis=1)[:, :10]


def measure(blend: Blend, place: World, crowd: Viewers, held: list[list[bytes]]) -> dict[str, float]:
    artifact = content_prior(blend)
    reader, model = Reader(artifact), content_prior().fingerprint
    items = Fusion(artifact).item_vectors(place.media)
    found: dict[str, list[float]] = {}

    def note(name: str, part: np.ndarray) -> None:
        found.setdefault(name, []).append(float(part.mean()))

    kept, dropped, new = (crowd.tastes[:, [at]] for at in range(3))
    for event in [*range(5), *range(20, EVENTS - 1, 3)]:
        interest = reader.read(decode(held[event], model)).interest
        slate = place.cluster[slates(interest, items, crowd.items[: event + 1])]
        if event < CHANGE:
            note("first" if event < 5 else "taste", (slate == kept) | (slate == dropped))
        if 20 <= event < CHANGE:
            note("both", np.minimum((slate == kept).mean(1), (slate == dropped).mean(1)))
            note("next", slate == place.cluster[crowd.items[event + 1]][:, None])
        for after in (5, 10, 20):
            if abs(event - CHANGE - after) <= 1:
                note(f"new@{after}", slate == new)
        if abs(event - CHANGE - 20) <= 1:
            note("kept@20", (slate == new) | (slate == kept))
            note("old@20", slate == dropped)
    return {name: float(np.mean(parts)) for name, parts in found.items()}


NO_HEADS = (0.0,) * 8
SIMILAR, RECENT = DEFAULT.attention
BLENDS = {
    "latest event alone": Blend(1, (), (), NO_HEADS),
    "attention to events like it": Blend(0, (SIMILAR,), (), NO_HEADS),
    "recency mean of the ring": Blend(0, (RECENT,), (), NO_HEADS),
    "heads alone": Blend(0, (), (), DEFAULT.heads),
    "prior without heads": replace(DEFAULT, heads=NO_HEADS),
    "prior without review": replace(DEFAULT, review=()),
    "the prior": DEFAULT,
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--users", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    place = world(rng)
    crowd = viewers(rng, place, options.users)
    held = states(crowd)
    for at, (name, blend) in enumerate(BLENDS.items()):
        row_of = measure(blend, place, crowd, held)
        if at == 0:
            print(f"{'':32}" + "".join(f"{column:>9}" for column in row_of))
        print(f"{name:32}" + "".join(f"{value:9.3f}" for value in row_of.values()))


if __name__ == "__main__":
    main()
