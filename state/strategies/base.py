"""One interface for every way to find what a user may like."""

from dataclasses import dataclass
from typing import Protocol

from state.audience import Audience
from state.strategies.field import Field, Float32, Int64


@dataclass(slots=True, frozen=True)
class Ask:
    """Whom it is about, and among what."""

    audience: Audience
    field: Field


class Strategy(Protocol):
    """Brings items up, and says how much speaks for any item.

    Its values are its own: larger is better, and they are compared for one user alone. -inf says nothing.
    """

    from_zero: bool
    """Whether values begin at 0, where hardly anything speaks for an item."""

    def propose(self, ask: Ask, count: int) -> Int64:
        """Open rows, int64 [n, c], c up to `count`; NO_ROW where there are no more."""
        ...

    def rate(self, ask: Ask, rows: Int64) -> Float32:
        """Values of rows [n, c], float32 [n, c]."""
        ...
