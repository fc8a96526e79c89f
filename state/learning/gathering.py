"""Events gathered one by one from a file, and what makes actions of ratings."""

import math
from array import array
from dataclasses import replace
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from state.errors import LearningError
from state.events import ACTIONS, Action
from state.learning.interactions import Int32, Interactions, interactions_of

MOST_ID = 512
"""Characters of an id; the topics take no longer one."""
LARGEST = float(np.finfo(np.float32).max)
_LIKE, _DISLIKE, _VIEW = (ACTIONS.index(action) for action in (Action.LIKE, Action.DISLIKE, Action.VIEW))


class ReadingOptions(msgspec.Struct, frozen=True):
    """How a file becomes interactions."""

    like_from: float = 4.0
    """A rating of so much and more is a like, where the file names no action."""
    dislike_to: float = 2.0
    """A rating of so much and less is a dislike; what lies between, or has no rating, is a view."""
    min_user: int = 0
    """Users with fewer events are left out."""
    min_item: int = 0
    """Items with fewer events are left out. Both are applied until nothing more goes (a k-core)."""

    def check(self) -> None:
        """Raises LearningError where a rating could be both a like and a dislike."""
        if not self.like_from > self.dislike_to:
            raise LearningError(
                f"--like-from must be above --dislike-to, and {self.like_from:g} is not above "
                f"{self.dislike_to:g}"
            )

    def action_of(self, rating: float) -> int:
        """Code of the action that a rating stands for; NaN is no rating."""
        if rating >= self.like_from:
            return _LIKE
        return _DISLIKE if rating <= self.dislike_to else _VIEW


class Event(NamedTuple):
    """One event as a file tells it; `action` None where it names none."""

    user_id: str
    item_id: str
    time_ms: int
    action: int | None
    value: float = math.nan
    dwell: float = math.nan
    watched: float = math.nan


def _check(event: Event) -> None:
    """What the topic would refuse is refused here. Raises ValueError."""
    for name, own in (("user_id", event.user_id), ("item_id", event.item_id)):
        if not 1 <= len(own) <= MOST_ID:
            raise ValueError(f"{name} must have 1 to {MOST_ID} characters, and has {len(own):,}")
    if abs(event.value) > LARGEST:
        raise ValueError(f"value {event.value!r} is too large")
    if event.dwell < 0:
        raise ValueError(f"dwell_seconds {event.dwell!r} is negative")
    if event.dwell > LARGEST:
        raise ValueError(f"dwell_seconds {event.dwell!r} is too large")
    if not (math.isnan(event.watched) or 0 <= event.watched <= 1):
        raise ValueError(f"watched_fraction {event.watched!r} is no part: 0 to 1 is wanted")


class Gathering:
    """Gathers events; users and items get their codes in the order in which they first come."""

    def __init__(self, options: ReadingOptions) -> None:
        """Raises LearningError for options that contradict each other."""
        options.check()
        self._options = options
        self._users: dict[str, int] = {}
        self._items: dict[str, int] = {}
        self._user, self._item, self._time = array("i"), array("i"), array("q")
        self._action, self._value = array("B"), array("f")
        self._dwell, self._watched = array("f"), array("f")

    def __len__(self) -> int:
        return len(self._user)

    def add(self, event: Event) -> None:
        """Raises ValueError for what no event has; where it stands, the caller knows."""
        _check(event)
        self._user.append(self._users.setdefault(event.user_id, len(self._users)))
        self._item.append(self._items.setdefault(event.item_id, len(self._items)))
        self._time.append(event.time_ms)
        self._action.append(self._options.action_of(event.value) if event.action is None else event.action)
        self._value.append(event.value)
        self._dwell.append(event.dwell)
        self._watched.append(event.watched)

    def finished(self) -> Interactions:
        """All of them, sorted, without those that `min_user` and `min_item` take away."""
        columns: dict[str, NDArray[np.generic]] = {
            "user": np.frombuffer(self._user, np.int32),
            "item": np.frombuffer(self._item, np.int32),
            "time_ms": np.frombuffer(self._time, np.int64),
            "action": np.frombuffer(self._action, np.uint8),
            "value": np.frombuffer(self._value, np.float32),
            "dwell": np.frombuffer(self._dwell, np.float32),
            "watched": np.frombuffer(self._watched, np.float32),
        }
        whole = interactions_of(columns, tuple(self._users), tuple(self._items))
        return core(whole, self._options.min_user, self._options.min_item)


def core(interactions: Interactions, min_user: int, min_item: int) -> Interactions:
    """The largest part in which every user has `min_user` events and every item `min_item`.

    Users and items without an event are dropped, and codes are given anew in their old order.
    """
    kept = np.ones(len(interactions), np.bool_)
    while True:
        by_user = np.bincount(interactions.user[kept], minlength=interactions.users)
        by_item = np.bincount(interactions.item[kept], minlength=interactions.items)
        stays = kept & (by_user[interactions.user] >= min_user) & (by_item[interactions.item] >= min_item)
        if (stays == kept).all():
            return compact(interactions.subset(kept))
        kept = stays


def compact(interactions: Interactions) -> Interactions:
    """The same events with codes for those users and items alone that have any."""
    users, user = np.unique(interactions.user, return_inverse=True)
    items, item = np.unique(interactions.item, return_inverse=True)
    return replace(
        interactions,
        user=user.astype(np.int32),
        item=item.astype(np.int32),
        user_ids=_taken(interactions.user_ids, users),
        item_ids=_taken(interactions.item_ids, items),
    )


def _taken(ids: tuple[str, ...], codes: Int32) -> tuple[str, ...]:
    return tuple(ids[code] for code in codes.tolist())
