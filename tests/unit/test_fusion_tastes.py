"""The content prior follows two tastes at once and a change of taste, untrained."""

from dataclasses import replace

import numpy as np
import pytest

from state.prior import DEFAULT
from tests.bench.bench_tastes import measure, states, viewers, world


@pytest.fixture(scope="module")
def simulation() -> tuple:
    rng = np.random.default_rng(11)
    place = world(rng)
    crowd = viewers(rng, place, 24)
    return place, crowd, states(crowd)


def test_two_tastes_and_a_change(simulation: tuple) -> None:
    found = measure(DEFAULT, *simulation)
    assert found["first"] > 0.8
    assert found["taste"] > 0.95
    assert found["kept@20"] > 0.95
    assert found["new@20"] > 0.3
    assert found["old@20"] < 0.05


def test_the_review_brings_back_the_other_taste(simulation: tuple) -> None:
    with_review = measure(DEFAULT, *simulation)
    without = measure(replace(DEFAULT, review=()), *simulation)
    assert with_review["both"] > 2 * without["both"]
    assert with_review["taste"] > without["taste"] - 0.02
