"""What an evaluation asks of a model, and what a model gets to learn from."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

from state.learning.interactions import Bool, Float32, Int32, Int64, Interactions, ItemContent, UInt8
from state.learning.start import Start

Tell = Callable[[float], None]
"""Is told how much of the work is done, 0 to 1."""


class Padded(NamedTuple):
    """Histories as arrays [n, length], the latest event last, with -1 for no item where `mask` is not set."""

    items: Int32
    time_ms: Int64
    actions: UInt8
    values: Float32
    dwell: Float32
    mask: Bool


@dataclass(frozen=True)
class Histories:
    """n histories, each a run of events of one user in `source`, read at some time.

    Rows of one user stand next to each other and grow, so that a model which folds event by event need not
    begin again. users: int32 [n], codes. first, end: int64 [n], positions in `source`: events first to
    end - 1 are the history, which may be empty. read_ms: int64 [n], epoch milliseconds.
    """

    source: Interactions
    users: Int32
    first: Int64
    end: Int64
    read_ms: Int64

    def __len__(self) -> int:
        return len(self.users)

    def part(self, chosen: slice | Int64 | Bool) -> "Histories":
        return Histories(
            self.source, self.users[chosen], self.first[chosen], self.end[chosen], self.read_ms[chosen]
        )

    def padded(self, length: int | None = None) -> Padded:
        """The last `length` events of each, or all."""
        longest = int((self.end - self.first).max(initial=0))
        width = longest if length is None else length
        places = self.end[:, None] - width + np.arange(width)
        mask = places >= self.first[:, None]
        taken = np.where(mask, places, 0)
        source = self.source
        if not len(source):
            source, taken = _NOTHING, np.zeros_like(taken)
        return Padded(
            np.where(mask, source.item[taken], np.int32(-1)),
            np.where(mask, source.time_ms[taken], np.int64(0)),
            np.where(mask, source.action[taken], np.uint8(0)),
            np.where(mask, source.value[taken], np.float32(np.nan)),
            np.where(mask, source.dwell[taken], np.float32(np.nan)),
            mask,
        )


@dataclass(frozen=True)
class Targets:
    """Events of `source` to be foretold from what their users did before: positions, int64 [n], ascending."""

    source: Interactions
    positions: Int64

    def __len__(self) -> int:
        return len(self.positions)

    @property
    def items(self) -> Int32:
        """The items that were really taken, int32 [n]."""
        return self.source.item[self.positions]

    @property
    def users(self) -> Int32:
        return self.source.user[self.positions]

    def part(self, chosen: slice | Int64 | Bool) -> "Targets":
        return Targets(self.source, self.positions[chosen])

    def histories(self) -> Histories:
        """All that each target's user did before it, read at the time of the target."""
        users = self.users
        return Histories(
            self.source,
            users,
            self.source.starts[users],
            self.positions,
            self.source.time_ms[self.positions],
        )


class Recommender(Protocol):
    """A model as an evaluation sees it."""

    @property
    def name(self) -> str: ...

    def scores(self, histories: Histories) -> Float32:
        """A score per history and item, float32 [n, items], higher is better; -inf where none can be given.

        Seen items need not be left out: the evaluation does that.
        """
        ...


def demand(train: Interactions) -> Float32:
    """Each item's share of the events, float32 [items]: what is shown to who has no interest yet.

    Shares and not counts, so that next to the scores of everybody else they are near zero, which says
    neither like nor dislike; counts in the hundreds turned the curve through all scores around.
    """
    return np.asarray(train.counts / max(1, len(train)), np.float32)


@dataclass(frozen=True)
class Task:
    """What a model learns from. Nothing of `validation` may enter the weights: it tells when to stop.

    `content` is None where nothing is known of the items. Everything random follows from `seed`.
    `start` is where the interest model begins; None begins it anew.
    """

    train: Interactions
    validation: Targets
    content: ItemContent | None
    seed: int = 0
    start: Start | None = None


class Learner(Protocol):
    """Makes a model for a task."""

    def __call__(self, task: Task, tell: Tell) -> Recommender: ...


_NOTHING = Interactions(
    np.zeros(1, np.int32),
    np.zeros(1, np.int32),
    np.zeros(1, np.int64),
    np.zeros(1, np.uint8),
    *(np.zeros(1, np.float32),) * 4,
    ("",),
    ("",),
)
