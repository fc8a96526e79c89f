"""Which of many keys are due: a heap whose size stays within that of what it is about."""

import heapq
from collections.abc import Callable, Mapping
from typing import Generic, TypeVar

ValueT = TypeVar("ValueT")

STEP = 256
"""Keys that are told at a time: each is a change of the batch that they come with."""
_SLACK = 64


class Deadlines(Generic[ValueT]):
    """`values` is the caller's: what is taken out of it is due no more, what is put in must be noted.

    `until` tells when a value is due, in epoch milliseconds.
    """

    def __init__(self, values: Mapping[bytes, ValueT], until: Callable[[ValueT], int]) -> None:
        self._values = values
        self._until = until
        self._gather()

    def __len__(self) -> int:
        """Entries of the heap: at most two for each value, and a few."""
        return len(self._heap)

    def note(self, key: bytes) -> None:
        """The value of the key is new, or due at another time."""
        heapq.heappush(self._heap, (self._until(self._values[key]), key))
        if len(self._heap) > 2 * len(self._values) + _SLACK:
            self._gather()

    def due(self, clock_ms: int) -> list[bytes]:
        """Up to STEP keys; they are told until their value is gone or due later."""
        found: dict[bytes, tuple[int, bytes]] = {}
        while self._heap and self._heap[0][0] <= clock_ms and len(found) < STEP:
            entry = heapq.heappop(self._heap)
            value = self._values.get(entry[1])
            if value is not None and self._until(value) <= clock_ms:
                found[entry[1]] = entry
        for entry in found.values():
            heapq.heappush(self._heap, entry)
        return list(found)

    def _gather(self) -> None:
        self._heap = [(self._until(value), key) for key, value in self._values.items()]
        heapq.heapify(self._heap)
