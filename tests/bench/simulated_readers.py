"""Simulated users for judging descriptions: hidden tastes, and everything that they truly did."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from state.events import ACTIONS, Action, Row
from state.items import EncodedItem
from streams.demo.catalogue import sample_catalogue
from tests.tastes import vector

DAY = 86_400_000
HOUR = 3_600_000
START = 1_700_006_400_000
"""A Wednesday at midnight, UTC."""
DAYS = 28
EVENTS = (60, 160)
NOISE = 0.08
SEARCHES = 0.06
REJECTIONS = 0.15


@dataclass(frozen=True)
class Deed:
    """One thing that a user truly did."""

    time: int
    action: Action
    item: EncodedItem | None
    words: str = ""


@dataclass
class Reader:
    """A user. Nothing but the judge sees anything of it beside the deeds."""

    name: str
    tastes: tuple[str, ...]
    """Categories that are liked from the beginning on, the dearest first."""
    shares: tuple[float, ...]
    aversion: str
    arrives: str
    """A category that comes to be liked in the last days; empty for users who do not change."""
    leaves: str
    """A taste that ends when it does."""
    hours: tuple[int, int]
    deeds: list[Deed] = field(default_factory=list)

    @property
    def current(self) -> tuple[str, ...]:
        """What is liked in the end."""
        kept = tuple(taste for taste in self.tastes if taste != self.leaves)
        return (*kept, self.arrives) if self.arrives else kept


def sample_items(cache: Path) -> list[EncodedItem]:
    """The titled pictures of the sample catalogue; their vectors are made up around their categories."""
    items = [item for item in sample_catalogue(cache).items if item.title]
    groups = {name: number for number, name in enumerate(sorted({item.categories[0] for item in items}))}
    return [
        EncodedItem(
            item_id=item.item_id, partition=0, offset=number, title=item.title or "",
            vectors={code: vector(groups[item.categories[0]], number) for code in (0, 1)},
            tags=tuple(item.tags), categories=tuple(item.categories),
        )
        for number, item in enumerate(items)
    ]  # fmt: skip


def readers(count: int, items: Sequence[EncodedItem], seed: int = 1) -> list[Reader]:
    """Users with their deeds, the same for the same seed."""
    by_category: dict[str, list[EncodedItem]] = {}
    for item in items:
        by_category.setdefault(item.categories[0], []).append(item)
    return [_reader(number, by_category, random.Random(f"{seed} {number}")) for number in range(count)]


def rows_of(reader: Reader) -> list[Row]:
    """The deeds as the encode worker would hand them over."""
    return [
        Row(
            user_id=reader.name, event_id=f"{reader.name}-{number}", action=ACTIONS.index(deed.action),
            time=deed.time, offset=number, broker_time=deed.time,
            item_id=None if deed.item is None else deed.item.item_id,
            vectors={} if deed.item is None else deed.item.vectors,
            topics=() if deed.item is None else deed.item.topics, text=deed.words or None,
        )
        for number, deed in enumerate(reader.deeds)
    ]  # fmt: skip


def _reader(number: int, by_category: dict[str, list[EncodedItem]], chance: random.Random) -> Reader:
    names = chance.sample(sorted(by_category), 6)
    tastes = tuple(names[: chance.choice((1, 2, 2, 3))])
    shares = tuple(sorted((chance.uniform(0.5, 1.5) for _ in tastes), reverse=True))
    changes = chance.random() < 0.5
    start = chance.choice((6, 9, 13, 18, 22))
    reader = Reader(
        f"reader-{number}", tastes, shares, names[4], names[5] if changes else "",
        chance.choice(tastes) if changes else "", (start, start + chance.choice((3, 12))),
    )  # fmt: skip
    moments = sorted(_moment(reader, chance) for _ in range(chance.randint(*EVENTS)))
    seen: set[str] = set()
    for time in moments:
        reader.deeds.append(_deed(reader, time, by_category, (chance, seen)))
    return reader


def _moment(reader: Reader, chance: random.Random) -> int:
    first, last = reader.hours
    return START + chance.randrange(DAYS) * DAY + int(chance.uniform(first, last) * HOUR)


def _deed(
    reader: Reader,
    time: int,
    by_category: dict[str, list[EncodedItem]],
    apart: tuple[random.Random, set[str]],
) -> Deed:
    chance, seen = apart
    late = time - START > (DAYS - 5) * DAY
    liked = reader.current if late and reader.arrives else reader.tastes
    draw = chance.random()
    if draw < NOISE:
        return _met(chance.choice(sorted(by_category)), time, by_category, apart, reader)
    if draw < NOISE + REJECTIONS:
        return _met(reader.aversion, time, by_category, apart, reader)
    weights = [*reader.shares, 1.0][: len(liked)]
    taste = chance.choices(liked, weights)[0]
    if draw < NOISE + REJECTIONS + SEARCHES:
        item = chance.choice(by_category[taste])
        return Deed(time, Action.SEARCH, None, " ".join(item.title.strip(" .!").split()[:4]))
    fresh = [item for item in by_category[taste] if item.item_id not in seen] or by_category[taste]
    item = chance.choice(fresh)
    seen.add(item.item_id)
    actions = [Action.VIEW, Action.CLICK, Action.LIKE, Action.SAVE, Action.SHARE]
    return Deed(time, chance.choices(actions, [3, 3, 4, 1, 1])[0], item)


def _met(
    category: str,
    time: int,
    by_category: dict[str, list[EncodedItem]],
    apart: tuple[random.Random, set[str]],
    reader: Reader,
) -> Deed:
    chance, _ = apart
    item = chance.choice(by_category[category])
    if category in reader.tastes or category == reader.arrives:
        return Deed(time, Action.VIEW, item)
    actions = [Action.SKIP, Action.VIEW, Action.DISLIKE]
    weights = [2, 0, 3] if category == reader.aversion else [6, 3, 1]
    return Deed(time, chance.choices(actions, weights)[0], item)
