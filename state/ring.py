"""The ring of a user's latest events, and what becomes of rows when they meet it.

Integers alone: nothing here rounds. Every function works on a wave, in which a user stands once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from state.codec import Records
from state.events import RowKind
from state.layout import FLAG_ANSWERED, FLAG_RETRACTED, FLAG_USABLE, NEVER, REMEMBERED, SLOT
from state.slots import LIKE, UNLIKE, Slots

Bool = NDArray[np.bool_]
Index = NDArray[np.int64]


class Outcome(IntEnum):
    """What became of a row. All but DUPLICATE and IGNORED changed the state and raised its version by one."""

    APPLIED = 0
    """The event stands in the ring."""
    DUPLICATE = 1
    """An event, or the answer to a retraction, that was applied before: nothing changed."""
    AMENDED = 2
    RETRACTED = 3
    COMPENSATED = 4
    """What it takes back has left the ring: answered by a negative contribution."""
    IGNORED = 5
    """A correction of an event that is unknown or past correcting, or one that is stale: nothing changed."""
    LATE = 6
    """The event is older than a full ring, and went into the sums at once."""


_APPLIED, _DUPLICATE, _IGNORED, _LATE = map(
    int, (Outcome.APPLIED, Outcome.DUPLICATE, Outcome.IGNORED, Outcome.LATE)
)
_EVENT = int(RowKind.EVENT)
_LARGEST = np.uint64(2**64 - 1)


@dataclass(slots=True, frozen=True)
class Wave:
    """At most one row per user: users [w] are indices into the records."""

    users: Index
    slots: Slots
    kinds: NDArray[np.uint8]
    answers: NDArray[np.uint64]
    """Hash under which the answer to a retraction of this row's event is remembered."""


@dataclass(slots=True, frozen=True)
class Departure:
    """Events that go into the sums, in order: users [d] and slots [d]."""

    users: Index
    slots: Slots


def joined(departures: Sequence[Departure]) -> tuple[Index, Slots]:
    """All of them, one after the other."""
    ends = np.cumsum([len(departure.users) for departure in departures])
    users, slots = np.empty(ends[-1], np.int64), np.empty(ends[-1], SLOT)
    for departure, end in zip(departures, ends, strict=True):
        place = slice(end - len(departure.users), end)
        users[place], slots[place] = departure.users, departure.slots
    return users, slots


def apply(records: Records, wave: Wave) -> tuple[NDArray[np.uint8], list[Departure]]:
    """Applies a wave; returns the Outcome of each row [w] and what left for the sums."""
    outcomes = np.full(len(wave.users), _IGNORED, np.uint8)
    departures: list[Departure] = []
    places = records["ring"]["event"][wave.users] == wave.slots["event"][:, None]
    known = (records["remembered"][wave.users] == wave.slots["event"][:, None]).any(axis=1)
    events = wave.kinds == _EVENT
    if events.any():
        old = events & (known | places.any(axis=1))
        outcomes[old] = _DUPLICATE
        rows = np.flatnonzero(events & ~old)
        outcomes[rows], departure = _insert(records, wave.users[rows], wave.slots[rows])
        departures.append(departure)
    if not events.all():
        standing = places & (records["ring"]["sequence"][wave.users] < wave.slots["sequence"][:, None])
        _amend(records, wave, standing, outcomes)
        _retract(records, wave, standing, outcomes)
        rows = np.flatnonzero((wave.kinds == RowKind.RETRACT) & known & ~places.any(axis=1))
        departures.append(_answer(records, wave, rows, outcomes))
    changed = (outcomes != _DUPLICATE) & (outcomes != _IGNORED)
    records["version"][wave.users[changed]] += 1
    return outcomes, departures


def contributing(slots: Slots) -> Bool:
    """Which slots have a vector and a weight and were not retracted. Cancelled likes are not told here."""
    flags = slots["flags"]
    present = (flags & (FLAG_USABLE | FLAG_RETRACTED)) == FLAG_USABLE
    spent = (flags & FLAG_ANSWERED != 0) & (slots["action"] == UNLIKE)
    return np.asarray(present & ~spent & (slots["weight"] > 0))


def cancelled(slots: Slots) -> Bool:
    """Of rings newest first, [n, RING]: likes with a later `unlike`, and `unlike`s with an earlier like."""
    out = np.zeros(slots.shape, bool)
    users, places = np.nonzero((slots["action"] == UNLIKE) & (slots["item"] != 0))
    if len(users):
        unlikes = slots[users, places]
        items, actions = slots["item"][users], slots["action"][users]
        pairs = (items == unlikes["item"][:, None]) & (actions == LIKE)
        pairs &= np.arange(slots.shape[1]) > places[:, None]
        out[users, places] = pairs.any(axis=1)
        row, like = np.nonzero(pairs & (unlikes["flags"] & FLAG_RETRACTED == 0)[:, None])
        out[users[row], like] = True
    return out


def join(records: Records, slots: Slots) -> Departure:
    """Events of others that become the users', [n] one per record: as `apply`, yet not counted as new."""
    _, departure = _exchange(records, np.arange(len(slots)), slots)
    return departure


def newest_first(ring: Slots) -> Slots:
    """Rings [n, RING] sorted by (event time, event hash), the latest first."""
    order = np.lexsort((ring["event"], ring["time"]), axis=-1)[:, ::-1]
    # As bytes: a structured array is copied field by field, which takes ten times as long.
    raw = np.ascontiguousarray(ring.view(np.uint8)).reshape(-1, SLOT.itemsize)
    rows = np.arange(len(ring))[:, None] * ring.shape[1] + order
    slots: Slots = raw.take(rows, axis=0, mode="clip").view(SLOT)[..., 0]
    return slots


def _insert(records: Records, users: Index, slots: Slots) -> tuple[NDArray[np.uint8], Departure]:
    """Events that are new."""
    late, departure = _exchange(records, users, slots)
    _remember(records, users, slots["event"])
    records["event_count"][users] += 1
    outcomes = np.where(late, _LATE, _APPLIED).astype(np.uint8)
    unlikes = np.flatnonzero(slots["action"] == UNLIKE)
    if len(unlikes):
        alone = ~_answers_like(records, users[unlikes], slots[unlikes])
        outcomes[unlikes[alone]] = Outcome.COMPENSATED
    return outcomes, departure


def _exchange(records: Records, users: Index, slots: Slots) -> tuple[Bool, Departure]:
    """Each slot takes the place of the oldest, which departs, or departs itself: then it is late."""
    place = _oldest(records["ring"]["time"][users], records["ring"]["event"][users])
    oldest = records["ring"][users, place]
    full = oldest["time"] != NEVER
    late = full & _before(slots, oldest)
    kept = np.flatnonzero(~late)
    records["ring"][users[kept], place[kept]] = slots[kept]
    leaving = oldest
    leaving[late] = slots[late]
    leaves = contributing(leaving) & full
    leaves &= ~_cancel_leaving(records, users, leaving, full)
    return late, Departure(users[leaves], leaving[leaves])


def _oldest(times: NDArray[np.int64], events: NDArray[np.uint64]) -> Index:
    first = times == times.min(axis=1, keepdims=True)
    return np.asarray(np.where(first, events, _LARGEST).argmin(axis=1))


def _before(slots: Slots, others: Slots) -> Bool:
    earlier = slots["time"] < others["time"]
    return np.asarray(earlier | ((slots["time"] == others["time"]) & (slots["event"] < others["event"])))


def _cancel_leaving(records: Records, users: Index, leaving: Slots, full: Bool) -> Bool:
    """Which leaving likes an `unlike` in the ring takes back (all of it is later). Marks these answered."""
    out = np.zeros(len(users), bool)
    rows = np.flatnonzero(full & (leaving["action"] == LIKE) & (leaving["item"] != 0))
    if len(rows):
        ring = records["ring"][users[rows]]
        match = (ring["action"] == UNLIKE) & (ring["item"] == leaving["item"][rows][:, None])
        out[rows] = (match & (ring["flags"] & FLAG_RETRACTED == 0)).any(axis=1)
        found, place = np.nonzero(match)
        records["ring"]["flags"][users[rows[found]], place] |= FLAG_ANSWERED
    return out


def _answers_like(records: Records, users: Index, unlikes: Slots) -> Bool:
    """Which of these `unlike`s take back a like of the ring, or took back one that is leaving just now."""
    ring = records["ring"][users]
    same = (ring["item"] == unlikes["item"][:, None]) & (unlikes["item"] != 0)[:, None]
    likes = same & (ring["action"] == LIKE) & _before(ring, unlikes[:, None])
    marked = (ring["event"] == unlikes["event"][:, None]) & (ring["flags"] & FLAG_ANSWERED != 0)
    return np.asarray((likes | marked).any(axis=1))


def _remember(records: Records, users: Index, events: NDArray[np.uint64]) -> None:
    cursor = records["cursor"][users].astype(np.int64)
    records["remembered"][users, cursor] = events
    records["cursor"][users] = (cursor + 1) % REMEMBERED


def _amend(records: Records, wave: Wave, standing: Bool, outcomes: NDArray[np.uint8]) -> None:
    """Gives the event of each amendment its new vector; action, weight and time stay."""
    rows, place = np.nonzero(standing & (wave.kinds == RowKind.AMEND)[:, None])
    users, slots = wave.users[rows], wave.slots[rows]
    ring = records["ring"]
    for name in ("vector", "shares", "sequence"):
        ring[name][users, place] = slots[name]
    answered = ring["flags"][users, place] & FLAG_ANSWERED
    ring["flags"][users, place] = slots["flags"] | answered
    outcomes[rows] = Outcome.AMENDED


def _retract(records: Records, wave: Wave, standing: Bool, outcomes: NDArray[np.uint8]) -> None:
    rows, place = np.nonzero(standing & (wave.kinds == RowKind.RETRACT)[:, None])
    users = wave.users[rows]
    records["ring"]["flags"][users, place] |= FLAG_RETRACTED
    records["ring"]["sequence"][users, place] = wave.slots["sequence"][rows]
    outcomes[rows] = Outcome.RETRACTED


def _answer(records: Records, wave: Wave, rows: Index, outcomes: NDArray[np.uint8]) -> Departure:
    """Retractions of events that left the ring, once each: the vector goes to the dislike bank."""
    users, answers = wave.users[rows], wave.answers[rows]
    again = (records["remembered"][users] == answers[:, None]).any(axis=1)
    outcomes[rows[again]] = Outcome.DUPLICATE
    slots = wave.slots[rows].copy()
    chosen = np.flatnonzero(~again & contributing(slots))
    slots, users = slots[chosen], users[chosen]
    slots["action"] = UNLIKE
    slots["time"] = np.minimum(slots["time"], records["ring"]["time"][users].max(axis=1, initial=NEVER))
    _remember(records, users, answers[chosen])
    outcomes[rows[chosen]] = Outcome.COMPENSATED
    return Departure(users, slots)
