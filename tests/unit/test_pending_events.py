"""Events that wait: bounded by count and time, found by what they miss, forgotten with their partition."""

from state.events import Row
from streams.encode.drafts import Draft
from streams.encode.pending import PendingEvents


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def draft(name: str, partition: int = 0) -> Draft:
    return Draft(partition, Row("u", name, 0, 0, 0, 0))


def names(pending: PendingEvents, *missing: str) -> list[str]:
    return [waiting.draft.row.event_id for waiting in pending.find(missing)]


def test_found_by_each_thing_missed_and_once() -> None:
    pending = PendingEvents(10, 100)
    pending.remember(draft("a"), {"i1", "i2"})
    pending.remember(draft("b"), {"i2"})
    assert names(pending, "i1") == ["a"]
    assert names(pending, "i2", "i1") == ["a", "b"]
    assert names(pending, "i3") == []
    assert pending.waits_for("i1")
    assert not pending.waits_for("i3")


def test_settling_leaves_what_is_still_missing() -> None:
    pending = PendingEvents(10, 100)
    pending.remember(draft("a"), {"i1", "i2"}, sequence=4)
    (waiting,) = pending.find({"i1"})
    pending.settle(waiting, draft("a+"), {"i2"})
    assert (names(pending, "i1"), names(pending, "i2"), waiting.sequence) == ([], ["a+"], 5)
    pending.settle(waiting, draft("a++"), set())
    assert len(pending) == 0
    assert not pending.waits_for("i2")


def test_what_waits_too_long_is_dropped() -> None:
    clock = Clock()
    pending = PendingEvents(10, 100, clock=clock)
    pending.remember(draft("a"), {"i1"})
    clock.now = 6
    pending.remember(draft("b"), {"i1"})
    clock.now = 10
    pending.expire()
    assert names(pending, "i1") == ["b"]
    clock.now = 16
    pending.expire()
    assert len(pending) == 0
    assert not pending.waits_for("i1")


def test_the_oldest_makes_room() -> None:
    pending = PendingEvents(10, capacity=2)
    for name in "abc":
        pending.remember(draft(name), {"i1"})
    assert names(pending, "i1") == ["b", "c"]


def test_a_partition_that_went_is_forgotten() -> None:
    pending = PendingEvents(10, 100)
    pending.remember(draft("a", 0), {"i1"})
    pending.remember(draft("b", 1), {"i1"})
    pending.forget_partitions({0})
    assert names(pending, "i1") == ["b"]
