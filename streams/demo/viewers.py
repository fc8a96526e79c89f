"""Simulated viewers: two hidden tastes each, one of which changes midway. Nothing else knows the tastes."""

import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from streams.records import Interaction, Item, MediaReference

FROM_SLATE: Final = 0.5
NOISE: Final = 0.1
LANGUAGES: Final = ("en", "zh")
"""Viewers have these in turn."""
_OWN_WORDS: Final = 0.06
_OWN_MEDIA: Final = 0.06


class Shelf:
    """The catalogue as a viewer meets it: items by category."""

    def __init__(self, items: Sequence[Item]) -> None:
        self.items: Mapping[str, Item] = {item.item_id: item for item in items}
        self.by_category: Mapping[str, list[Item]] = _by_category(items)

    def category(self, item_id: str) -> str:
        return self.items[item_id].categories[0]


def _by_category(items: Sequence[Item]) -> dict[str, list[Item]]:
    found: dict[str, list[Item]] = defaultdict(list)
    for item in items:
        found[item.categories[0]].append(item)
    return dict(found)


@dataclass
class Viewer:
    """One viewer. `tastes` are categories that no event names."""

    name: str
    tastes: tuple[str, str]
    later: str
    """The taste that takes the second one's place at the change."""
    chance: random.Random
    shelf: Shelf
    language: str = "en"
    """What the application says of this viewer with each event."""
    changed_ms: int | None = None
    """When the taste changed, epoch milliseconds."""
    former: str = field(init=False)
    """The taste that goes."""
    seen: set[str] = field(default_factory=set)
    count: int = 0

    def __post_init__(self) -> None:
        self.former = self.tastes[1]

    def change(self, now_ms: int) -> None:
        """The second taste goes, another one comes."""
        self.tastes = (self.tastes[0], self.later)
        self.changed_ms = now_ms

    def act(self, slate: Sequence[str], now_ms: int) -> Interaction:
        """The next thing that this viewer does, given the slate last shown (item ids)."""
        self.count += 1
        event = self._from_slate(slate) if self.chance.random() < FROM_SLATE else None
        event = event or self._on_its_own()
        event.event_id = f"{self.name}-{self.count}"
        event.timestamp = now_ms
        if event.item_id:
            self.seen.add(event.item_id)
        return event

    def _from_slate(self, slate: Sequence[str]) -> Interaction | None:
        item_id = next((item for item in slate if item not in self.seen), None)
        if item_id is None:
            return None
        if self.shelf.category(item_id) in self.tastes:
            return self._welcome(item_id)
        return self._reject(item_id)

    def _welcome(self, item_id: str) -> Interaction:
        action = self.chance.choices(["view", "click", "like", "save", "share"], [2, 3, 4, 1, 1])[0]
        return self._event(action, item_id, watched_fraction=round(self.chance.uniform(0.6, 1), 2))

    def _reject(self, item_id: str) -> Interaction:
        action = self.chance.choices(["skip", "view", "dislike"], [6, 2, 2])[0]
        return self._event(action, item_id, watched_fraction=round(self.chance.uniform(0, 0.15), 2))

    def _on_its_own(self) -> Interaction:
        draw = self.chance.random()
        category = self.chance.choice(self.tastes)
        found = self._unseen(category)
        if draw < NOISE or not found:
            every = [item for item in self.shelf.items if item not in self.seen]
            return self._event("view", self.chance.choice(every or list(self.shelf.items)))
        chosen = self.chance.choice(found)
        if draw < NOISE + _OWN_WORDS and chosen.title:
            return self._event("search", None, text=chosen.title)
        if draw < NOISE + _OWN_WORDS + _OWN_MEDIA and chosen.media:
            return self._event("share", None, media=[self.chance.choice(chosen.media)])
        return self._welcome(chosen.item_id)

    def _unseen(self, category: str) -> list[Item]:
        return [item for item in self.shelf.by_category[category] if item.item_id not in self.seen]

    def _event(
        self,
        action: str,
        item_id: str | None,
        *,
        watched_fraction: float | None = None,
        text: str | None = None,
        media: list[MediaReference] | None = None,
    ) -> Interaction:
        return Interaction(
            user_id=self.name,
            action=action,
            timestamp=0,
            item_id=item_id,
            watched_fraction=watched_fraction,
            text=text,
            media=media or [],
            context={"language": self.language},
        )


def make_viewers(shelf: Shelf, number: int, seed: int) -> list[Viewer]:
    """Viewers with tastes drawn from categories that hold enough items to go on with."""
    chance = random.Random(seed)
    large = sorted(category for category, items in shelf.by_category.items() if len(items) >= 30)
    viewers = []
    for index in range(number):
        first, second, later = chance.sample(large, 3)
        own = random.Random(f"{seed}-{index}")
        language = LANGUAGES[index % len(LANGUAGES)]
        viewers.append(Viewer(f"viewer-{index + 1:02d}", (first, second), later, own, shelf, language))
    return viewers
