"""Why an item is in a slate: the item of the user's own past that is most like it, and shared topics."""

from collections.abc import Iterable, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from state.catalogue import Catalogue
from state.fusion import Readouts
from state.profile import TIME_STAMP, Profile
from state.ranking import Ties
from state.recency import find, mark_of

Int64 = NDArray[np.int64]

ALIKE = 0.5
"""Smallest cosine between two items at which one explains the other."""
SHARED_TOPICS = 4
KEPT = 100_000
"""Pairs of items, and sets of topics, whose reasons are remembered."""

_UNALIKE = -1


class Why(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """One reason: an item of the user's past with the topics that both share, or topics of the user."""

    item_id: str | None = None
    topics: tuple[str, ...] = ()


class Reasons(list[Why]):
    """Of one place of a slate; shared between slates, so never changed.

    `text` is the same as JSON: most recur, so they are written once.
    """

    __slots__ = ("text",)

    def __init__(self, reasons: Iterable[Why] = ()) -> None:
        super().__init__(reasons)
        self.text = msgspec.Raw(_encoder.encode(list(self)))


_encoder = msgspec.json.Encoder()


class Explainer:
    """Finds reasons in one version of the catalogue; pairs of items recur, so each is looked at once."""

    def __init__(self, catalogue: Catalogue, ties: Ties) -> None:
        self._catalogue = catalogue
        self._hashes = catalogue.columns.hashes[ties.rows]
        """In rising order. A pair is row * items + place of the past item's hash."""
        self._by_pair: dict[int, Reasons] = {}
        self._by_topics: dict[tuple[str, ...], Reasons] = {}

    def explain(self, readouts: Readouts, profiles: Sequence[Profile], chosen: Int64) -> list[list[Reasons]]:
        """Reasons for each place of `chosen`, rows of the catalogue int64 [n, k], -1 for an empty place."""
        if len(self._by_pair) + len(self._by_topics) > KEPT:
            self._by_pair.clear()
            self._by_topics.clear()
        pairs = self._pairs(readouts, chosen).tolist()
        for of_user, profile in zip(pairs, profiles, strict=True):
            if profile.disliked:
                self._part_disliked(of_user, profile.disliked)
        known = self._by_pair.get
        return [
            [
                known(pair) or self._reasons(row, pair, profile)
                for row, pair in zip(rows, of_user, strict=True)
                if row >= 0
            ]
            for rows, of_user, profile in zip(chosen.tolist(), pairs, profiles, strict=True)
        ]

    def _pairs(self, readouts: Readouts, chosen: Int64) -> Int64:
        """Each place's pair with the most similar item of the past, [n, k], where they are alike."""
        alike, past = _nearest(self._catalogue, readouts, chosen)
        place = self._hashes.searchsorted(past)
        place[place == len(self._hashes)] = 0
        found = (alike >= ALIKE) & (self._hashes[place] == past)
        return np.where(found, chosen * len(self._hashes) + place, _UNALIKE)

    def _part_disliked(self, pairs: list[int], disliked: bytes) -> None:
        for index, pair in enumerate(pairs):
            mark = mark_of(int(self._hashes[pair % len(self._hashes)]))
            if pair != _UNALIKE and find(disliked, mark, TIME_STAMP) >= 0:
                pairs[index] = _UNALIKE

    def _reasons(self, row: int, pair: int, profile: Profile) -> Reasons:
        """Of a pair that is new, or has nothing to say."""
        if pair != _UNALIKE and pair not in self._by_pair:
            found = self._by_pair[pair] = self._likeness(row, int(self._hashes[pair % len(self._hashes)]))
            if found:
                return found
        liked = profile.topics
        shared = tuple(
            [
                topic
                for topic in self._catalogue.topics[row]
                if topic in liked and liked[topic][0] > liked[topic][1]
            ][:SHARED_TOPICS]
        )
        known = self._by_topics.get(shared)
        if known is None:
            known = self._by_topics[shared] = Reasons([Why(None, shared)] if shared else [])
        return known

    def _likeness(self, row: int, past_hash: int) -> Reasons:
        catalogue = self._catalogue
        past = catalogue.row_of_hash.get(past_hash)
        if past is None:
            return Reasons()
        topics = catalogue.topics[past]
        shared = [topic for topic in catalogue.topics[row] if topic in topics]
        return Reasons([Why(catalogue.ids[past], tuple(shared[:SHARED_TOPICS]))])


def _nearest(
    catalogue: Catalogue, readouts: Readouts, chosen: Int64
) -> tuple[NDArray[np.float32], NDArray[np.uint64]]:
    """Largest cosine to a recent item, float32 [n, k], and that item's hash, uint64 [n, k]."""
    recent, hashes = readouts.recent_items, catalogue.columns.hashes
    usable = readouts.recent_mask & (recent != 0)
    cosines = np.matmul(
        catalogue.columns.vectors.take(chosen, axis=0, mode="clip"), readouts.recent.transpose(0, 2, 1)
    )
    cosines += np.where(usable, np.float32(0), np.float32(-np.inf))[:, None, :]
    cosines[hashes.take(chosen, mode="clip")[:, :, None] == recent[:, None, :]] = -np.inf
    nearest = cosines.argmax(axis=2)
    users = np.arange(len(recent))[:, None]
    return cosines.max(axis=2), recent[users, nearest]
