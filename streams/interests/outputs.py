"""What the interests worker publishes: interests, slates and what happened to items."""

import itertools
from collections.abc import Mapping, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from encoders.base import MODALITIES
from state.fusion import Readouts
from state.layout import HALF_LIVES_SECONDS
from state.profile import Profile, topic_shares
from state.trending import ItemDelta
from streams.engine.processor import Headers, Output
from streams.interests.numerals import DECIMALS, shortest, unit_vectors
from streams.interests.pieces import joined

CAUSES = 64
"""An output names at most so many of the events that caused it, the last ones."""
TOPICS = 16

_json = msgspec.json.Encoder()
_msgpack = msgspec.msgpack.Encoder()
_PIECES = 3
_HALF_LIVES = [
    b'},{"half_life_seconds":%b,"weight":' % _json.encode(None if seconds == float("inf") else seconds)
    for seconds in HALF_LIVES_SECONDS
]
_MODALITY_NAMES = tuple(modality.value for modality in MODALITIES)


class Cause(msgspec.Struct, array_like=True, gc=False):
    """What caused an output."""

    events: list[str]
    event_time: int
    """Of the last one, epoch milliseconds."""
    traceparent: str | None = None
    context: bytes | None = None
    """Of the last one that has any, a JSON object."""

    def headers(self) -> Headers:
        headers = [("event_time", b"%d" % self.event_time)]
        if self.traceparent is not None:
            headers.append(("traceparent", self.traceparent.encode()))
        return headers

    def members(self) -> bytes:
        """`caused_by` and, where there is one, `context`, as JSON."""
        events = b'"caused_by":' + _json.encode(self.events)
        return events if self.context is None else b'%b,"context":%b' % (events, self.context)

    def followed_by(self, later: "Cause") -> "Cause":
        """Both together; the later one gives time, trace and context."""
        events = (self.events + later.events)[-CAUSES:]
        return Cause(
            events, later.event_time, later.traceparent or self.traceparent, later.context or self.context
        )


def as_of_text(partition: int, offset: int, topic: str) -> bytes:
    """The members `as_of` and `as_of_topic` of an interest that is made of all raw records of the
    partition below the offset, in the topic with this id."""
    offsets = b',"as_of":{"%d":%d}' % (partition, offset)
    return b'%b,"as_of_topic":%b' % (offsets, _json.encode(topic)) if topic else offsets


class Portraits:
    """Interests and slates of a batch of users as JSON, as `streams.records` has them."""

    def __init__(self, readouts: Readouts, model: str, user_ids: Sequence[str]) -> None:
        self._counts = readouts.event_count.tolist()
        made_by = _json.encode(model)
        versions, times = readouts.version.tolist(), readouts.time_ms.tolist()
        self._openings = [
            b'{"user_id":%b,"version":%d,"timestamp":%d,"model":%b'
            % (_json.encode(user), version, time, made_by)
            for user, version, time in zip(user_ids, versions, times, strict=True)
        ]
        vectors = np.concatenate([readouts.interest[:, None], readouts.heads], axis=1)
        texts = unit_vectors(vectors, b',"vector":[')
        self._vectors = texts[:: vectors.shape[1]]
        del texts[:: vectors.shape[1]]
        self._heads = _heads(readouts, texts)
        self._modalities = _rounded(readouts.modalities).tolist()

    def interest(self, user: int, causes: bytes, topics: bytes, as_of: bytes) -> bytes:
        """The record of `interests` for the user at place `user` of the batch."""
        modalities = {
            name: share
            for name, share in zip(_MODALITY_NAMES, self._modalities[user], strict=True)
            if share > 0
        }
        return b'%b%b,"heads":%b,"topics":%b,"modalities":%b,"event_count":%d,%b%b}' % (
            self._openings[user],
            self._vectors[user],
            self._heads[user],
            topics,
            _json.encode(modalities),
            self._counts[user],
            causes,
            as_of,
        )

    def recommendation(self, user: int, causes: bytes, places: bytes) -> bytes:
        """The record of `recommendations` for the user at place `user` of the batch."""
        return b'%b,"items":%b,%b}' % (self._openings[user], places, causes)


def topics_text(profile: Profile, vocabulary: Mapping[str, str]) -> bytes:
    """The `topics` of an interest as JSON."""
    return _json.encode(topic_shares(profile, TOPICS, vocabulary))


def delta_output(topic: str, delta: ItemDelta) -> Output:
    return Output(topic, delta.item_id.encode(), _msgpack.encode(delta))


def _heads(readouts: Readouts, vectors: list[bytes]) -> list[bytes]:
    """Each user's heads that weigh anything as JSON, given their vectors."""
    weights = _rounded(readouts.head_weights)
    pieces = [b""] * (_PIECES * weights.size)
    pieces[0::_PIECES] = _HALF_LIVES * len(weights)
    pieces[1::_PIECES] = shortest(weights.ravel().tolist())
    pieces[2::_PIECES] = vectors
    weighs = weights > 0
    if not weighs.all():
        pieces = list(itertools.compress(pieces, weighs.repeat(_PIECES).tolist()))
    counts = weighs.sum(axis=1) * _PIECES
    # A head ends where the next one begins, so the text of each begins with the end of the one before.
    texts = joined(pieces, counts.tolist())
    return [b"[%b}]" % text[2:] if text else b"[]" for text in texts]


def _rounded(numbers: NDArray[np.float32]) -> NDArray[np.float64]:
    """Rounding a whole array costs a fifth of rounding number by number."""
    return np.asarray(np.round(numbers.astype(np.float64), DECIMALS), np.float64)
