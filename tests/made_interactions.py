"""Made-up interactions with something to learn in them: tastes, popularity, and what follows on what.

Items lie in clusters, and within one in a ring: who takes an item goes on to one of the next three in half of
the cases. Users hold two or three clusters. Popularity falls with an item's place in its cluster.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from state.events import ACTIONS, Action
from state.layout import MODALITY_COUNT, SHARED_DIM
from state.learning.interactions import Interactions, ItemContent, interactions_of

START_MS = 1_700_000_000_000
FOLLOWS = 0.5
WORDS = ("birds", "boats", "cakes", "drums", "ferns", "goats", "hills", "inks", "jugs", "kites")
_LIKE, _VIEW, _DISLIKE = (ACTIONS.index(one) for one in (Action.LIKE, Action.VIEW, Action.DISLIKE))


class Size(NamedTuple):
    users: int
    items: int
    events: int
    clusters: int = 8


class Made(NamedTuple):
    """Columns of events, and the cluster of each item."""

    user: NDArray[np.int64]
    item: NDArray[np.int64]
    time_ms: NDArray[np.int64]
    rating: NDArray[np.int64]
    cluster: NDArray[np.int64]


def made(size: Size, seed: int = 1) -> Made:
    """`events` events of users in turns, so that all users are there over the whole time."""
    rng = np.random.default_rng(seed)
    each = size.items // size.clusters
    tastes = np.stack([rng.permutation(size.clusters)[:3] for _ in range(size.users)])
    weights = 1 / (np.arange(each) + 3.0)
    chosen = np.cumsum(weights / weights.sum())
    at = np.searchsorted(chosen, rng.random(size.users))
    cluster = tastes[:, 0].copy()
    users, items, ratings = [], [], []
    left = size.events
    while left > 0:
        active = rng.permutation(size.users)[:left]
        follows = rng.random(len(active)) < FOLLOWS
        fresh = tastes[active, rng.choice(3, len(active), p=(0.5, 0.3, 0.2))]
        drawn = np.minimum(np.searchsorted(chosen, rng.random(len(active))), each - 1)
        next_place = (at[active] + rng.integers(1, 4, len(active))) % each
        off_taste = rng.random(len(active)) < 0.1
        fresh = np.where(off_taste, rng.integers(size.clusters, size=len(active)), fresh)
        cluster[active] = np.where(follows, cluster[active], fresh)
        at[active] = np.where(follows, next_place, drawn)
        users.append(active)
        items.append(cluster[active] * each + at[active])
        ratings.append(np.where(off_taste & ~follows, rng.integers(1, 4, len(active)),
                                rng.integers(3, 6, len(active))))  # fmt: skip
        left -= len(active)
    user = np.concatenate(users)
    gaps = rng.integers(1, 60, len(user)) * 1000
    return Made(
        user,
        np.concatenate(items),
        START_MS + np.cumsum(gaps),
        np.concatenate(ratings),
        np.minimum(np.arange(size.items) // each, size.clusters - 1),
    )


def interactions(size: Size, seed: int = 1) -> Interactions:
    """As arrays; ratings of 4 and more are likes, of 2 and less dislikes."""
    world = made(size, seed)
    action = np.where(world.rating >= 4, _LIKE, np.where(world.rating <= 2, _DISLIKE, _VIEW))
    return interactions_of(
        {
            "user": world.user,
            "item": world.item,
            "time_ms": world.time_ms,
            "action": action,
            "value": world.rating.astype(np.float32),
        },
        [f"user-{code}" for code in range(size.users)],
        [f"item-{code}" for code in range(size.items)],
    )


def content(size: Size, seed: int = 1, modalities: int = 1) -> ItemContent:
    """Vectors around one direction for each cluster, in the first `modalities`; all present."""
    rng = np.random.default_rng(seed + 1_000)
    centres = rng.standard_normal((size.clusters, SHARED_DIM))
    cluster = np.minimum(np.arange(size.items) // (size.items // size.clusters), size.clusters - 1)
    vectors = np.zeros((size.items, MODALITY_COUNT, SHARED_DIM), np.float32)
    for code in range(modalities):
        drawn = centres[cluster] + rng.standard_normal((size.items, SHARED_DIM))
        vectors[:, code] = drawn / np.linalg.norm(drawn, axis=1, keepdims=True)
    topics = tuple((WORDS[place % len(WORDS)],) for place in cluster.tolist())
    return ItemContent(vectors, vectors.any(axis=2), topics)


def write_recbole(folder: Path, size: Size, seed: int = 1) -> None:
    """The same as a folder in the RecBole format, with titles and classes."""
    world = made(size, seed)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "made.inter").open("w") as out:
        out.write("user_id:token\titem_id:token\trating:float\ttimestamp:float\n")
        seconds = (world.time_ms // 1000).tolist()
        columns = (world.user.tolist(), world.item.tolist(), world.rating.tolist(), seconds)
        for user, item, rating, second in zip(*columns, strict=True):
            out.write(f"user-{user}\titem-{item}\t{rating}\t{second}\n")
    with (folder / "made.item").open("w") as out:
        out.write("item_id:token\ttitle:token_seq\trelease_year:token\tclass:token_seq\n")
        for code, cluster in enumerate(world.cluster.tolist()):
            word = WORDS[cluster % len(WORDS)]
            out.write(f"item-{code}\tNumber {code} of the {word} {cluster}\t2020\t{word} group-{cluster}\n")
