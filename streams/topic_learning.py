"""Interactions and items out of the topics themselves: what was encoded while the product ran."""

import logging
import math
from collections import Counter
from collections.abc import Callable, Iterable
from typing import TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from state.errors import UNREADABLE
from state.events import ACTIONS, Pack, Row, RowKind
from state.items import EncodedItem
from state.layout import MODALITY_COUNT, SHARED_DIM
from state.learning.interactions import Interactions, ItemContent, interactions_of
from streams.errors import InputError
from streams.raw import RawRecord
from streams.reading import read, whole
from streams.settings import Settings

Tell = Callable[[int], None]

_packs = msgspec.msgpack.Decoder(Pack)
_items = msgspec.msgpack.Decoder(EncodedItem)
_ACTIONS = range(len(ACTIONS))
"""A later build may write others."""
_log = logging.getLogger(__name__)
DecodedT = TypeVar("DecodedT")


class Gathered:
    """Rows as they stand after all corrections: what was retracted or forgotten is gone, and what became
    another user's is that user's. An event counts once. Rows of one user come in the order of its partition;
    commands go by their times, since the users of a merge lie in different partitions."""

    def __init__(self) -> None:
        self._rows: dict[str, dict[str, Row]] = {}
        self._into: dict[str, tuple[str, int]] = {}
        self._forgotten: dict[str, int] = {}

    def take(self, rows: Iterable[Row]) -> None:
        for row in rows:
            match row.kind:
                case RowKind.EVENT if row.item_id is not None:
                    self._rows.setdefault(row.user_id, {}).setdefault(row.event_id, row)
                case RowKind.RETRACT:
                    self._rows.get(row.user_id, {}).pop(row.event_id, None)
                case RowKind.FORGET:
                    self._forgotten[row.user_id] = max(row.time, self._forgotten.get(row.user_id, row.time))
                case RowKind.MERGE if row.command is not None and row.command.into:
                    self._into[row.user_id] = row.command.into, row.time

    def finished(self) -> Interactions:
        """Raises InputError where there is no event of an item."""
        people = self._people()
        rows = [row for own in people.values() for row in own]
        if not rows:
            raise InputError("interactions.encoded has no event of an item to learn from")
        counts = [len(own) for own in people.values()]
        items = list(dict.fromkeys(str(row.item_id) for row in rows))
        item_codes = {name: at for at, name in enumerate(items)}
        return interactions_of(
            {
                "user": np.repeat(np.arange(len(people)), counts),
                "item": np.array([item_codes[str(row.item_id)] for row in rows]),
                "time_ms": np.array([row.time for row in rows], np.int64),
                "action": np.array([row.action for row in rows]),
                "value": _numbers(row.value for row in rows),
                "dwell": _numbers(row.dwell_seconds for row in rows),
                "watched": _numbers(row.watched_fraction for row in rows),
                "sentiment": _numbers(row.sentiment for row in rows),
            },
            list(people),
            items,
        )

    def _people(self) -> dict[str, list[Row]]:
        """Rows by who the users are now, without those of a person's past that is to be forgotten."""
        marks: dict[str, int] = {}
        for user, time in self._forgotten.items():
            merged = user in self._into and self._into[user][1] <= time
            forgotten = self._person(user) if merged else user
            marks[forgotten] = max(time, marks.get(forgotten, time))
        people: dict[str, list[Row]] = {}
        for user, events in self._rows.items():
            person = self._person(user)
            times = [marks[name] for name in (user, person) if name in marks]
            kept = [row for row in events.values() if all(_is_later(row, time) for time in times)]
            if kept:
                people.setdefault(person, []).extend(kept)
        return people

    def _person(self, user: str) -> str:
        passed = {user}
        while user in self._into and self._into[user][0] not in passed:
            user = self._into[user][0]
            passed.add(user)
        return user


def _numbers(told: Iterable[float | None]) -> NDArray[np.float32]:
    return np.array([math.nan if one is None else one for one in told], np.float32)


def _is_later(row: Row, time_ms: int) -> bool:
    return row.time > time_ms and row.broker_time > time_ms


def read_topics(settings: Settings, tell: Tell) -> tuple[Interactions, ItemContent, str]:
    """What lies in the topics now, and the version of the encoders whose vectors it has.

    `tell` is told how many offsets are read. Raises TopicError where nothing comes any more, and InputError
    where there is nothing to learn from.
    """
    gathered = Gathered()
    topics = settings.topics
    stretches = whole(settings, topics.interactions_encoded, settled=False)
    for record in read(settings, stretches, tell):
        pack = _decoded(_packs, record)
        if pack is not None:
            gathered.take(row for row in pack.rows if row.action in _ACTIONS)
    done = sum(each.end - each.first for each in stretches)
    items: dict[str, EncodedItem] = {}
    catalogue = whole(settings, topics.items_encoded, settled=False)
    for record in read(settings, catalogue, lambda at: tell(done + at)):
        _put(items, record)
    interactions = gathered.finished()
    content, space = content_of_items(interactions.item_ids, items)
    return interactions, content, space


def offsets(settings: Settings) -> int:
    """How many there are to read."""
    names = (settings.topics.interactions_encoded, settings.topics.items_encoded)
    return sum(each.end - each.first for name in names for each in whole(settings, name, settled=False))


def content_of_items(item_ids: tuple[str, ...], items: dict[str, EncodedItem]) -> tuple[ItemContent, str]:
    """Vectors of the items by the encoders that made most of them; those of others do not mix with these."""
    made = Counter(items[name].encoders for name in item_ids if name in items and items[name].vectors)
    space = made.most_common(1)[0][0] if made else ""
    if len(made) > 1:
        others = sum(made.values()) - made[space]
        _log.warning("%d items were encoded by others than %s, and go without vectors", others, space)
    vectors = np.zeros((len(item_ids), MODALITY_COUNT, SHARED_DIM), np.float32)
    topics: list[tuple[str, ...]] = []
    for at, name in enumerate(item_ids):
        item = items.get(name)
        topics.append(item.topics if item is not None else ())
        own = item.vectors if item is not None and item.encoders == space else {}
        for code, content in own.items():
            if len(content) == SHARED_DIM * 2 and 0 <= code < MODALITY_COUNT:
                vectors[at, code] = np.frombuffer(content, "<f2").astype(np.float32)
    lengths = np.linalg.norm(vectors, axis=2, keepdims=True)
    usable = np.isfinite(lengths) & (lengths > 0)
    vectors = np.where(usable, vectors / np.where(usable, lengths, 1), 0).astype(np.float32)
    return ItemContent(vectors, usable[..., 0], tuple(topics)), space


def _put(items: dict[str, EncodedItem], record: RawRecord) -> None:
    """A later record holds. What was known of a withdrawn item stays: events of it are learnt from."""
    item = _decoded(_items, record)
    if item is not None and not item.withdrawn:
        items[item.item_id] = item


def _decoded(decoder: msgspec.msgpack.Decoder[DecodedT], record: RawRecord) -> DecodedT | None:
    """None for a null, and for what workers set aside as well."""
    try:
        return None if record.value is None else decoder.decode(record.value)
    except UNREADABLE as error:
        _log.warning("%s-%d@%d is passed over: %s", record.topic, record.partition, record.offset, error)
        return None
