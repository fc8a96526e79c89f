"""A shelf of known items for tests of facts and descriptions, and users' records made from events."""

from collections.abc import Iterable, Mapping, Sequence

from state.events import Row
from state.facts import Shown
from state.fusion import Fusion
from state.items import EncodedItem
from state.prior import content_prior
from state.profile import Profile, encode_profile, fold_profile
from state.recency import mark_of
from state.slots import item_hash

FUSION = Fusion(content_prior())


class Shelf:
    """`state.facts.Shelf` of given items."""

    def __init__(self, items: Iterable[EncodedItem]) -> None:
        self._items = {
            item_hash(item.item_id): Shown(item.item_id, item.title, item.topics, item.labels)
            for item in items
        }
        self._names = {topic.casefold(): topic for item in self._items.values() for topic in item.topics}

    @property
    def topic_names(self) -> Mapping[str, str]:
        return self._names

    def of_hash(self, hashed: int) -> Shown | None:
        return self._items.get(hashed)

    def of_mark(self, mark: bytes) -> Shown | None:
        found = [item for hashed, item in self._items.items() if mark_of(hashed) == mark]
        return found[0] if len(found) == 1 else None


def held(rows: Sequence[Row]) -> tuple[bytes, bytes | None]:
    """Both records of a user who did this, in this order."""
    profile = Profile()
    fold_profile(profile, [(row, 0 if row.item_id is None else item_hash(row.item_id)) for row in rows])
    return FUSION.fold([None], [rows]).states[0], encode_profile(profile)
