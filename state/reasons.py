"""Why an item is in a slate: the item of the user's own past that is most like it, and shared topics."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from state.catalogue import Catalogue
from state.fusion import Readouts
from state.profile import TIME_STAMP, Profile
from state.recency import find, mark_of

Int64 = NDArray[np.int64]

ALIKE = 0.5
"""Smallest cosine between two items at which one explains the other."""
SHARED_TOPICS = 4


class Why(NamedTuple):
    """One reason: an item of the user's past with the topics that both share, or topics of the user."""

    item_id: str | None
    topics: tuple[str, ...]


def explain(
    catalogue: Catalogue, readouts: Readouts, profiles: Sequence[Profile], chosen: Int64
) -> list[list[tuple[Why, ...]]]:
    """Reasons for each place of `chosen`, rows of the catalogue int64 [n, k], -1 for an empty place."""
    alike, past = _nearest(catalogue, readouts, chosen)
    found: list[list[tuple[Why, ...]]] = []
    for user, (rows, near, items) in enumerate(
        zip(chosen.tolist(), alike.tolist(), past.tolist(), strict=True)
    ):
        liked = profiles[user].topics
        disliked = profiles[user].disliked
        found.append(
            [
                _reasons(catalogue, row, item if close >= ALIKE else 0, (liked, disliked))
                for row, close, item in zip(rows, near, items, strict=True)
                if row >= 0
            ]
        )
    return found


def _nearest(
    catalogue: Catalogue, readouts: Readouts, chosen: Int64
) -> tuple[NDArray[np.float32], NDArray[np.uint64]]:
    """Largest cosine to a recent item, float32 [n, k], and that item's hash, uint64 [n, k]."""
    cosines = np.matmul(catalogue.columns.vectors[chosen], readouts.recent.transpose(0, 2, 1))
    usable = readouts.recent_mask & (readouts.recent_items != 0)
    itself = catalogue.columns.hashes[chosen][:, :, None] == readouts.recent_items[:, None, :]
    cosines = np.where(usable[:, None, :] & ~itself, cosines, -1.0)
    nearest = cosines.argmax(axis=2)
    return (
        np.take_along_axis(cosines, nearest[:, :, None], axis=2)[:, :, 0],
        np.take_along_axis(readouts.recent_items, nearest, axis=1),
    )


def _reasons(
    catalogue: Catalogue, row: int, past_hash: int, known: tuple[dict[str, tuple[float, float]], bytes]
) -> tuple[Why, ...]:
    liked, disliked = known
    topics = catalogue.topics[row]
    past = catalogue.row_of_hash.get(past_hash) if past_hash else None
    if past is not None and find(disliked, mark_of(past_hash), TIME_STAMP) < 0:
        past_topics = catalogue.topics[past]
        shared = tuple([topic for topic in topics if topic in past_topics][:SHARED_TOPICS])
        return (Why(catalogue.ids[past], shared),)
    shared = tuple(
        [topic for topic in topics if topic in liked and liked[topic][0] > liked[topic][1]][:SHARED_TOPICS]
    )
    return (Why(None, shared),) if shared else ()
