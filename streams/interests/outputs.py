"""What the interests worker publishes: interests, slates and what happened to items."""

from collections.abc import Mapping
from typing import NamedTuple, cast

import msgspec
import numpy as np
from numpy.typing import NDArray

from encoders.base import MODALITIES
from state.fusion import Readouts
from state.layout import HALF_LIVES_SECONDS, HEAD_COUNT
from state.recommend import Slate
from state.trending import ItemDelta
from streams.engine.processor import Headers, Output
from streams.interests.numerals import DECIMALS, unit_vectors
from streams.records import Head, Interest, Reason, Recommendation, RecommendedItem

CAUSES = 64
"""An output names at most so many of the events that caused it, the last ones."""
TOPICS = 16

_ONE = 10**DECIMALS
_VECTORS = 1 + HEAD_COUNT
_json = msgspec.json.Encoder()
_msgpack = msgspec.msgpack.Encoder()
_NO_REASONS: list[Reason] = []
_HALF_LIVES = tuple(None if seconds == float("inf") else seconds for seconds in HALF_LIVES_SECONDS)
_MODALITY_NAMES = tuple(modality.value for modality in MODALITIES)


class Cause(msgspec.Struct, array_like=True, gc=False):
    """What caused an output."""

    events: list[str]
    event_time: int
    """Of the last one, epoch milliseconds."""
    traceparent: str | None = None

    def headers(self) -> Headers:
        headers = [("event_time", b"%d" % self.event_time)]
        if self.traceparent is not None:
            headers.append(("traceparent", self.traceparent.encode()))
        return headers

    def followed_by(self, later: "Cause") -> "Cause":
        """Both together; the later one gives time and trace."""
        events = (self.events + later.events)[-CAUSES:]
        return Cause(events, later.event_time, later.traceparent or self.traceparent)


class AsOf(NamedTuple):
    """Raw partition to the raw offset up to which (exclusive) an interest is made, and the topic's id."""

    offsets: dict[str, int]
    topic: str


class Portraits:
    """Interests of a batch of users as plain numbers, rounded all at once."""

    def __init__(self, readouts: Readouts, model: str) -> None:
        self._model = model
        self._versions = readouts.version.tolist()
        self._counts = readouts.event_count.tolist()
        self._times = readouts.time_ms.tolist()
        self._vectors = _as_json(np.concatenate([readouts.interest[:, None], readouts.heads], axis=1))
        self._weights = _rounded(readouts.head_weights)
        self._modalities = _rounded(readouts.modalities)

    def interest(
        self, user: int, user_id: str, cause: Cause, topics: Mapping[str, float], as_of: AsOf
    ) -> bytes:
        """The record of `interests` for the user at place `user` of the batch, as JSON."""
        vectors = self._vectors[user * _VECTORS : (user + 1) * _VECTORS]
        return _json.encode(
            Interest(
                user_id=user_id,
                version=self._versions[user],
                timestamp=self._times[user],
                model=self._model,
                vector=vectors[0],
                heads=[
                    Head(half_life, weight, vector)
                    for half_life, weight, vector in zip(
                        _HALF_LIVES, self._weights[user], vectors[1:], strict=True
                    )
                    if weight > 0
                ],
                topics={name: int(share * _ONE + 0.5) / _ONE for name, share in topics.items()},
                modalities={
                    name: share
                    for name, share in zip(_MODALITY_NAMES, self._modalities[user], strict=True)
                    if share > 0
                },
                event_count=self._counts[user],
                caused_by=cause.events,
                as_of=as_of.offsets,
                as_of_topic=as_of.topic,
            )
        )

    def recommendation(self, user: int, user_id: str, cause: Cause, slate: Slate) -> bytes:
        """The record of `recommendations` for the user at place `user` of the batch, as JSON."""
        return _json.encode(
            Recommendation(
                user_id=user_id,
                version=self._versions[user],
                timestamp=self._times[user],
                model=self._model,
                items=_places(slate),
                caused_by=cause.events,
            )
        )


def delta_output(topic: str, delta: ItemDelta) -> Output:
    return Output(topic, delta.item_id.encode(), _msgpack.encode(delta))


def _places(slate: Slate) -> list[RecommendedItem]:
    # Reasons are written already; to whoever fills them into a record they are a list.
    reasons = cast("list[list[Reason]]", [why.text if why else _NO_REASONS for why in slate.reasons])
    ranks = range(1, len(slate.items) + 1)
    return list(map(RecommendedItem, slate.items, slate.scores, ranks, slate.sources, reasons))


def _rounded(numbers: NDArray[np.float32]) -> list[list[float]]:
    """Rounding a whole array costs a fifth of rounding number by number."""
    rows: list[list[float]] = np.round(numbers.astype(np.float64), DECIMALS).tolist()
    return rows


def _as_json(vectors: NDArray[np.float32]) -> list[list[float]]:
    """Vectors written already; to whoever fills them into a record they are lists of numbers."""
    return cast("list[list[float]]", [msgspec.Raw(text) for text in unit_vectors(vectors)])
