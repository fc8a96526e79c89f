"""Whether a user has changed enough for a new description: pure, from published records."""

from typing import Any

import msgspec
import numpy as np

from streams.settings import DescribeSettings

TOPICS = 5
"""Leading topics that a description is remembered by."""
LEAST_SHARE = 0.05
"""Topics below this are not remembered."""
NEWS_SHARE = 0.15
"""A topic that is not remembered is news from this share on. It must have grown threefold, so that shares
which waver about one limit make no news."""
_LEVELS = 127


class Glimpse(msgspec.Struct, gc=False):
    """What is looked at of a record of `interests`; the rest is not even decoded."""

    user_id: str
    version: int
    timestamp: int
    model: str
    vector: list[float]
    topics: dict[str, float]
    event_count: int
    as_of: dict[str, int] = {}
    context: dict[str, Any] | None = None

    @property
    def home(self) -> int:
        """Partition of the changelog that has the state: the one that the events came in. -1: unknown."""
        return int(next(iter(self.as_of), "-1"))


class Told(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """What a user was last described as, as far as it decides about the next time."""

    version: int
    timestamp: int
    written: int
    """When, epoch milliseconds."""
    model: str
    """Of the interest: vectors of different models do not compare."""
    language: str
    digest: bytes
    """Of the facts."""
    vector: bytes
    """64 signed bytes."""
    topics: tuple[str, ...]


glimpses = msgspec.json.Decoder(Glimpse)


def packed(vector: list[float]) -> bytes:
    """A unit vector in one byte a number: a cosine is right to .01."""
    return bytes(np.rint(np.array(vector) * _LEVELS).astype(np.int8).tobytes())


def leading(topics: dict[str, float]) -> tuple[str, ...]:
    """Names of the topics that count, the largest first."""
    ordered = sorted(topics, key=lambda name: (-topics[name], name))
    return tuple(name for name in ordered if topics[name] >= LEAST_SHARE)[:TOPICS]


def drift(glimpse: Glimpse, told: Told | None, settings: DescribeSettings) -> str:
    """Why the user is to be described: `first`, `model`, `vector`, `topics`; empty where none holds.

    Vectors of two models do not compare: under another one the facts tell whether there is anything to say.
    """
    if glimpse.event_count < settings.first_events:
        return ""
    if told is None:
        return "first"
    if glimpse.version <= told.version and glimpse.timestamp <= told.timestamp:
        # What was read ahead of this record is described already. A user who was forgotten starts again with
        # low versions, yet at a later time.
        return ""
    if glimpse.model != told.model:
        return "model"
    if distance(glimpse.vector, told.vector) >= settings.drift:
        return "vector"
    news = (name for name, share in glimpse.topics.items() if share >= NEWS_SHARE)
    return "topics" if any(name not in told.topics for name in news) else ""


def distance(vector: list[float], remembered: bytes) -> float:
    """1 - cosine, 0 to 2; 0 where either has no direction."""
    one = np.array(vector)
    other = np.frombuffer(remembered, np.int8).astype(np.float64)
    if one.shape != other.shape:
        return 2.0
    lengths = float(np.linalg.norm(one) * np.linalg.norm(other))
    return 1.0 - float(one @ other) / lengths if lengths > 0 else 0.0
