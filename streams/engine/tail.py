"""The seam between standbys and the changelog that they follow."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from streams.engine.journal import Chunk, Facts


class Tail(Protocol):
    """The changelog as standbys read it, committed records only."""

    def facts(self, number: int) -> Facts:
        """What the broker says of the partition now."""
        ...

    def undone(self, number: int, offset: int) -> bool | None:
        """As `Journal.undone`."""
        ...

    def assign(self, offsets: Mapping[int, int]) -> None:
        """Read these partitions; those that were not read before from their offsets."""
        ...

    def read(self, positions: Mapping[int, int], seconds: float) -> "Reading":
        """What comes within so long, perhaps nothing. `positions` are the offsets that come next."""
        ...

    def end(self, number: int) -> int:
        """Offset behind the last record that was heard of."""
        ...

    def ask_end(self, number: int) -> int | None:
        """Offset behind the last committed record now; None where the broker does not say."""
        ...

    def close(self) -> None: ...


@dataclass(slots=True)
class Reading:
    """Chunks by partition; which partitions were read to their end; which cannot be read, and why."""

    chunks: dict[int, Chunk]
    level: set[int]
    failed: dict[int, str]
    size: int = 0
    """Bytes of the records."""
