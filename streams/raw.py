"""A record as it was read from Kafka, free of any client."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from state.events import NO_TOPIC

FIRST_SENT = "first-sent"
"""Header of a record that was sent again: the time of the one that came first, epoch milliseconds."""

RawHeaders = Sequence[tuple[str, bytes | None]]
ClientHeaders = dict[str, str | bytes | None] | list[tuple[str, str | bytes | None]]

_DIGITS = 15


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


def first_sent(record: RawRecord) -> int | None:
    """When the record came first, where it was sent again later and says so."""
    told = header(record.headers, FIRST_SENT) if record.headers else None
    if told is None or not told.isdigit() or len(told) > _DIGITS:
        return None
    return min(int(told), record.timestamp)


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
