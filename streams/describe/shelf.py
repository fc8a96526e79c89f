"""The catalogue as descriptions need it: titles, topics, labels and captions, by hashes of items' ids."""

import threading
from collections.abc import Mapping
from itertools import chain
from typing import NamedTuple

import msgspec

from state.events import NO_TOPIC
from state.facts import Shown
from state.recency import mark_of
from state.slots import item_hash

SEEN = 6
"""Labels of an item that are kept."""
SAID = 3
SAID_CHARACTERS = 200
_WORDS = ("caption", "transcript")
"""What of `EncodedItem.described` reads as text."""


class _Item(msgspec.Struct, gc=False):
    """The part of an EncodedItem that is told of, read straight from its bytes."""

    item_id: str
    partition: int
    offset: int
    title: str = ""
    tags: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    described: dict[str, tuple[str, ...]] = {}
    withdrawn: bool = False
    topic: bytes = NO_TOPIC


class _Kept(NamedTuple):
    place: tuple[int, bytes]
    """Raw partition and topic, within which the higher offset holds."""
    offset: int
    shown: Shown | None


_decoder = msgspec.msgpack.Decoder(_Item)


class ItemShelf:
    """`state.facts.Shelf`, filled from `items.encoded` by an ItemTail. One thread writes, others may read.

    Withdrawn items are told of no more; where they stood is kept, so that a late write does not bring them
    back.
    """

    def __init__(self) -> None:
        self.caught_up = threading.Event()
        self._items: dict[int, _Kept] = {}
        self._by_mark: dict[bytes, int] = {}
        self._ambiguous: set[bytes] = set()
        self._topic_names: dict[str, str] = {}

    def __len__(self) -> int:
        return sum(kept.shown is not None for kept in list(self._items.values()))

    @property
    def topic_names(self) -> Mapping[str, str]:
        return self._topic_names

    def of_hash(self, hashed: int) -> Shown | None:
        kept = self._items.get(hashed)
        return None if kept is None else kept.shown

    def of_mark(self, mark: bytes) -> Shown | None:
        if mark in self._ambiguous or mark not in self._by_mark:
            return None
        return self.of_hash(self._by_mark[mark])

    def apply_record(self, value: bytes | None) -> None:
        """Take a record of `items.encoded`. A null says nothing that the mark before it did not say.

        Raises msgspec.DecodeError for bytes that are no encoded item.
        """
        if value is None:
            return
        item = _decoder.decode(value)
        hashed, place = item_hash(item.item_id), (item.partition, item.topic)
        before = self._items.get(hashed)
        if before is not None and before.place == place and before.offset > item.offset:
            return
        self._items[hashed] = _Kept(place, item.offset, None if item.withdrawn else _shown(item))
        mark = mark_of(hashed)
        if self._by_mark.setdefault(mark, hashed) != hashed:
            self._ambiguous.add(mark)
        for topic in chain(item.categories, item.tags):
            self._topic_names.setdefault(topic.casefold(), topic)


def _shown(item: _Item) -> Shown:
    said = chain.from_iterable(item.described.get(kind, ()) for kind in _WORDS)
    return Shown(
        item.item_id,
        item.title,
        tuple(dict.fromkeys((*item.categories, *item.tags))),
        item.labels[:SEEN],
        tuple(text[:SAID_CHARACTERS] for text in said)[:SAID],
    )
