"""Items some of whose media are late: they are encoded again, whole, when those come."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from encoders.base import Encoded
from streams.encode.items import ItemPlan
from streams.encode.media import EncodedMedia, Wanted

MAX_ITEMS = 10_000


@dataclass(slots=True, frozen=True)
class LateItem:
    """An item, what became of its media, and which of them may still come."""

    plan: ItemPlan
    media: EncodedMedia

    @property
    def item_id(self) -> str:
        return self.plan.new.item.item_id

    @property
    def partition(self) -> int:
        """Of `items`."""
        return self.plan.new.record.partition

    def with_late(self, came: Mapping[Wanted, Encoded]) -> "LateItem":
        found = {wanted: came[wanted] for wanted in self.media.late if wanted in came}
        media = EncodedMedia({**self.media.encoded, **found}, self.media.late - found.keys())
        return replace(self, media=media)


def late_item(plan: ItemPlan, media: EncodedMedia) -> LateItem | None:
    """The item, if some of its media may still come."""
    late = media.late.intersection(plan.wanted)
    if not late:
        return None
    return LateItem(plan, EncodedMedia({wanted: media.encoded[wanted] for wanted in plan.wanted}, late))


class LateItems:
    """Bounded: the oldest gives way. A new record of an item takes the place of the last one."""

    def __init__(self, capacity: int = MAX_ITEMS) -> None:
        self._capacity = capacity
        self._items: dict[str, LateItem] = {}
        self._by_medium: dict[Wanted, dict[str, None]] = {}

    def __len__(self) -> int:
        return len(self._items)

    def remember(self, item: LateItem) -> None:
        self.drop(item.item_id)
        while len(self._items) >= self._capacity:
            self.drop(next(iter(self._items)))
        self._items[item.item_id] = item
        for wanted in item.media.late:
            self._by_medium.setdefault(wanted, {})[item.item_id] = None

    def waits_for(self, wanted: Wanted) -> bool:
        return wanted in self._by_medium

    def find(self, came: Iterable[Wanted]) -> list[LateItem]:
        """The items that miss any of the media, in the order in which they came to be remembered."""
        ids = dict.fromkeys(item_id for wanted in came for item_id in self._by_medium.get(wanted, ()))
        return [self._items[item_id] for item_id in ids]

    def drop(self, item_id: str) -> None:
        """The item has a new record, or is complete."""
        item = self._items.pop(item_id, None)
        for wanted in item.media.late if item is not None else ():
            ids = self._by_medium[wanted]
            ids.pop(item_id, None)
            if not ids:
                del self._by_medium[wanted]

    def forget_partitions(self, partitions: Iterable[int]) -> None:
        """Drop items of partitions of `items` that another worker owns now."""
        gone = set(partitions)
        for item_id in [each.item_id for each in self._items.values() if each.partition in gone]:
            self.drop(item_id)
