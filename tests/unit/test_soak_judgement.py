"""The judges of the failure suite: they find what is lost, doubled and different, and memory that grows."""

import pytest

from tests.soak.memory import MINUTE, Samples
from tests.soak.outcomes import Outcome, table
from tests.soak.stages import compare_counts, different


def test_lost_and_doubled_events_do_not_cancel_out() -> None:
    assert compare_counts({"a": 3, "b": 3}, {"a": 1, "b": 5}) == (2, 2)
    assert compare_counts({"a": 3}, {}) == (3, 0)
    assert compare_counts({}, {"a": 3}) == (0, 3)


def test_missing_further_and_other_values_differ() -> None:
    assert different({b"a": b"1", b"b": b"2"}, {b"a": b"1", b"b": b"3", b"c": b"4"}) == 2
    assert different({b"a": b"1"}, {}) == 1


def test_what_is_not_as_promised_is_named() -> None:
    assert Outcome("kill", "workers", 10, silence=7.0).faults() == {}
    assert Outcome("kill", "workers", 10, lost=1, backwards=2).faults() == {"lost": 1, "backwards": 2}


def test_the_table_sums_the_runs_of_a_scenario() -> None:
    runs = [
        Outcome("kill", "workers", 1_000, lost=1, silence=7.25),
        Outcome("stop", "workers", 10),
        Outcome("kill", "workers", 500, silence=6.5),
    ]
    first, second = table(runs).splitlines()[2:]
    assert first == "| kill | workers | 2 | 1,500 | 1 | 0 | 0 | 0 | 0 | 0 | 6.5 to 7.2 |"
    assert second.startswith("| stop | workers | 1 | 10 |")


def test_growth_is_told_from_noise() -> None:
    samples = Samples()
    samples.moments = [float(second) for second in range(600)]
    samples.sizes = [100 + second % 7 + second * 3 / MINUTE for second in range(600)]
    assert samples.growth(120) == pytest.approx(3, abs=0.05)
    samples.sizes = [100.0 + second % 7 for second in range(600)]
    assert abs(samples.growth(120)) < 0.05
    assert samples.peak(until=3) == 103
