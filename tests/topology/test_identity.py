"""Forgetting and merging users on the real engine, without a broker."""

import random
from dataclasses import replace

import msgspec
import pytest

from state.events import Command, RowKind
from state.layout import RING
from state.settings import RecommendSettings
from streams.engine.engine import EngineOptions
from streams.interests.marks import KIND_MARK, Mark
from streams.records import Interest, Recommendation, UserReceipt
from streams.settings import InterestsSettings, Settings
from streams.testing import START_MS
from tests import identity_world
from tests.identity_world import (
    DAY,
    FUSION,
    PARTITIONS,
    TOPICS,
    World,
    alone,
    assert_same,
    event,
    forget,
    home,
    merge,
)
from tests.tastes import MINUTE, START, item


def test_a_forgotten_user_is_found_in_the_receipt_alone() -> None:
    world = World()
    world.send([event("ann", number) for number in range(3)] + [event("bob", 9)])
    assert world.holds("ann") and world.holds("event-2")
    world.send([forget("ann", 5, "c-1")])
    assert world.holds("ann") == [TOPICS.user_receipts]
    assert world.holds("event-2") == []
    assert world.holds("bob")
    assert world.last(TOPICS.interests)[b"ann"] is None
    assert world.last(TOPICS.recommendations)[b"ann"] is None
    (receipt,) = world.receipts()
    assert receipt == UserReceipt("c-1", "forget", "ann", START_MS, True)
    assert set(world.states()) == {"bob"}


@pytest.mark.parametrize("wipe", [False, True])
def test_what_is_older_than_the_command_stays_forgotten(wipe: bool) -> None:
    world = World()
    world.send([event("ann", 0), forget("ann", 5)])
    world.restart(wipe)
    world.send([event("ann", 1), event("ann", 2, kind=int(RowKind.AMEND), sequence=1)])
    assert world.states() == {}
    # A clock ahead, and a message that was there before the command.
    world.send([event("ann", 8, broker_time=START + 4 * MINUTE)])
    assert world.states() == {} and world.last(TOPICS.interests)[b"ann"] is None
    world.send([event("ann", 9)])
    assert FUSION.read([world.states()["ann"]]).event_count.tolist() == [1]


@pytest.mark.parametrize(("kept_ms", "comes_back"), [(-1, False), (DAY, True)])
def test_a_disk_that_was_away_brings_nobody_back(kept_ms: int, comes_back: bool) -> None:
    """Only where deletions are kept for as long as it was away may it be trusted: this log keeps none."""
    world = World()
    world.send([event("ann", 0)])
    number = home("ann")
    old = dict(world.driver._stores[number].scan(b""))
    world.send([forget("ann", 5)])
    world.driver.log.compact(number)
    world.driver.log.facts = replace(world.driver.log.facts, delete_retention_ms=kept_ms)
    world.driver._stores[number].clear()
    world.driver._stores[number].write(old)
    world.restart()
    assert ("ann" in world.states()) == comes_back


def test_a_command_that_comes_again_leaves_what_came_since() -> None:
    world = World()
    world.send([event("ann", 0), forget("ann", 5, "c-1"), event("ann", 9), forget("ann", 5, "c-1")])
    assert FUSION.read([world.states()["ann"]]).event_count.tolist() == [1]
    assert [receipt.found for receipt in world.receipts()] == [True, False]


def test_forgetting_takes_its_place_among_the_events_of_its_batch() -> None:
    together, apart = World(), World()
    rows = [event("ann", 0), event("bob", 1), forget("ann", 2), event("ann", 3), event("bob", 4)]
    together.send(rows)
    for each in rows:
        apart.send([each])
    assert together.states() == apart.states()
    assert together.last(TOPICS.item_deltas).keys() == apart.last(TOPICS.item_deltas).keys()


def test_a_slate_that_is_held_back_is_forgotten_too() -> None:
    settings = Settings(recommend=RecommendSettings(min_interval_seconds=60))
    world = World(settings=settings)
    world.send([event("ann", 0)])
    world.send([event("ann", 1)])
    assert world.holds("event-1")
    world.send([forget("ann", 5)])
    world.driver.advance(120_000)
    assert world.last(TOPICS.recommendations)[b"ann"] is None
    assert world.holds("ann") == [TOPICS.user_receipts]


def test_a_mark_ends_when_its_time_is_over() -> None:
    settings = Settings(interests=InterestsSettings(mark_days=2))
    world = World(settings=settings)
    world.send([event("ann", 0), forget("ann", 5)])
    assert world.mark("ann") == Mark(1, START_MS + 2 * DAY, START + 5 * MINUTE)
    world.driver.advance(2 * DAY - 1)
    assert world.mark("ann") is not None
    world.restart(wipe=True)
    world.driver.advance(1)
    assert world.mark("ann") is None
    assert KIND_MARK not in {key[:1] for number in range(PARTITIONS) for key in world.driver.stored(number)}


def test_an_item_level_record_names_no_user() -> None:
    world = World()
    world.send([event("somebody", number) for number in range(3)])
    deltas = world.driver.outputs(TOPICS.item_deltas)
    assert deltas
    for output in deltas:
        assert b"somebody" not in output.key + (output.value or b"") and output.headers == ()


def test_a_merge_is_the_fold_of_both_users_events() -> None:
    world, one = World(), World()
    rng = random.Random(7)
    rows = [event(rng.choice(["visitor", "ann"]), number) for number in range(90)]
    world.send(rows)
    world.send([merge("visitor", "ann", 100, "c-1")])
    one.send([msgspec.structs.replace(each, user_id="ann") for each in rows])
    assert set(world.states()) == {"ann"}
    assert_same(world, one)
    assert world.receipts() == [UserReceipt("c-1", "merge", "visitor", START_MS, True, "ann")]
    assert world.last(TOPICS.interests)[b"visitor"] is None
    shown = msgspec.json.decode(world.last(TOPICS.interests)[b"ann"] or b"", type=Interest)
    assert (shown.version, shown.event_count) == (90, 90)


def test_later_events_of_the_old_id_follow_it() -> None:
    world, one = World(), World()
    world.send([event("visitor", 0), event("ann", 1), merge("visitor", "ann", 2)])
    late = event("visitor", 3, vectors={}, topics=(), masked={1: "unknown_item"})
    world.restart(wipe=True)
    world.send([late, event("visitor", 3, kind=int(RowKind.AMEND), sequence=1)])
    rows = [event("ann", 0), event("ann", 1), event("ann", 3)]
    one.send(rows)
    assert set(world.states()) == {"ann"}
    world.send([late])
    assert_same(world, one, version=False)


def test_a_merge_twice_counts_once() -> None:
    world = World()
    world.send([event("visitor", 0), event("ann", 1)])
    world.send([merge("visitor", "ann", 2, "c-1"), merge("visitor", "ann", 2, "c-1")])
    assert FUSION.read([world.states()["ann"]]).event_count.tolist() == [2]
    assert [receipt.found for receipt in world.receipts()] == [True, False]


def test_merges_in_a_row_end_at_the_last() -> None:
    world, one = World(), World()
    world.send([event("phone", 0), event("tablet", 1), event("ann", 2)])
    world.send([merge("phone", "tablet", 3), merge("tablet", "ann", 4)])
    world.send([event("phone", 5), event("tablet", 6)])
    one.send([event("ann", number) for number in (0, 1, 2, 5, 6)])
    assert set(world.states()) == {"ann"}
    assert_same(world, one)


def test_a_merge_back_revives_the_old_id() -> None:
    world, one = World(), World()
    world.send([event("visitor", 0), event("ann", 1), merge("visitor", "ann", 2)])
    world.send([merge("ann", "visitor", 3), event("ann", 4), event("visitor", 5)])
    one.send([event("visitor", number) for number in (0, 1, 4, 5)])
    assert set(world.states()) == {"visitor"}
    assert_same(world, one)


@pytest.mark.parametrize("first", ["visitor", "ann"])
def test_two_merges_that_cross_end_at_one_user(first: str) -> None:
    world = World()
    world.send([event("visitor", 0), event("ann", 1)])
    crossing = [merge("visitor", "ann", 2), merge("ann", "visitor", 3)]
    for each in crossing if first == "visitor" else crossing[::-1]:
        number = home(each.user_id)
        world.driver._queues[number].append((len(world.driver._sources[number]), alone(each)))
        world.driver._sources[number].append(alone(each))
    world.driver.advance(0)
    world.send([event("visitor", 5), event("ann", 6)])
    assert set(world.states()) == {"visitor"}
    assert FUSION.read(list(world.states().values())).event_count.tolist() == [4]


def test_forgetting_a_user_reaches_the_marks_of_those_who_became_part_of_it() -> None:
    world = World()
    world.send([event("phone", 0), event("tablet", 1), event("ann", 2)])
    world.send([merge("phone", "tablet", 3), merge("tablet", "ann", 4), forget("ann", 9)])
    assert world.states() == {}
    assert set(world.holds("ann")) == {TOPICS.user_receipts}
    world.send([event("phone", 7), event("tablet", 8), event("ann", 8)])
    assert world.states() == {}
    assert [(each.command, each.user_id) for each in world.receipts()] == [
        ("merge", "phone"),
        ("merge", "tablet"),
        ("forget", "ann"),
    ]
    world.send([event("phone", 11)])
    assert set(world.states()) == {"phone"}


def test_a_merge_outlasts_an_older_forget_that_comes_late() -> None:
    world = World()
    world.send([event("visitor", 2), event("ann", 3), merge("visitor", "ann", 4)])
    world.send([forget("visitor", 1)])
    world.send([event("visitor", 5)])
    assert {user: FUSION.read([state]).event_count.tolist() for user, state in world.states().items()} == {
        "ann": [3]
    }


def test_the_slate_of_a_merge_is_of_the_time_when_it_came(monkeypatch: pytest.MonkeyPatch) -> None:
    """And not of the time that the command names, when nothing was published yet."""
    stock = [item(number, published_at=START - 1_000) for number in range(40)]
    monkeypatch.setattr(identity_world, "STOCK", stock)
    world = World()
    world.send([event("visitor", 0), event("ann", 1)])
    world.send([msgspec.structs.replace(merge("visitor", "ann", -10), broker_time=START + 2 * MINUTE)])
    slate = msgspec.json.decode(world.last(TOPICS.recommendations)[b"ann"] or b"", type=Recommendation)
    assert len(slate.items) == 10


def test_an_alias_that_went_elsewhere_is_left_alone() -> None:
    world = World()
    world.send([event("phone", 0), merge("phone", "ann", 1), merge("phone", "bob", 2), event("phone", 3)])
    world.send([forget("ann", 9), event("phone", 10)])
    assert FUSION.read([world.states()["bob"]]).event_count.tolist() == [2]
    assert set(world.states()) == {"bob"}


def test_what_arrives_for_a_user_who_was_forgotten_meanwhile_is_dropped() -> None:
    world = World()
    away = msgspec.structs.replace(
        merge("phone", "ann", 3, "c-1"),
        user_id="ann",
        kind=int(RowKind.ARRIVE),
        command=Command(
            app="penchant", path=("phone",), fusion=FUSION.fold([None], [[event("phone", 0)]]).states[0]
        ),
    )
    world.send([event("ann", 1), forget("ann", 5), away])
    assert world.states() == {}
    assert [(each.command_id, each.found) for each in world.receipts()][-1] == ("c-1", False)


def test_rows_that_another_deployment_wrote_count_for_that_one_alone() -> None:
    world = World()
    world.send(
        [event("ann", 0, command=Command(app="other")), event("ann", 1, command=Command(app="penchant"))]
    )
    assert FUSION.read([world.states()["ann"]]).event_count.tolist() == [1]


class Crash(BaseException):
    """Stands for the end of the process."""


class CrashOnce:
    """Crashes when `step` is passed for the `count`-th time after `arm`."""

    def __init__(self, step: int, count: int) -> None:
        self._step, self._left, self.armed = step, count, False

    def __call__(self, step: int) -> None:
        if self.armed and step == self._step:
            self._left -= 1
            if self._left == 0:
                raise Crash(step)


@pytest.mark.parametrize("wipe", [False, True])
@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("step", range(1, 7))
def test_a_crash_at_any_step_of_a_merge_changes_nothing(step: int, count: int, wipe: bool) -> None:
    """The first commit is that of the half that leaves, the second of the one that arrives, then an event."""
    fault = CrashOnce(step, count)
    world = World(EngineOptions("driver", fault=fault))
    rows = [event(("visitor", "ann")[number % 2], number) for number in range(2 * RING)]
    world.send(rows)
    fault.armed = True
    try:
        world.send([merge("visitor", "ann", 100)])
        world.send([event("visitor", 101)])
    except Crash:
        fault.armed = False
        world.restart(wipe)
        if count < 3:
            world.send([event("visitor", 101)])
    assert not fault.armed
    one = World()
    one.send([msgspec.structs.replace(each, user_id="ann") for each in [*rows, event("ann", 101)]])
    assert set(world.states()) == {"ann"}
    assert_same(world, one)
    assert len(world.receipts()) == 1
