"""All items that can be recommended, as arrays: one row per item, read by one thread, written by another.

The writer calls `apply` and `rate`; the reader holds `lock` while it works on the columns. Vectors are
made before the lock is taken, so a reader waits for the copying alone.
"""

import logging
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from state.items import EncodedItem
from state.layout import DIM
from state.slots import item_hash
from state.strategies.following import Followers

Float32 = NDArray[np.float32]
Int64 = NDArray[np.int64]
Bool = NDArray[np.bool_]
Value = str | float | bool | None
Admits = Callable[[Mapping[str, Value]], bool]

CATEGORIES = 4
"""Categories of an item that a cap looks at."""
TOPICS = 16
"""Topics of an item that are compared with those of another."""
FOREVER = np.iinfo(np.int64).max
_FIRST_ROWS = 1024
_json = msgspec.json.Encoder()
_log = logging.getLogger(__name__)


class ItemSpace(Protocol):
    """Makes one vector of an item's modalities, id and topics, of unit length or zero
    (`state.fusion.Fusion`)."""

    def item_vectors(
        self,
        vectors: Sequence[Mapping[int, bytes]],
        items: Sequence[str],
        topics: Sequence[tuple[str, ...]],
    ) -> Float32: ...


class Observer(Protocol):
    """Is told by the writer which rows changed, after they did."""

    def changed(self, columns: "Columns", rows: Sequence[int], count: int) -> None:
        """`count` rows are in use altogether."""


class Demand(NamedTuple):
    """What is known of the demand for an item: columns of the same names."""

    height: float
    taken: float = -np.inf
    events: int = 0
    explored: int = 0


class Columns:
    """One array per property, all of the same length; rows beyond the catalogue's size are unused.

    `vectors` float32 [n, 64], of unit length, or zero for an item without; `live` bool; `published` and
    `expires` int64, epoch milliseconds; `hashes` uint64, 0 where no item is; `categories` int32 [n, 4] and
    `topics` int32 [n, 16], codes, -1 for none; `heights` float64, demand as in `state.trending`; `taken`
    float64, the same of the events that are counted with pairs; `events` and `explored` int64, how often an
    item was met, and shown for exploration; `names` object, ids as JSON.
    """

    __slots__ = (
        "categories",
        "events",
        "expires",
        "explored",
        "hashes",
        "heights",
        "live",
        "names",
        "published",
        "taken",
        "topics",
        "vectors",
    )

    def __init__(self, rows: int) -> None:
        self.vectors: Float32 = np.zeros((rows, DIM), dtype=np.float32)
        self.live: Bool = np.zeros(rows, dtype=np.bool_)
        self.published: Int64 = np.zeros(rows, dtype=np.int64)
        self.expires: Int64 = np.full(rows, FOREVER, dtype=np.int64)
        self.hashes: NDArray[np.uint64] = np.zeros(rows, dtype=np.uint64)
        self.categories: NDArray[np.int32] = np.full((rows, CATEGORIES), -1, dtype=np.int32)
        self.topics: NDArray[np.int32] = np.full((rows, TOPICS), -1, dtype=np.int32)
        self.heights: NDArray[np.float64] = np.full(rows, -np.inf, dtype=np.float64)
        self.taken: NDArray[np.float64] = np.full(rows, -np.inf, dtype=np.float64)
        self.events: Int64 = np.zeros(rows, dtype=np.int64)
        self.explored: Int64 = np.zeros(rows, dtype=np.int64)
        self.names: NDArray[np.object_] = np.full(rows, b"", dtype=object)

    def grown(self, rows: int) -> "Columns":
        """A copy with room for `rows`."""
        larger = Columns(rows)
        for name in self.__slots__:
            getattr(larger, name)[: len(self.live)] = getattr(self, name)
        return larger


class Catalogue:
    """Items by row. A row is used again after its item was withdrawn."""

    def __init__(self, space: ItemSpace, encoders: str = "") -> None:
        """Of items that others than these `encoders` encoded (`EncodedItem.encoders`) no vector is taken,
        since vectors of different versions do not mix; empty takes all."""
        self.lock = threading.Lock()
        self.columns = Columns(_FIRST_ROWS)
        self.ids: list[str] = []
        self.titles: list[str] = []
        self.topics: list[tuple[str, ...]] = []
        self.row_of: dict[str, int] = {}
        self.row_of_hash: dict[int, int] = {}
        self.topic_names: dict[str, str] = {}
        """Every topic ever seen by its name in lower case, for search words."""
        self.topics_by_code: list[str] = []
        self.most_topics = 0
        """Columns of `Columns.topics` that are in use."""
        self.version = 0
        """Grows by one with every change of items."""
        self.ratings = 0
        """Grows by one with every change of demand."""
        self.followers: dict[int, Followers] = {}
        """What follows upon items, by their hashes."""
        self.observer: Observer | None = None
        self._space = space
        self._encoders = encoders
        self._admits: Admits = _everything
        self._attributes: list[Mapping[str, Value]] = []
        self._free: list[int] = []
        self._category_codes: dict[str, int] = {}
        self._topic_codes: dict[str, int] = {}
        self._positions: dict[str, tuple[int, int, bytes]] = {}
        self._raw_topics: dict[bytes, bytes] = {}
        """One object for each id, however many items have it."""
        self._void: set[str] = set()
        self._demand: dict[str, Demand] = {}
        self._touched: list[int] = []

    def __len__(self) -> int:
        """Items that are there, available or not."""
        return len(self.row_of)

    @property
    def rows(self) -> int:
        """Rows in use by the columns, those of withdrawn items among them."""
        return len(self.ids)

    def apply(self, changes: Iterable[tuple[str, EncodedItem | None]]) -> int:
        """Take records of `items.encoded` in log order, None for a null value; returns how many counted.

        Of two records of an item from one raw partition the one with the higher offset holds, whatever
        order they come in; between partitions (the raw topic was widened) and between raw topics (it was
        made anew) the later in the log.
        """
        taken: dict[str, EncodedItem | None] = {}
        count = 0
        for item_id, item in changes:
            if self._accepts(item_id, item):
                taken.pop(item_id, None)
                taken[item_id] = None if item is None or item.withdrawn else item
                count += 1
        kept = [item for item in taken.values() if item is not None]
        vectors = self._vectors(kept)
        with self.lock:
            for item_id, change in taken.items():
                if change is None:
                    self._remove(item_id)
            self._make_room(len(kept))
            for item, vector in zip(kept, vectors, strict=True):
                self._put(item, vector)
            self.version += bool(taken)
        touched, self._touched = self._touched, []
        if self.observer is not None and touched:
            self.observer.changed(self.columns, touched, self.rows)
        return count

    def rate(self, heights: Iterable[tuple[str, float]]) -> None:
        """Take the demand for items (`state.trending.height`); it waits for items that come later."""
        self.learn((item_id, Demand(height), None) for item_id, height in heights)

    def learn(self, signals: Iterable[tuple[str, Demand, Followers | None]]) -> None:
        """Take what is known of the demand for items, and of what follows upon them."""
        with self.lock:
            for item_id, demand, followers in signals:
                self._demand[item_id] = demand
                if followers is not None:
                    self.followers[item_hash(item_id)] = followers
                row = self.row_of.get(item_id)
                if row is not None:
                    self._put_demand(row, demand)
            self.ratings += 1

    def restrict(self, admits: Admits) -> None:
        """Let nothing be recommended any more whose attributes are not admitted."""
        with self.lock:
            self._admits = admits
            for row in self.row_of.values():
                self.columns.live[row] &= admits(self._attributes[row])
            self.version += 1

    def ids_of(self, hashes: Iterable[int]) -> dict[int, str]:
        """Ids by hash, of the items that are there."""
        with self.lock:
            return {each: self.ids[row] for each in hashes if (row := self.row_of_hash.get(each)) is not None}

    def _accepts(self, item_id: str, item: EncodedItem | None) -> bool:
        if item is None:
            # A null follows its marked withdrawal. Where that one was late, so is the null; where
            # compaction took it away, the null alone withdraws.
            late = item_id in self._void
            self._void.discard(item_id)
            return not late
        known = self._positions.get(item_id)
        place = (item.partition, item.topic)
        if known is not None and (known[0], known[2]) == place and item.offset < known[1]:
            if item.withdrawn:
                self._void.add(item_id)
            return False
        topic = self._raw_topics.setdefault(item.topic, item.topic)
        self._positions[item_id] = (item.partition, item.offset, topic)
        self._void.discard(item_id)
        return True

    def _vectors(self, items: Sequence[EncodedItem]) -> Float32:
        if not items:
            return np.zeros((0, DIM), dtype=np.float32)
        strangers = {item.encoders for item in items if self._encoders not in ("", item.encoders)}
        if strangers:
            _log.warning(
                "items encoded by %s go without vectors, since the model was trained on those of %s: "
                "load them again, or set model.artifact to what fits",
                ", ".join(sorted(strangers)),
                self._encoders,
            )
        return self._space.item_vectors(
            [{} if item.encoders in strangers else item.vectors for item in items],
            [item.item_id for item in items],
            [item.topics for item in items],
        )

    def _make_room(self, more: int) -> None:
        needed = len(self.ids) + max(0, more - len(self._free))
        capacity = len(self.columns.live)
        if needed > capacity:
            self.columns = self.columns.grown(max(needed, 2 * capacity))

    def _put(self, item: EncodedItem, vector: Float32) -> None:
        row = self._row(item.item_id)
        columns = self.columns
        columns.vectors[row] = vector
        columns.live[row] = item.available and self._admits(item.attributes)
        columns.published[row] = 0 if item.published_at is None else item.published_at
        columns.expires[row] = FOREVER if item.expires_at is None else item.expires_at
        self._put_demand(row, self._demand.get(item.item_id, _UNKNOWN))
        columns.categories[row] = -1
        for place, category in enumerate(item.categories[:CATEGORIES]):
            columns.categories[row, place] = self._category_codes.setdefault(
                category, len(self._category_codes)
            )
        self.titles[row] = item.title
        self._attributes[row] = item.attributes
        self._put_topics(row, item.topics)
        self._touched.append(row)

    def _put_demand(self, row: int, demand: Demand) -> None:
        columns = self.columns
        columns.heights[row], columns.taken[row], columns.events[row], columns.explored[row] = demand

    def _put_topics(self, row: int, topics: tuple[str, ...]) -> None:
        self.topics[row] = topics
        for topic in topics:
            self.topic_names.setdefault(topic.casefold(), topic)
        codes = self.columns.topics[row]
        codes[:] = -1
        for place, topic in enumerate(topics[:TOPICS]):
            codes[place] = code = self._topic_codes.setdefault(topic, len(self._topic_codes))
            if code == len(self.topics_by_code):
                self.topics_by_code.append(topic)
        self.most_topics = max(self.most_topics, min(len(topics), TOPICS))

    def _row(self, item_id: str) -> int:
        row = self.row_of.get(item_id)
        if row is not None:
            return row
        if self._free:
            row = self._free.pop()
            self.ids[row] = item_id
        else:
            row = len(self.ids)
            self.ids.append(item_id)
            self.titles.append("")
            self.topics.append(())
            self._attributes.append({})
        self.row_of[item_id] = row
        key = item_hash(item_id)
        self.row_of_hash[key] = row
        self.columns.hashes[row] = key
        self.columns.names[row] = _json.encode(item_id)
        return row

    def _remove(self, item_id: str) -> None:
        row = self.row_of.pop(item_id, None)
        if row is None:
            return
        self.row_of_hash.pop(int(self.columns.hashes[row]), None)
        self.columns.hashes[row] = 0
        self.columns.live[row] = False
        self.columns.vectors[row] = 0.0
        self.titles[row] = ""
        self.topics[row] = ()
        self._attributes[row] = {}
        self._free.append(row)
        self._touched.append(row)


_UNKNOWN = Demand(-np.inf)


def _everything(attributes: Mapping[str, Value]) -> bool:
    return True
