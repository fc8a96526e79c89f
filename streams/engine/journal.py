"""The engine's seam to the log: one partition's changelog and outputs, written in transactions."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from streams.engine.processor import Output

Changes = Mapping[bytes, bytes | None]
Cancelled = Callable[[], bool]
"""Asked between steps of something long: whether to give up."""


class OpeningCancelled(Exception):
    """An opening was given up because it was asked to."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What the broker says of a partition's topics, once the partition is fenced."""

    source_topic: bytes
    """Id of the source topic."""
    source_start: int
    """Lowest offset that the source still has."""
    changelog_topic: bytes
    changelog_end: int
    """Offset behind the last record or marker. Nothing comes after it before we write."""
    delete_retention_ms: int
    """How long a null of the changelog is kept for those who have not seen it."""
    changelog_start: int = 0
    """Lowest offset that the changelog still has. Compaction never moves it."""
    forgotten: int | None = None
    """Offset from which on there was a transaction that a broker had forgotten to end. It is aborted now."""


Undone = Callable[[int], bool | None]
"""`Journal.undone` of one partition."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Records of the changelog, the last one of each key, and the offset behind them."""

    changes: Changes
    records: int
    end: int


class Journal(Protocol):
    """One owner at a time: fencing ends the transactions of the owner before.

    `produce` and `commit` raise OwnershipLost where another owner has fenced this one, and CommitFailed where
    the transaction failed or its result is unknown. Either way the journal is of no more use: close it, and
    open the partition anew from what the log says.
    """

    def fence(self, cancelled: Cancelled) -> Facts:
        """Become the owner. Afterwards nothing of an earlier owner is open or can still come."""
        ...

    def replay(self, start: int, end: int, cancelled: Cancelled) -> Iterator[Chunk]:
        """Committed records of the changelog in [start, end), oldest first."""
        ...

    def undone(self, offset: int) -> bool | None:
        """Whether the record before this offset of the changelog was written, and is not committed. None
        where nothing is there, as compaction leaves it, of either.

        A broker may note a transaction as committed, forget to end it, and end it with the next one of the
        same producer, which was aborted.
        """
        ...

    def produce(self, outputs: Sequence[Output], changes: Changes) -> None:
        """Begin a transaction and hand everything over."""
        ...

    def commit(self) -> int:
        """End the transaction. Returns the offset behind its last record in the changelog."""
        ...

    def close(self) -> None:
        """Let go. What is in flight is aborted."""
        ...
