"""What a micro-batch tells of items, for `item-deltas`: events, what follows upon what, what is explored."""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import msgspec

from state.catalogue import Catalogue
from state.events import Row, RowKind
from state.fusion import Readouts, item_hash
from state.layout import NEVER, RING
from state.settings import RecommendSettings
from state.signals import WELCOMING, judged_row
from state.slates import Slates
from state.slots import event_hash
from state.strategies.following import WINDOW, Past, earlier_items
from state.trending import ItemDelta

Deltas = dict[str, ItemDelta]
RingEvents = Sequence[tuple[int, int, int, bool]]
"""As `Fusion.ring_events` tells them."""

_EVENT, _AMEND = int(RowKind.EVENT), int(RowKind.AMEND)
_WELCOMING: Sequence[bool] = WELCOMING.tolist()
_json = msgspec.json.Decoder(str)


class Counted(NamedTuple):
    """A user's rows that counted, where to add what they tell, and the ring before them."""

    deltas: Deltas
    rows: Sequence[Row]
    ring: Callable[[], RingEvents]


class Tally:
    """Counts which items follow upon which, where the settings ask for it."""

    def __init__(self, catalogue: Catalogue, settings: RecommendSettings) -> None:
        self.counts_pairs = settings.neighbours > 0
        self._catalogue = catalogue

    def count_pairs(self, counted: Sequence[Counted], readouts: Readouts) -> None:
        """Add the pairs that rows make with what their users took before; a retraction takes them off.

        `counted`: of the users of the read-outs. Earlier items that are not in the catalogue are passed over.
        """
        pairs = [
            (each.deltas, row, earlier)
            for place, each in enumerate(counted)
            for row, earlier in _earlier(each, readouts, place)
        ]
        names = self._catalogue.ids_of({item for _, _, earlier in pairs for item in earlier})
        for deltas, row, earlier in pairs:
            gained = 1 if row.kind == _EVENT else -1
            assert row.item_id is not None
            _delta(deltas, row.item_id, row.time).taken += gained
            hashed = item_hash(row.item_id)
            for item in earlier:
                if item in names:
                    followed = _delta(deltas, names[item], row.time).followed
                    followed[hashed] = followed.get(hashed, 0.0) + gained


def _earlier(counted: Counted, readouts: Readouts, place: int) -> Iterable[tuple[Row, Sequence[int]]]:
    """The rows that take an item anew, with the items taken before, as hashes."""
    taking = [row for row in counted.rows if row.kind != _AMEND and _takes(row)]
    if not taking:
        return
    columns = (readouts.recent_events, readouts.recent_items, readouts.recent_taken)
    past = Past(*(column[place].tolist() for column in columns))
    found = _found(taking, past)
    is_full, whole = past.events[-1] != 0, len(found) == len(taking)
    if is_full and len(counted.rows) > 1 and not (whole and all(map(_reaches, found.values()))):
        found = _found(taking, _with_gone(past, counted))
    for at, earlier in found.items():
        if earlier is not None:
            yield taking[at], earlier


def _found(taking: Sequence[Row], past: Past) -> dict[int, Sequence[int] | None]:
    """By the place of each row that is in the past: the items taken before; None where it is nothing new."""
    events = {event: at for at, event in enumerate(past.events)}
    places = {number: events.get(event_hash(row.event_id)) for number, row in enumerate(taking)}
    return {
        number: earlier_items(at, past.items, past.taken) for number, at in places.items() if at is not None
    }


def _reaches(earlier: Sequence[int] | None) -> bool:
    """Whether what came longer ago would change nothing."""
    return earlier is None or len(earlier) == WINDOW


def _with_gone(past: Past, counted: Counted) -> Past:
    """With the events that left the ring within the batch: those before it, and rows."""
    before, held = counted.ring(), set(past.events)
    gone = [each for each in before if each[1] not in held]
    oldest = before[-1][:2] if len(before) == RING else (NEVER, 0)
    for row in counted.rows:
        event = event_hash(row.event_id)
        if row.kind == _EVENT and event not in held and (row.time, event) > oldest:
            item = 0 if row.item_id is None else item_hash(row.item_id)
            gone.append((row.time, event, item, _takes(row)))
    if not gone:
        return past
    _, events, items, taken = zip(*sorted(gone, reverse=True), strict=True)
    return Past(*((*new, *old) for new, old in zip(past, (events, items, taken), strict=True)))


def _takes(row: Row) -> bool:
    return row.item_id is not None and _WELCOMING[judged_row(row)[0]]


def count_items(deltas: Deltas, rows: Iterable[Row]) -> None:
    """Add what happened to each item; a retraction takes its event off."""
    for row in rows:
        if row.item_id is None or row.kind == _AMEND:
            continue
        delta = _delta(deltas, row.item_id, row.time)
        gained = 1 if row.kind == _EVENT else -1
        action, _ = judged_row(row)
        delta.counts[action] = delta.counts.get(action, 0) + gained


def count_explored(slates: Slates, owners: Sequence[tuple[Deltas, int]]) -> None:
    """Add that items stood in slates to be explored; for each slate where to add, and the time."""
    at = 0
    for count, (deltas, time) in zip(slates.counts, owners, strict=True):
        chances: Sequence[float] = (slates.propensities or [])[at : at + count]
        for place, chance in enumerate(chances, at):
            if chance > 0:
                _delta(deltas, _json.decode(slates.items[place]), time).explored += 1
        at += count


def _delta(deltas: Deltas, item_id: str, time: int) -> ItemDelta:
    delta = deltas.get(item_id)
    if delta is None:
        delta = deltas[item_id] = ItemDelta(item_id, time, {})
    elif time > delta.time:
        delta.time = time
    return delta
