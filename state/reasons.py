"""Why an item is in a slate: the item of the user's own past that is most like it, and shared topics."""

from collections.abc import Sequence

import msgspec
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
PAIRS_KEPT = 100_000


class Why(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """One reason: an item of the user's past with the topics that both share, or topics of the user."""

    item_id: str | None = None
    topics: tuple[str, ...] = ()


Reasons = list[Why]
"""Of one place of a slate; shared between slates, so never changed."""


class Explainer:
    """Finds reasons in one version of the catalogue; pairs of items recur, so each is looked at once."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._pairs: dict[tuple[int, int], Reasons] = {}

    def explain(self, readouts: Readouts, profiles: Sequence[Profile], chosen: Int64) -> list[list[Reasons]]:
        """Reasons for each place of `chosen`, rows of the catalogue int64 [n, k], -1 for an empty place."""
        alike, past = _nearest(self._catalogue, readouts, chosen)
        past = np.where(alike >= ALIKE, past, 0)
        if len(self._pairs) > PAIRS_KEPT:
            self._pairs.clear()
        return [
            [self._reasons(row, item, profile) for row, item in zip(rows, items, strict=True) if row >= 0]
            for rows, items, profile in zip(chosen.tolist(), past.tolist(), profiles, strict=True)
        ]

    def _reasons(self, row: int, past_hash: int, profile: Profile) -> Reasons:
        if past_hash and not (
            profile.disliked and find(profile.disliked, mark_of(past_hash), TIME_STAMP) >= 0
        ):
            pair = (row, past_hash)
            known = self._pairs.get(pair)
            if known is None:
                known = self._pairs[pair] = self._likeness(row, past_hash)
            if known:
                return known
        liked = profile.topics
        shared = tuple(
            [
                topic
                for topic in self._catalogue.topics[row]
                if topic in liked and liked[topic][0] > liked[topic][1]
            ][:SHARED_TOPICS]
        )
        return [Why(None, shared)] if shared else []

    def _likeness(self, row: int, past_hash: int) -> Reasons:
        catalogue = self._catalogue
        past = catalogue.row_of_hash.get(past_hash)
        if past is None:
            return []
        topics = catalogue.topics[past]
        shared = [topic for topic in catalogue.topics[row] if topic in topics]
        return [Why(catalogue.ids[past], tuple(shared[:SHARED_TOPICS]))]


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
