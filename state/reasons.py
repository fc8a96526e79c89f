"""Why an item is in a slate: the item of the user's own past that is most like it, and shared topics."""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from state.catalogue import Catalogue
from state.filters import disliked_marks
from state.fusion import Readouts
from state.profile import Profile, liked_topics
from state.ranking import Ties
from state.recency import MARK_BYTES

Int64 = NDArray[np.int64]
Codes = NDArray[np.int32]
Bool = NDArray[np.bool_]

ALIKE = 0.5
"""Smallest cosine between two items at which one explains the other."""
SHARED_TOPICS = 4
LEAST_SHARE = 0.05
"""Strategies that add less to a score are not named."""
KEPT = 100_000
"""Sets of topics whose text is remembered."""

_NONE = -1
_MARK = np.uint64(2 ** (8 * MARK_BYTES) - 1)
_OPENINGS = np.array([b"", b',"reasons":[{"item_id":'], dtype=object)
_MIXERS = np.array(
    [0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0xD6E8FEB86659FD93], dtype=np.uint64
)
"""One odd number for each shared topic: sets of topics are known by 64 bits, as items are."""


class Why(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """One reason: an item of the user's past with the topics that both share, topics of the user, or a
    strategy of a blend."""

    item_id: str | None = None
    topics: tuple[str, ...] = ()
    strategy: str = ""
    """Of a blend: one that speaks for the item; `item_id` is then what it followed upon, where it did."""
    share: float = 0.0
    """How much of the score is due to it."""


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(dict[str, list[Why]])


class Reasons(NamedTuple):
    """The JSON of the last member of each of m places, in three pieces; nothing where there is no reason."""

    openings: list[bytes]
    items: list[bytes]
    topics: list[bytes]

    def each(self) -> list[list[Why]]:
        """Place by place."""
        texts = map(b"".join, zip(*self, strict=True))
        return [_decoder.decode(b"{%b}" % text[1:])["reasons"] if text else [] for text in texts]


class Explainer:
    """Finds reasons in one version of the catalogue."""

    def __init__(self, catalogue: Catalogue, ties: Ties) -> None:
        self._catalogue = catalogue
        self._rows = ties.rows
        self._hashes = catalogue.columns.hashes[ties.rows]
        self._shared_texts: dict[int, bytes] = {}
        self._own_texts: dict[tuple[str, ...], bytes] = {}

    def explain(self, readouts: Readouts, profiles: Sequence[Profile], chosen: Int64) -> Reasons:
        """Reasons for each filled place of `chosen`, rows of the catalogue int64 [n, k], -1 for an empty
        place: user after user."""
        for texts in (self._shared_texts, self._own_texts):
            if len(texts) > KEPT:
                texts.clear()
        filled = chosen >= 0
        rows, past = chosen[filled], self._past(readouts, profiles, chosen)[filled]
        alike = past >= 0
        items, topics = self._catalogue.columns.names.take(past, mode="clip"), self._shared(rows, past)
        if not alike.all():
            items[~alike] = b""
            users = np.nonzero(filled)[0]
            self._explain_alone(topics, np.flatnonzero(~alike), (users, rows), profiles)
        return Reasons(_OPENINGS.take(alike).tolist(), items.tolist(), topics)

    def _past(self, readouts: Readouts, profiles: Sequence[Profile], chosen: Int64) -> Int64:
        """For each place the row of the most similar item of the past, [n, k]; -1 where none is alike."""
        alike, past = _nearest(self._catalogue, readouts, chosen)
        place = self._hashes.searchsorted(past)
        place[place == len(self._hashes)] = 0
        found = (alike >= ALIKE) & (self._hashes.take(place) == past)
        disliked, users = disliked_marks(profiles)
        if len(disliked):
            own = np.arange(len(profiles))[:, None]
            found &= ~np.isin(_of_user(own, past & _MARK), _of_user(users, disliked.astype(np.uint64)))
        return np.where(found, self._rows.take(place), _NONE)

    def _shared(self, rows: Int64, past: Int64) -> list[bytes]:
        """The topics that items [m] share with items of the past [m], as the end of a reason."""
        topics = self._catalogue.columns.topics[:, : self._catalogue.most_topics]
        codes, others = topics.take(rows, axis=0), topics.take(past, axis=0, mode="clip")
        shared = np.zeros(codes.shape, dtype=np.bool_)
        for column in range(codes.shape[1]):
            shared |= codes == others[:, column : column + 1]
        shared &= codes >= 0
        places = shared.cumsum(axis=1)
        shared &= places <= SHARED_TOPICS
        mixed = (codes + 1) * shared * _MIXERS.take(places - 1, mode="clip")
        keys = mixed.sum(axis=1).tolist()
        try:
            return list(map(self._shared_texts.__getitem__, keys))
        except KeyError:
            self._write_shared(keys, codes, shared)
            return list(map(self._shared_texts.__getitem__, keys))

    def _write_shared(self, keys: list[int], codes: Codes, shared: Bool) -> None:
        names = self._catalogue.topics_by_code
        for place, key in enumerate(keys):
            if key not in self._shared_texts:
                topics = [names[code] for code in codes[place, shared[place]].tolist()]
                self._shared_texts[key] = b',"topics":%b}]' % _encoder.encode(topics) if topics else b"}]"

    def _explain_alone(
        self, topics: list[bytes], places: Int64, slots: tuple[Int64, Int64], profiles: Sequence[Profile]
    ) -> None:
        """Fill in the user's own topics where no item of the past is alike."""
        users, rows = slots
        liked: dict[int, set[str]] = {}
        for place, user, row in zip(
            places.tolist(), users[places].tolist(), rows[places].tolist(), strict=True
        ):
            if user not in liked:
                liked[user] = liked_topics(profiles[user])
            mine = liked[user]
            shared = tuple([topic for topic in self._catalogue.topics[row] if topic in mine][:SHARED_TOPICS])
            text = self._own_texts.get(shared)
            if text is None:
                text = self._own_texts[shared] = _own_topics(shared)
            topics[place] = text


def with_strategies(
    reasons: Reasons,
    names: Sequence[str],
    parts: NDArray[np.float32],
    followed: tuple[NDArray[np.object_], Int64],
) -> Reasons:
    """The reasons of m places with the strategies that speak for each, by their parts of the score, float32
    [strategies, m]: the largest first. `followed` are ids as JSON by row, and for each place the row of the
    item that it followed upon, -1 for none."""
    total = parts.sum(axis=0)
    shares = np.round(parts / np.where(total > 0, total, 1), 3).T
    openings, ends = list(reasons.openings), list(reasons.topics)
    ids, rows = followed
    for place, row in enumerate(rows.tolist()):
        mine = shares[place].tolist()
        said = [
            b'{"strategy":"%b","share":%b%b}'
            % (
                names[number].encode(),
                _encoder.encode(mine[number]),
                b',"item_id":' + ids[row] if names[number] == "collaborative" and row >= 0 else b"",
            )
            for number in sorted(range(len(mine)), key=lambda number: -mine[number])
            if mine[number] >= LEAST_SHARE
        ]
        if not said:
            continue
        before = bool(openings[place] or ends[place])
        end = ends[place][:-1] + b"," if before else b',"reasons":['
        ends[place] = end + b",".join(said) + b"]"
    return Reasons(openings, reasons.items, ends)


def _own_topics(shared: tuple[str, ...]) -> bytes:
    return b',"reasons":[{"topics":%b}]' % _encoder.encode(shared) if shared else b""


def _of_user(users: Int64, marks: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Mark and user as one number."""
    return (users.astype(np.uint64) << np.uint64(8 * MARK_BYTES)) | marks


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
    itself = hashes.take(chosen, mode="clip")[:, :, None] == recent[:, None, :]
    if itself.any():
        np.copyto(cosines, np.float32(-np.inf), where=itself)
    nearest = cosines.argmax(axis=2)
    width = recent.shape[1]
    alike = cosines.reshape(-1).take(np.arange(chosen.size).reshape(chosen.shape) * width + nearest)
    return alike, recent.reshape(-1).take(np.arange(len(recent))[:, None] * width + nearest)
