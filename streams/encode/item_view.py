"""The vectors of all items by id, as far as `items.encoded` tells, and who waits for news of them."""

import sys
import threading
from collections.abc import Iterable
from itertools import islice
from typing import Protocol

import msgspec

from encoders.versions import differing
from state.events import NO_TOPIC
from state.items import EncodedItem
from streams.encode.vectors import MODALITY_CODES

OTHER_ENCODERS = "other_encoders"
MAX_TOPICS = 64
MAX_TOPIC_LENGTH = 200


class KnownItem(msgspec.Struct, gc=False):
    """What an event needs of an item: read straight from an EncodedItem's bytes, without the rest.

    A catalogue lies whole in memory, so that titles and attributes would cost more than the vectors.
    """

    item_id: str
    partition: int
    offset: int
    vectors: dict[int, bytes] = {}
    masked: dict[int, str] = {}
    tags: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    withdrawn: bool = False
    topic: bytes = NO_TOPIC
    encoders: str = ""

    stale: bool = False
    """Whether vectors of it are left out, since other encoders made them."""
    topics: tuple[str, ...] = ()
    """Categories and tags as rows have them: made once, in the place of both."""

    def __post_init__(self) -> None:
        self.topics = bounded_topics(dict.fromkeys((*self.categories, *self.tags)))
        self.tags = self.categories = ()


def bounded_topics(topics: Iterable[str]) -> tuple[str, ...]:
    """Topics within MAX_TOPICS and MAX_TOPIC_LENGTH."""
    return tuple(topic[:MAX_TOPIC_LENGTH] for topic in islice(topics, MAX_TOPICS))


class ItemLookup(Protocol):
    """Where a known item is found; none where it is unknown or withdrawn."""

    def get(self, item_id: str) -> KnownItem | None: ...


_decoder = msgspec.msgpack.Decoder(KnownItem)


def known(item: EncodedItem) -> KnownItem:
    """The part of an encoded item that is kept."""
    return KnownItem(
        item_id=item.item_id,
        partition=item.partition,
        offset=item.offset,
        vectors=item.vectors,
        masked=item.masked,
        tags=item.tags,
        categories=item.categories,
        withdrawn=item.withdrawn,
        topic=item.topic,
        encoders=item.encoders,
    )


class ItemView:
    """Items by id. Of two records of one item the one with the higher raw offset holds; of those of two
    raw topics, since `items` was made anew, the one that comes later.

    Withdrawn items are kept as marks without vectors, so that a late write does not bring them back.
    Written by the tail's thread and, after a commit, by the worker's.
    """

    def __init__(self) -> None:
        self.caught_up = threading.Event()
        self._items: dict[str, KnownItem] = {}
        self._lock = threading.Lock()
        self._arrived: set[str] = set()
        self._version = ""
        self._topics: dict[bytes, bytes] = {}
        """One object for each id, however many items have it."""

    def __len__(self) -> int:
        return sum(not item.withdrawn for item in list(self._items.values()))

    def get(self, item_id: str) -> KnownItem | None:
        item = self._items.get(item_id)
        return None if item is None or item.withdrawn else item

    def use(self, version: str) -> None:
        """Vectors of a bank of this version are served from now on, and others masked as OTHER_ENCODERS.

        Media of events are encoded by one bank: the vectors of another lie elsewhere, and the two do not mix.
        """
        with self._lock:
            self._version = version
            for item in self._items.values():
                self._strip(item)

    def apply(self, item: KnownItem) -> None:
        """Take an item, unless a later record of it is known."""
        with self._lock:
            before = self._items.get(item.item_id)
            if before is not None and _is_later(before, item):
                return
            item.topic = self._topics.setdefault(item.topic, item.topic)
            item.topics = tuple(map(sys.intern, item.topics))
            item.encoders = sys.intern(item.encoders)
            self._strip(item)
            self._items[item.item_id] = item
            if self.caught_up.is_set() and not item.withdrawn:
                self._arrived.add(item.item_id)

    def _strip(self, item: KnownItem) -> None:
        if not self._version or not item.encoders or item.encoders == self._version:
            return
        foreign = {MODALITY_CODES[each] for each in differing(item.encoders, self._version)}
        codes = foreign.intersection(item.vectors)
        if codes:
            item.vectors = {code: vector for code, vector in item.vectors.items() if code not in codes}
            item.masked = item.masked | dict.fromkeys(codes, OTHER_ENCODERS)
            item.stale = True

    def apply_record(self, value: bytes | None) -> None:
        """Take a record of `items.encoded`. A null says nothing that the mark before it did not say.

        Raises msgspec.DecodeError for bytes that are no encoded item.
        """
        if value is not None:
            self.apply(_decoder.decode(value))

    def take_arrived(self) -> set[str]:
        """Ids of the items that came since the last call, once caught up."""
        if not self._arrived:
            return set()
        with self._lock:
            arrived, self._arrived = self._arrived, set()
            return arrived


def _is_later(one: KnownItem, other: KnownItem) -> bool:
    """Whether `one` lies behind `other` in the same raw partition."""
    same = one.partition == other.partition and one.topic == other.topic
    return same and one.offset > other.offset


class Overlay:
    """A view with the items of a batch before it, which are not committed yet."""

    def __init__(self, below: ItemLookup) -> None:
        self._below = below
        self._items: dict[str, KnownItem] = {}

    def add(self, item: KnownItem) -> None:
        self._items[item.item_id] = item

    def get(self, item_id: str) -> KnownItem | None:
        item = self._items.get(item_id)
        if item is None:
            return self._below.get(item_id)
        return None if item.withdrawn else item
