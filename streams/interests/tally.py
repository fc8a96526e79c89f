"""What a micro-batch tells of items, for `item-deltas`: events, what follows upon what, what is explored."""

from collections.abc import Iterable, Sequence

import msgspec

from state.catalogue import Catalogue
from state.events import Row, RowKind
from state.fusion import Readouts, item_hash
from state.settings import RecommendSettings
from state.signals import WELCOMING, judged_row
from state.slates import Slates
from state.slots import event_hash
from state.strategies.following import earlier_items
from state.trending import ItemDelta

Deltas = dict[str, ItemDelta]

_EVENT, _AMEND = int(RowKind.EVENT), int(RowKind.AMEND)
_WELCOMING: Sequence[bool] = WELCOMING.tolist()
_json = msgspec.json.Decoder(str)


class Tally:
    """Counts which items follow upon which, where the settings ask for it."""

    def __init__(self, catalogue: Catalogue, settings: RecommendSettings) -> None:
        self.counts_pairs = settings.neighbours > 0
        self._catalogue = catalogue

    def count_pairs(self, counted: Sequence[tuple[Deltas, Sequence[Row]]], readouts: Readouts) -> None:
        """Add the pairs that rows make with what their users took before; a retraction takes them off.

        For each user of the read-outs: where to add, and the rows that counted. Earlier items that are not in
        the catalogue are passed over.
        """
        pairs = [
            (deltas, row, earlier)
            for place, (deltas, rows) in enumerate(counted)
            for row, earlier in _earlier(rows, readouts, place)
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


def _earlier(rows: Sequence[Row], readouts: Readouts, place: int) -> Iterable[tuple[Row, Sequence[int]]]:
    """The rows that take an item anew, with the items taken before, as hashes."""
    taking = [
        row
        for row in rows
        if row.item_id is not None and row.kind != _AMEND and _WELCOMING[judged_row(row)[0]]
    ]
    if not taking:
        return
    items, taken = readouts.recent_items[place].tolist(), readouts.recent_taken[place].tolist()
    events = {event: at for at, event in enumerate(readouts.recent_events[place].tolist())}
    for row in taking:
        at = events.get(event_hash(row.event_id))
        earlier = None if at is None else earlier_items(at, items, taken)
        if earlier is not None:
            yield row, earlier


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
