"""Users who wait to be described: who is due, and up to where the topic is done with."""

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

_SLACK = 1_000


@dataclass(slots=True, eq=False)
class Entry:
    """One user. All but the times is of the latest record, of `interests`, at `number` and `offset`."""

    user: bytes
    number: int
    offset: int
    version: int
    timestamp: int
    home: int
    """Partition of the changelog that has the user's state."""
    language: str = ""
    """What the application said of the user; empty where it said nothing."""
    due_ms: int = 0
    tries: int = 0
    """How often the state was looked for in vain."""
    failures: int = 0
    """How often it could not be written."""


@dataclass(slots=True)
class Waiting:
    """At most one entry a user. A later record of a user takes the place of the one before, at its turn."""

    _entries: dict[int, dict[bytes, Entry]] = field(default_factory=dict)
    _turns: list[tuple[int, int, Entry]] = field(default_factory=list)
    _count: int = 0

    def __len__(self) -> int:
        return sum(map(len, self._entries.values()))

    def __iter__(self) -> Iterator[Entry]:
        for entries in self._entries.values():
            yield from entries.values()

    def put(self, entry: Entry) -> None:
        """Waits until `due_ms`, or, where the user waits already, until its turn of before."""
        entries = self._entries.setdefault(entry.number, {})
        held = entries.get(entry.user)
        if held is not None:
            entry.due_ms, entry.tries, entry.failures = held.due_ms, held.tries, held.failures
        entries[entry.user] = entry
        self._count += 1
        heapq.heappush(self._turns, (entry.due_ms, self._count, entry))
        if len(self._turns) > 2 * len(self) + _SLACK:
            self._turns = [turn for turn in self._turns if self._waits(turn[2])]
            heapq.heapify(self._turns)

    def again(self, entry: Entry, due_ms: int) -> None:
        """The entry was taken, and must wait once more; a record that came meanwhile holds instead."""
        if entry.user not in self._entries.get(entry.number, {}):
            entry.due_ms = due_ms
            self.put(entry)

    def drop(self, number: int, user: bytes) -> None:
        self._entries.get(number, {}).pop(user, None)

    def forget(self, numbers: Iterable[int]) -> None:
        """These partitions belong to another worker now."""
        for number in numbers:
            self._entries.pop(number, None)

    def take(self, now_ms: int, limit: int) -> list[Entry]:
        """Those whose turn has come, who waited longest first. They wait no more."""
        taken: list[Entry] = []
        while self._turns and self._turns[0][0] <= now_ms and len(taken) < limit:
            entry = heapq.heappop(self._turns)[2]
            if self._waits(entry):
                del self._entries[entry.number][entry.user]
                taken.append(entry)
        return taken

    def first_offsets(self) -> dict[int, int]:
        """The lowest offset by partition whose user still waits."""
        return {
            number: min(entry.offset for entry in entries.values())
            for number, entries in self._entries.items()
            if entries
        }

    def _waits(self, entry: Entry) -> bool:
        return self._entries.get(entry.number, {}).get(entry.user) is entry
