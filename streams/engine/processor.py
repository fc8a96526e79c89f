"""The seam between the engine and what it runs: rows and stored values in, writes and outputs out."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

import msgspec

from state.events import NO_TOPIC
from state.store import Store
from streams.errors import RecordError

__all__ = [
    "KIND_HELD",
    "KIND_PLACE",
    "NO_TOPIC",
    "Effects",
    "Headers",
    "Output",
    "Processor",
    "RawEnd",
    "Refusal",
    "SourceBatch",
    "Work",
]

RowT = TypeVar("RowT")

KIND_PLACE = b"p"
KIND_HELD = b"h"
"""First byte of the key of an output that is held back. Processors choose further kinds for their own."""

RawEnd = tuple[bytes, int]
"""Id of a raw topic, and the raw offset behind the last one covered of it, -1 for none."""

Headers = Sequence[tuple[str, bytes]]


@dataclass(slots=True, frozen=True)
class Refusal:
    """A row that the processor cannot use, as the value that it would have alone in a record, and why."""

    offset: int
    """As in `SourceBatch.offsets`."""
    value: bytes
    error: RecordError


@dataclass(slots=True, frozen=True)
class SourceBatch(Generic[RowT]):
    """One decoded source record: rows, and the raw range [first, end) that they cover.

    first = end = -1 means that the record covers no raw range (a correction, or a source without one).
    `rows` and `offsets` go together; a row with offset -1 is never skipped by offset.
    """

    first: int
    end: int
    rows: Sequence[RowT]
    offsets: Sequence[int]
    topic: bytes = NO_TOPIC
    """Id of the raw topic that the range counts in."""
    follows: RawEnd | None = None
    """Of the first record of a raw topic: where the records before it end, in the topic before; else None."""
    refused: Sequence[Refusal] = ()


class Output(msgspec.Struct, frozen=True, gc=False):
    """A record for an output topic; the partition is chosen by the key."""

    topic: str
    key: bytes
    value: bytes | None
    headers: Headers = ()


@dataclass(slots=True)
class Work(Generic[RowT]):
    """What one partition gets in one micro-batch: new rows in order, and keys held back that are due."""

    rows: list[RowT] = field(default_factory=list)
    due: list[bytes] = field(default_factory=list)
    next_raw: int = 0
    """Raw offset that follows the last covered one: goes into `as_of`."""
    raw_topic: bytes = NO_TOPIC
    """Id of the raw topic that it counts in."""
    quiet: bool = False
    """Others have written what comes of these rows: outputs are dropped, but for those to the source."""


@dataclass(slots=True)
class Effects:
    """What one partition writes: values by key (None deletes), and outputs, in order."""

    puts: dict[bytes, bytes | None] = field(default_factory=dict)
    outputs: list[Output] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    broker_times: list[int] = field(default_factory=list)
    """Epoch milliseconds of the raw records that these outputs show: freshness is counted from them."""


class Processor(Protocol[RowT]):
    """Pure but for its own caches: the same rows on the same stored values give the same effects.

    The engine calls `decode`, `keys` and `apply` from one thread. `apply` sees the rows of all
    partitions of a micro-batch at once, so that it can work on arrays across users; a key belongs to
    one partition only.
    """

    def decode(self, value: bytes) -> SourceBatch[RowT]: ...

    def keys(self, work: Work[RowT]) -> Iterable[bytes]:
        """Store keys that `apply` will want for this work."""
        ...

    def apply(
        self,
        work: Mapping[int, Work[RowT]],
        stored: Mapping[int, Mapping[bytes, bytes | None]],
        clock_ms: int,
    ) -> dict[int, Effects]: ...

    def opened(self, partition: int, store: Store) -> None:
        """A partition was restored: what is kept of it in memory is read from its store.

        The store may be read from the engine's thread until `closed`.
        """
        ...

    def closed(self, partition: int) -> None: ...

    def due(self, partition: int, clock_ms: int) -> list[bytes]:
        """Keys whose time has come, of what is held back or ends; asked many times a second."""
        ...
