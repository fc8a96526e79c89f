"""Who is described, once, in which order, and up to where the topic is done with."""

import pytest

from tests.describe_world import World


def test_a_user_is_described_after_some_events_and_then_when_the_taste_turns() -> None:
    world = World()
    world.act("ann", 0, 4)
    world.settle()
    assert world.told("ann") == [] and world.committed() == 1
    world.act("ann", 0, 2)
    world.settle()
    assert len(world.told("ann")) == 1
    world.act("ann", 0, 1)
    world.settle()
    assert len(world.told("ann")) == 1, "one more of the same is no news"
    world.act("ann", 1, 8)
    world.settle()
    first, second = world.told("ann")
    assert "boats" not in (first or "") and "boats" in (second or "")
    assert world.committed() == 4


def test_descriptions_of_one_user_keep_their_distance() -> None:
    world = World(interval_seconds=100.0)
    world.act("ann", 0, 6)
    world.settle()
    world.act("ann", 1, 8)
    world.settle(10)
    assert len(world.told("ann")) == 1
    assert world.committed() == 1, "the turn would be lost with the worker otherwise"
    world.settle(50)
    assert len(world.told("ann")) == 2 and world.committed() == 2


def test_who_turns_back_before_the_turn_comes_is_left_alone() -> None:
    world = World(interval_seconds=100.0)
    world.act("ann", 0, 6)
    world.settle()
    before = world.states.held[b"ann"]
    world.act("ann", 1, 8)
    world.step()
    world.states.held[b"ann"] = before
    world.publish("ann", version=99, timestamp=2**42)
    world.settle(100)
    assert len(world.told("ann")) == 1 and world.committed() == 3


def test_offsets_wait_for_what_is_being_written() -> None:
    world = World()
    world.writer.let.clear()
    world.act("ann", 0, 6)
    world.act("bob", 1, 2)
    world.step()
    world.step()
    assert world.committed() == 0 and len(world.writer.asked) == 1
    world.act("eve", 2, 2, 1)
    world.step()
    assert world.committed(1) == 1, "another partition does not wait"
    world.writer.let.set()
    world.settle()
    assert world.committed() == 2 and len(world.told("ann")) == 1


def test_a_user_who_is_forgotten_while_being_written_of_leaves_a_null_alone() -> None:
    world = World()
    world.writer.let.clear()
    world.act("ann", 0, 6)
    world.act("bob", 1, 6)
    world.step()
    world.step()
    world.forget("ann")
    world.step()
    assert world.told("ann") == [None], "a null does not wait for a model"
    world.writer.let.set()
    world.settle()
    assert world.told("ann") == [None]
    assert len(world.told("bob")) == 1


def test_a_state_that_is_gone_is_not_written_of_before_its_null_comes() -> None:
    world = World()
    world.writer.let.clear()
    world.act("ann", 0, 6)
    world.step()
    world.step()
    del world.states.held[b"ann"]
    world.writer.let.set()
    world.settle()
    assert world.told("ann") == []


def test_who_comes_back_after_being_forgotten_is_described_of_what_came_since() -> None:
    world = World()
    world.act("ann", 0, 20)
    world.settle()
    stale = world.states.held[b"ann"]
    world.forget("ann")
    world.settle()
    world.act("ann", 2, 30)
    fresh = world.states.held[b"ann"]
    world.states.held[b"ann"] = stale
    world.settle()
    assert world.told("ann")[-1] is None, "the copy of the changelog is still of before"
    world.states.held[b"ann"] = fresh
    world.settle()
    assert "cakes" in (world.told("ann")[-1] or "") and "birds" not in (world.told("ann")[-1] or "")


def test_a_state_that_comes_late_is_waited_for() -> None:
    world = World()
    world.act("ann", 0, 6)
    late = world.states.held.pop(b"ann")
    world.settle()
    assert world.told("ann") == [] and world.committed() == 0
    world.states.held[b"ann"] = late
    world.settle()
    assert len(world.told("ann")) == 1 and world.committed() == 1


def test_an_aborted_transaction_is_written_again() -> None:
    world = World()
    world.sink.failures = 1
    world.act("ann", 0, 6)
    world.settle()
    world.settle()
    assert len(world.told("ann")) == 1 and world.committed() == 1


def test_a_worker_that_starts_again_goes_on_where_the_other_stood() -> None:
    world = World(interval_seconds=100.0)
    world.act("ann", 0, 6)
    world.act("bob", 1, 6)
    world.settle()
    world.act("ann", 1, 8)
    world.settle(1)
    world.start()
    world.settle(40)
    world.settle(40)
    assert len(world.told("ann")) == 2 and len(world.told("bob")) == 1
    assert world.committed() == 3


def test_nothing_is_judged_before_it_is_known_what_was_said() -> None:
    world = World()
    world.act("ann", 0, 6)
    world.settle()
    world.recall.late = True
    world.start()
    world.act("ann", 0, 1)
    world.settle()
    assert len(world.told("ann")) == 1 and not world.loop.ready()
    world.recall.late = False
    world.settle()
    world.act("ann", 1, 8)
    world.settle()
    assert len(world.told("ann")) == 2 and world.loop.ready()


def test_a_partition_that_goes_takes_its_users_along() -> None:
    world = World()
    world.writer.let.clear()
    world.act("ann", 0, 6)
    world.act("bob", 1, 6, 1)
    world.step()
    world.step()
    world.source.revoke(0)
    world.step()
    world.writer.let.set()
    world.settle()
    assert world.told("ann") == [] and len(world.told("bob")) == 1


def test_same_facts_are_written_of_once() -> None:
    world = World()
    world.act("ann", 0, 6)
    world.settle()
    world.act("bob", 0, 6)
    world.settle()
    assert len(world.writer.asked) == 1
    assert world.told("ann") == world.told("bob") != []


def test_facts_that_are_the_same_as_last_time_are_not_told_again() -> None:
    world = World(drift=0.0001)
    world.act("ann", 0, 8)
    world.settle()
    world.publish("ann", version=99, timestamp=2**42, vector=[1.0] + [0.0] * 63)
    state = world.states.held[b"ann"]
    world.settle()
    assert world.states.held[b"ann"] == state and len(world.told("ann")) == 1


@pytest.mark.parametrize("limits", [{"per_minute": 2}, {"characters_per_minute": 1}])
def test_a_minute_has_its_limits(limits: dict[str, int]) -> None:
    world = World(batch=1, **limits)
    for number in range(5):
        world.act(f"user-{number}", number, 6)
    for _ in range(20):
        world.step()
    assert 1 <= len(world.sink.written) <= 2
    assert world.committed() < 5


def test_a_writer_that_refuses_is_asked_again_later_and_not_for_ever() -> None:
    world = World(interval_seconds=10.0)
    world.writer.fails = True
    world.act("ann", 0, 6)
    for _ in range(30):
        world.settle(10)
    assert 2 <= len(world.writer.asked) <= 6
    assert world.told("ann") == [] and world.committed() == 1


def test_the_users_language_comes_with_the_interest() -> None:
    world = World()
    world.act("ann", 0, 6, context={"language": "zh-TW"})
    world.settle()
    assert world.writer.asked[0].language == "zh"


@pytest.mark.parametrize("value", [b"nonsense", b'{"user_id": "\xff"}'])
def test_bytes_that_are_no_interest_are_passed_over(value: bytes) -> None:
    world = World()
    world._append("ann", 0, value)
    world.act("bob", 0, 6)
    world.settle()
    assert len(world.told("bob")) == 1 and world.committed() == 2


def test_under_another_model_a_user_is_looked_at_anew_and_told_of_what_is_new_alone() -> None:
    world = World(first_events=3, drift=2.0)
    world.act("ann", 0, 3)
    world.settle()
    assert len(world.told("ann")) == 1
    world.publish("ann", version=9, model="another")
    world.settle()
    assert len(world.told("ann")) == 1, "the same facts"
    world.act("ann", 0, 3, model="another")
    world.settle()
    assert len(world.told("ann")) == 2
