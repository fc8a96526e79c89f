"""What follows upon what, explored items and repeats, from events to slates, through both real engines."""

from collections.abc import Sequence

import msgspec
import numpy as np
import pytest

from state.catalogue import Catalogue
from state.events import ACTIONS, Action, Row, RowKind
from state.profile import decode_profile
from state.settings import RecommendSettings
from state.slots import item_hash
from state.strategies.following import entries_of
from state.trending import ItemDelta, ItemSignal, decode_signal
from streams.engine.processor import Output
from streams.errors import SettingsError
from streams.interests.processor import KIND_PROFILE, InterestsProcessor
from streams.interests.signals import SignalsProcessor, half_life_ms, learned, memory_of
from streams.partitioning import partition_of
from streams.records import Recommendation
from streams.settings import Settings
from streams.testing import Driver
from tests.tastes import catalogue, item, pack, row

STOCK = [item(number) for number in range(30)]
TOPICS = Settings().topics
PARTITIONS = 2
COLLABORATIVE = RecommendSettings(weights={"collaborative": 1.0}, neighbours=16, diversity=0.0)


class World:
    """Users' and items' engines, two partitions each, with the catalogue that both sides share."""

    def __init__(self, options: RecommendSettings) -> None:
        self.settings = Settings(recommend=options)
        self.catalogue, self._fusion = catalogue(STOCK)
        self.users = Driver(self.processor(), PARTITIONS)
        self.items = Driver(SignalsProcessor(self.settings), PARTITIONS)
        self._next = [0] * PARTITIONS

    def processor(self) -> InterestsProcessor:
        return InterestsProcessor(self._fusion, self.catalogue, self.settings)

    def send(self, rows: Sequence[Row], partition: int = 0) -> list[Recommendation]:
        """Rows of one partition, to be ranked; what is told of items comes to the catalogue."""
        first = self._next[partition]
        self._next[partition] += len(rows)
        self.users.push(pack(rows, first), partition)
        for output in self.users.read(TOPICS.item_deltas):
            self.items.push(output.value or b"", partition_of(output.key, PARTITIONS))
        tell(self.catalogue, self.items.read(TOPICS.item_signals), self.settings)
        outputs = self.users.read(TOPICS.recommendations)
        return [msgspec.json.decode(output.value or b"", type=Recommendation) for output in outputs]

    def signal(self, name: str) -> ItemSignal:
        (value,) = (
            value
            for number in range(PARTITIONS)
            for key, value in self.items.stored(number, b"c").items()
            if key == b"c" + name.encode()
        )
        return decode_signal(value)

    def followers(self, name: str) -> dict[int, float]:
        return {int(each["item"]): float(each["count"]) for each in entries_of(self.signal(name).followers)}


def tell(made: Catalogue, signals: Sequence[Output], settings: Settings) -> None:
    half_life, memory = half_life_ms(settings), memory_of(settings)
    made.learn(
        (output.key.decode(), *learned(decode_signal(output.value or b""), half_life, memory))
        for output in signals
    )


def takes(user: str, numbers: Sequence[int], first: int = 0) -> list[Row]:
    return [row(user, first + turn, STOCK[number]) for turn, number in enumerate(numbers)]


def test_pairs_of_users_in_several_partitions_come_together() -> None:
    world = World(COLLABORATIVE)
    world.send(takes("ann", [0, 8]), 0)
    world.send(takes("bob", [3, 0, 8], 10), 1)
    eight, nought = item_hash("item-8"), item_hash("item-0")
    assert world.followers("item-0").keys() == {eight}
    assert abs(world.followers("item-0")[eight] - 2) < 0.01
    assert world.followers("item-3").keys() == {eight, nought}
    assert abs(world.signal("item-8").taken - 2) < 0.01
    for partition in range(PARTITIONS):
        (slate,) = world.send(takes(f"cat-{partition}", [0], 20 + partition), partition)
        first = slate.items[0]
        assert (first.item_id, first.source) == ("item-8", "collaborative")
        (why,) = [reason for reason in first.reasons if reason.strategy]
        assert (why.strategy, why.item_id, why.share) == ("collaborative", "item-0", 1.0)


def test_pairs_are_counted_once_through_duplicates_and_restarts() -> None:
    world = World(COLLABORATIVE)
    rows = takes("ann", [0, 8])
    world.send(rows)
    before = world.followers("item-0"), world.signal("item-8")
    world.users.restart(world.processor(), wipe=True)
    world.items.restart(SignalsProcessor(world.settings), wipe=True)
    world.send(rows)
    assert (world.followers("item-0"), world.signal("item-8")) == before


def test_the_cut_into_batches_does_not_matter_to_pairs() -> None:
    whole, single = World(COLLABORATIVE), World(COLLABORATIVE)
    rows = takes("ann", [0, 8, 3, 8, 15, 0, 21])
    whole.send(rows)
    for each in rows:
        single.send([each])
    for name in ("item-0", "item-8", "item-3", "item-15"):
        mine, other = whole.followers(name), single.followers(name)
        assert mine.keys() == other.keys()
        assert all(abs(mine[key] - other[key]) < 0.01 for key in mine)


@pytest.mark.parametrize("cut", [(10, 90), (60, 40), (100,)])
def test_pairs_are_of_all_events_of_a_long_batch(cut: Sequence[int]) -> None:
    """Longer than the ring, so that its first events have left it when the batch is worked off."""
    numbers = np.random.default_rng(3).integers(0, len(STOCK), 100).tolist()
    options = msgspec.structs.replace(COLLABORATIVE, neighbours=len(STOCK))
    single, many = World(options), World(options)
    rows = takes("ann", numbers)
    for each in rows:
        single.send([each])
    for count in cut:
        many.send(rows[:count])
        rows = rows[count:]
    for name in {STOCK[number].item_id for number in numbers}:
        assert many.followers(name) == pytest.approx(single.followers(name), abs=0.1)
        assert many.signal(name).taken == pytest.approx(single.signal(name).taken, abs=0.1)


def test_an_event_that_is_taken_back_takes_its_pairs_with_it() -> None:
    world = World(COLLABORATIVE)
    rows = takes("ann", [0, 8])
    world.send(rows)
    undone = msgspec.structs.replace(rows[1], offset=-1, kind=int(RowKind.RETRACT), sequence=1)
    world.users.push(msgspec.msgpack.encode([-1, -1, [undone]]))
    for output in world.users.read(TOPICS.item_deltas):
        world.items.push(output.value or b"", partition_of(output.key, PARTITIONS))
    assert world.followers("item-0") == {}
    assert world.signal("item-8").taken == 0


def test_what_is_rejected_makes_no_pair() -> None:
    world = World(COLLABORATIVE)
    skip, search = row("ann", 1, STOCK[8], Action.SKIP), row("ann", 2, None, Action.SEARCH, text="boats")
    world.send([row("ann", 0, STOCK[0]), skip, search, row("ann", 3, STOCK[15])])
    assert world.followers("item-0").keys() == {item_hash("item-15")}
    assert world.followers("item-8") == {}


def test_what_stood_in_a_slate_to_be_explored_is_counted() -> None:
    world = World(RecommendSettings(explore_places=2))
    (slate,) = world.send(takes("ann", [0]))
    explored = [place for place in slate.items if place.source == "explored"]
    assert len(explored) == 2
    assert all(place.propensity is not None and 0 < place.propensity <= 1 for place in explored)
    assert all(place.propensity is None for place in slate.items if place.source != "explored")
    assert [world.signal(place.item_id).explored for place in explored] == [1, 1]
    rows = [world.catalogue.row_of[place.item_id] for place in explored]
    assert world.catalogue.columns.explored[rows].tolist() == [1, 1]


def test_purchases_are_remembered_by_action_where_that_is_asked_for() -> None:
    bought = ACTIONS.index(Action.PURCHASE)
    rows = [row("ann", 0, STOCK[0], Action.PURCHASE), row("ann", 1, STOCK[1])]
    kept, plain = World(RecommendSettings(repeat_days={Action.PURCHASE: 365})), World(RecommendSettings())
    kept.send(rows)
    plain.send(rows)
    (held,) = kept.users.stored(prefix=KIND_PROFILE).values()
    (without,) = plain.users.stored(prefix=KIND_PROFILE).values()
    assert decode_profile(held).acted.keys() == {bought}
    assert decode_profile(without).acted == {}
    assert len(without) < len(held)


def test_by_default_nothing_more_is_told_of_items() -> None:
    world = World(RecommendSettings())
    world.users.push(pack(takes("ann", [0, 8]), 0))
    deltas = [
        msgspec.msgpack.decode(output.value or b"", type=ItemDelta)
        for output in world.users.read(TOPICS.item_deltas)
    ]
    assert [(delta.followed, delta.taken, delta.explored) for delta in deltas] == [({}, 0, 0)] * 2


def test_settings_that_lack_something_name_the_key_and_the_mend() -> None:
    with pytest.raises(SettingsError, match=r"recommend\.weights\.collaborative.*set recommend\.neighbours"):
        World(RecommendSettings(weights={"collaborative": 1.0}))
