"""Many keys and when each is due, in a heap that stays small however often they are renewed."""

import random

from streams.interests.deadlines import STEP, Deadlines


def test_each_key_is_told_when_it_is_due_and_until_it_is_gone() -> None:
    values = {b"a": 10, b"b": 20}
    deadlines = Deadlines(values, lambda until: until)
    assert deadlines.due(9) == []
    assert deadlines.due(10) == deadlines.due(11) == [b"a"]
    values[b"a"] = 30
    deadlines.note(b"a")
    assert deadlines.due(29) == [b"b"]
    del values[b"b"]
    assert deadlines.due(29) == []
    assert deadlines.due(30) == [b"a"]


def test_many_at_once_are_told_in_parts() -> None:
    values = {bytes([number >> 8, number & 255]): number for number in range(3 * STEP)}
    deadlines = Deadlines(values, lambda until: until)
    told = 0
    while found := deadlines.due(3 * STEP):
        assert len(found) <= STEP
        told += len(found)
        for key in found:
            del values[key]
    assert told == 3 * STEP and not values


def test_renewals_do_not_let_it_grow() -> None:
    rng = random.Random(3)
    values = {bytes([number]): number for number in range(100)}
    deadlines = Deadlines(values, lambda until: until)
    for now in range(20_000):
        key = bytes([rng.randrange(100)])
        values[key] = 1_000 + now
        deadlines.note(key)
        assert len(deadlines) <= 2 * 100 + 65
    assert set(deadlines.due(30_000)) == set(values)
    values.clear()
    values[b"x"] = 1
    deadlines.note(b"x")
    assert len(deadlines) == 1
