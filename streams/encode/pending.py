"""Events that wait for an item which is not known yet, or for a medium that is late."""

import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from streams.encode.drafts import Draft, Missing


@dataclass(slots=True, eq=False)
class Waiting:
    """A draft, what of it is missing, and how many corrections of it went out."""

    draft: Draft
    missing: set[Missing]
    deadline: float
    sequence: int = 0


class PendingEvents:
    """Bounded by count and by time: what does not fit, or waited too long, stays masked for good."""

    def __init__(self, seconds: float, capacity: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._capacity = capacity
        self._clock = clock
        self._waiting: OrderedDict[int, Waiting] = OrderedDict()
        self._by_missing: dict[Missing, dict[int, Waiting]] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def remember(self, draft: Draft, missing: set[Missing], sequence: int = 0) -> None:
        """Wait for what a draft misses. Drops the oldest where there are too many."""
        self.expire()
        while len(self._waiting) >= self._capacity:
            self._drop(next(iter(self._waiting.values())))
        waiting = Waiting(draft, set(missing), self._clock() + self._seconds, sequence)
        self._waiting[id(waiting)] = waiting
        for each in missing:
            self._by_missing.setdefault(each, {})[id(waiting)] = waiting

    def waits_for(self, each: Missing) -> bool:
        """Whether some event waits for it."""
        return each in self._by_missing

    def find(self, came: Iterable[Missing]) -> list[Waiting]:
        """The events that wait for any of these, oldest first."""
        found: dict[int, Waiting] = {}
        for each in came:
            found.update(self._by_missing.get(each, {}))
        return sorted(found.values(), key=lambda waiting: waiting.deadline)

    def settle(self, waiting: Waiting, draft: Draft, missing: set[Missing]) -> None:
        """A correction went out: the event goes on waiting for what is still missing."""
        waiting.sequence += 1
        waiting.draft = draft
        for each in waiting.missing - missing:
            self._unlink(each, waiting)
        waiting.missing = waiting.missing & missing
        if not waiting.missing:
            self._waiting.pop(id(waiting), None)

    def forget_partitions(self, partitions: Iterable[int]) -> None:
        """Drop what belongs to partitions that another worker owns now."""
        gone = set(partitions)
        for waiting in [one for one in self._waiting.values() if one.draft.partition in gone]:
            self._drop(waiting)

    def expire(self) -> None:
        """Drop what waited too long."""
        now = self._clock()
        while self._waiting:
            oldest = next(iter(self._waiting.values()))
            if oldest.deadline > now:
                return
            self._drop(oldest)

    def _drop(self, waiting: Waiting) -> None:
        self._waiting.pop(id(waiting), None)
        for each in waiting.missing:
            self._unlink(each, waiting)

    def _unlink(self, each: Missing, waiting: Waiting) -> None:
        events = self._by_missing.get(each)
        if events is not None:
            events.pop(id(waiting), None)
            if not events:
                del self._by_missing[each]
