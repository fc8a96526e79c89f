"""Key frames follow the changes of a clip."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from encoders.media.keyframes import choose


def flat(levels: list[int]) -> np.ndarray:
    return np.stack([np.full((36, 64), level, np.uint8) for level in levels])


def test_a_still_clip_has_one() -> None:
    noise = np.random.default_rng(1).integers(-2, 3, (40, 36, 64))
    assert choose((128 + noise).astype(np.uint8), 8) == [0]


def test_each_cut_has_one() -> None:
    assert choose(flat([10] * 10 + [200] * 10 + [90] * 10), 8) == [0, 10, 20]


def test_a_slow_fade_is_noticed() -> None:
    chosen = choose(flat(list(range(200))), 8)
    assert len(chosen) == 8
    assert chosen[0] == 0
    assert max(np.diff(chosen)) < 60


def test_many_cuts_are_spread_over_the_clip() -> None:
    rng = np.random.default_rng(2)
    busy = rng.integers(0, 255, 80)
    chosen = choose(flat([*busy.tolist()]), 8)
    assert len(chosen) == 8
    assert {index * 8 // 80 for index in chosen} == set(range(8))


def test_the_strongest_change_of_a_busy_span_stays() -> None:
    levels = [0] * 10 + [40] * 10 + [250] * 10 + [210] * 10
    assert choose(flat(levels), 2) == [0, 20]


@pytest.mark.parametrize("most", [0, 1, 2, 8])
def test_no_frames(most: int) -> None:
    assert choose(np.zeros((0, 36, 64), np.uint8), most) == []


@given(st.lists(st.integers(0, 255), min_size=1, max_size=60), st.integers(1, 12))
def test_always_the_first_ascending_and_bounded(levels: list[int], most: int) -> None:
    chosen = choose(flat(levels), most)
    assert chosen[0] == 0
    assert chosen == sorted(set(chosen))
    assert len(chosen) <= most
    assert chosen[-1] < len(levels)
