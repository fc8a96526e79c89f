"""A record as it was read from Kafka, free of any client."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from state.events import NO_TOPIC

RawHeaders = Sequence[tuple[str, bytes | None]]
ClientHeaders = dict[str, str | bytes | None] | list[tuple[str, str | bytes | None]]


@dataclass(slots=True)
class RawRecord:
    """One record of one partition. `timestamp` is the broker's (or the producer's), epoch milliseconds.

    Never changed; not frozen, since that makes a record four times as dear to make.
    """

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: RawHeaders = ()
    origin: "RawRecord | None" = None
    """The record of which this one is a copy, written under the user's id by the repartition stage."""
    topic_id: bytes = NO_TOPIC
    """Id of the topic: one that was made anew has another."""

    @property
    def original(self) -> "RawRecord":
        """The record as it came in: what people are told of, and what event ids are made of."""
        return self if self.origin is None else self.origin


def header_pairs(headers: ClientHeaders | None) -> RawHeaders:
    """Headers as a client gives them, if it gives any."""
    if not headers:
        return ()
    pairs = headers.items() if isinstance(headers, dict) else headers
    return [(name, value.encode() if isinstance(value, str) else value) for name, value in pairs]


def header(headers: Iterable[tuple[str, bytes | None]], name: str) -> bytes | None:
    """The last header of that name."""
    found = None
    for key, value in headers:
        if key == name:
            found = value
    return found
