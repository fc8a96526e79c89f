"""When a user is described: drift, turns, and what a minute may cost."""

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from streams.describe.budget import Budget
from streams.describe.drift import Glimpse, Told, distance, drift, glimpses, leading, packed
from streams.describe.waiting import Entry, Waiting
from streams.examples import EXAMPLES
from streams.records import Interest
from streams.settings import DescribeSettings

SETTINGS = DescribeSettings()


def direction(number: int) -> list[float]:
    return [float(place == number) for place in range(64)]


def glimpse(**changes: object) -> Glimpse:
    made = Glimpse("ann", 10, 1_000, "prior", direction(0), {"birds": 0.7, "boats": 0.3}, 10, {"3": 7})
    return replace(made, **changes)


def told(**changes: object) -> Told:
    made = Told(10, 1_000, 0, "prior", "en", b"", packed(direction(0)), ("birds", "boats"))
    return replace(made, **changes)


def test_a_published_interest_can_be_looked_at() -> None:
    seen = glimpses.decode(msgspec.json.encode(EXAMPLES[Interest]))
    assert (seen.user_id, seen.version, seen.home, seen.event_count) == ("ada", 3, 0, 3)


def test_a_user_is_described_first_after_some_events() -> None:
    assert drift(glimpse(event_count=4), None, SETTINGS) == ""
    assert drift(glimpse(event_count=5), None, SETTINGS) == "first"


def test_a_user_who_stays_the_same_is_left_alone() -> None:
    assert drift(glimpse(version=99, timestamp=2_000), told(), SETTINGS) == ""


def test_a_turned_vector_is_a_reason_and_a_small_turn_is_none() -> None:
    later = glimpse(version=11, timestamp=2_000)
    turned = (np.array(direction(0)) * 0.8 + np.array(direction(1)) * 0.6).tolist()
    nudged = (np.array(direction(0)) * 0.95 + np.array(direction(1)) * 0.3).tolist()
    assert drift(replace(later, vector=turned), told(), SETTINGS) == "vector"
    assert drift(replace(later, vector=nudged), told(), SETTINGS) == ""
    other_model = replace(later, vector=turned, model="trained")
    assert drift(other_model, told(), SETTINGS) == "model", "vectors of two models do not compare"


def test_a_new_leading_topic_is_a_reason_and_shares_that_waver_are_none() -> None:
    later = glimpse(version=11, timestamp=2_000)
    assert drift(replace(later, topics={"cakes": 0.2, "birds": 0.8}), told(), SETTINGS) == "topics"
    assert drift(replace(later, topics={"boats": 0.9, "birds": 0.1}), told(), SETTINGS) == ""
    assert drift(replace(later, topics={"birds": 0.9, "cakes": 0.1}), told(), SETTINGS) == ""


def test_what_was_read_ahead_is_not_described_again_but_who_begins_anew_is() -> None:
    news = {"cakes": 1.0}
    assert drift(glimpse(version=9, timestamp=900, topics=news), told(), SETTINGS) == ""
    assert drift(glimpse(version=6, timestamp=9_000, topics=news), told(), SETTINGS) == "topics"


def test_leading_topics_are_the_larger_ones_in_order() -> None:
    shares = {"a": 0.04, "b": 0.3, "c": 0.3, "d": 0.1, "e": 0.08, "f": 0.07, "g": 0.06}
    assert leading(shares) == ("b", "c", "d", "e", "f")


@given(st.lists(st.floats(-1, 1), min_size=64, max_size=64).filter(lambda each: sum(map(abs, each)) > 1))
def test_a_byte_a_number_keeps_the_cosine(numbers: list[float]) -> None:
    unit = (np.array(numbers) / np.linalg.norm(numbers)).tolist()
    assert distance(unit, packed(unit)) == pytest.approx(0, abs=0.01)
    assert distance(unit, packed([-each for each in unit])) == pytest.approx(2, abs=0.01)
    assert distance([0.0] * 64, packed(unit)) == 0


def entry(user: str, offset: int, number: int = 0, due_ms: int = 0) -> Entry:
    return Entry(user.encode(), number, offset, offset, offset, 0, due_ms=due_ms)


def users(entries: list[Entry]) -> list[str]:
    return [each.user.decode() for each in entries]


def test_turns_come_in_order_when_they_are_due() -> None:
    waiting = Waiting()
    for made in (entry("ann", 1, due_ms=50), entry("bob", 2), entry("eve", 3, due_ms=20)):
        waiting.put(made)
    assert users(waiting.take(20, 10)) == ["bob", "eve"]
    assert waiting.take(49, 10) == [] and len(waiting) == 1
    assert users(waiting.take(50, 10)) == ["ann"] and len(waiting) == 0


def test_a_later_record_takes_the_turn_of_the_one_before() -> None:
    waiting = Waiting()
    waiting.put(entry("ann", 1, due_ms=10))
    waiting.put(entry("bob", 2, due_ms=11))
    waiting.put(entry("ann", 3, due_ms=500))
    taken = waiting.take(20, 10)
    assert users(taken) == ["ann", "bob"] and taken[0].offset == 3
    assert waiting.take(10_000, 10) == []


def test_offsets_stop_before_who_waits() -> None:
    waiting = Waiting()
    for made in (entry("ann", 5), entry("bob", 3), entry("eve", 9, number=1)):
        waiting.put(made)
    assert waiting.first_offsets() == {0: 3, 1: 9}
    waiting.put(entry("bob", 8))
    assert waiting.first_offsets() == {0: 5, 1: 9}
    waiting.drop(0, b"ann")
    waiting.forget([1])
    assert waiting.first_offsets() == {0: 8}
    assert users(waiting.take(0, 10)) == ["bob"]


def test_who_must_wait_again_gives_way_to_a_later_record() -> None:
    waiting = Waiting()
    waiting.put(entry("ann", 1))
    (taken,) = waiting.take(0, 1)
    waiting.put(entry("ann", 2))
    waiting.again(taken, 100)
    assert [each.offset for each in waiting.take(1_000, 10)] == [2]
    waiting.again(taken, 2_000)
    assert waiting.take(1_999, 10) == [] and [each.offset for each in waiting.take(2_000, 10)] == [1]


def test_users_who_come_and_go_leave_nothing_behind() -> None:
    waiting = Waiting()
    for offset in range(10_000):
        waiting.put(entry("ann", offset, due_ms=10**9))
        waiting.drop(0, b"ann")
    assert len(waiting) == 0 and len(waiting._turns) < 2_000


def test_a_budget_fills_steadily_and_what_is_owed_is_paid_first() -> None:
    budget = Budget(60, now=0.0)
    assert budget.left(0.0) == 60
    budget.spend(90)
    assert budget.left(0.0) == -30
    assert budget.left(30.0) == 0
    assert budget.left(45.0) == 15
    assert budget.left(10_000.0) == 60
    assert Budget(0, now=0.0).left(0.0) == float("inf")
