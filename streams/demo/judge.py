"""Judges slates against the hidden tastes, beside what random and most-popular slates would have given."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from streams.demo.viewers import Shelf, Viewer

WINDOW = 10
RECOVERY_EVENTS = 20
POSITIVE = frozenset({"view", "click", "like", "save", "share", "purchase"})


@dataclass(frozen=True)
class Snapshot:
    """A viewer as it was when it sent an event: what a slate that the event caused is judged by."""

    tastes: tuple[str, str]
    seen: frozenset[str]
    popular: tuple[str, ...]


@dataclass(frozen=True)
class Shares:
    """Mean share of items in a slate that match the hidden tastes."""

    slates: int
    penchant: float
    random: float
    popular: float


@dataclass
class Judge:
    """Collects a verdict for each slate, by the number of the event that caused it."""

    shelf: Shelf
    top_k: int
    popularity: Counter[str] = field(default_factory=Counter)
    snapshots: dict[tuple[str, int], Snapshot] = field(default_factory=dict)
    verdicts: dict[tuple[str, int], tuple[float, float, float]] = field(default_factory=dict)

    def sent(self, viewer: Viewer, action: str, item_id: str | None) -> None:
        """Remember the viewer as of the event that it sends now."""
        if item_id and action in POSITIVE:
            self.popularity[item_id] += 1
        popular = tuple(item for item, _ in self.popularity.most_common(self.top_k + len(viewer.seen)))
        snapshot = Snapshot(viewer.tastes, frozenset(viewer.seen), popular)
        self.snapshots[viewer.name, viewer.count] = snapshot

    def slate(self, user: str, event_number: int, items: Sequence[str]) -> None:
        """Judge a slate; of several for one event the last one holds."""
        then = self.snapshots.get((user, event_number))
        if then is None or not items:
            return
        unseen = [item for item in self.shelf.items if item not in then.seen]
        popular = [item for item in then.popular if item not in then.seen][: self.top_k]
        self.verdicts[user, event_number] = (
            self._share(items, then),
            self._share(unseen, then),
            self._share(popular, then),
        )

    def _share(self, items: Sequence[str], then: Snapshot) -> float:
        if not items:
            return 0.0
        return sum(self.shelf.category(item) in then.tastes for item in items) / len(items)

    def shares(self, first: int, last: int) -> Shares:
        """Means over the slates of the events with these numbers (counted from 1, both included)."""
        rows = [row for (_, number), row in self.verdicts.items() if first <= number <= last]
        means = np.mean(rows, axis=0) if rows else np.zeros(3)
        return Shares(len(rows), *(float(mean) for mean in means))

    def recovery(self, change: int, last: int) -> list[tuple[int, float]]:
        """Mean share by events since the change (the event after it is 1)."""
        by_step: dict[int, list[float]] = defaultdict(list)
        for (_, number), (share, _, _) in self.verdicts.items():
            if change < number <= last:
                by_step[number - change].append(share)
        return [(step, float(np.mean(shares))) for step, shares in sorted(by_step.items())]
