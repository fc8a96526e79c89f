"""Key frames follow the changes of a clip."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from encoders.media.keyframes import WAYS, Choose, choose_by_difference, choose_by_flow


def flat(levels: list[int]) -> np.ndarray:
    return np.stack([np.full((36, 64), level, np.uint8) for level in levels])


def test_a_still_clip_has_one() -> None:
    noise = np.random.default_rng(1).integers(-2, 3, (40, 36, 64))
    assert choose_by_difference((128 + noise).astype(np.uint8), 8) == [0]


def test_each_cut_has_one() -> None:
    assert choose_by_difference(flat([10] * 10 + [200] * 10 + [90] * 10), 8) == [0, 10, 20]


def test_a_slow_fade_is_noticed() -> None:
    chosen = choose_by_difference(flat(list(range(200))), 8)
    assert len(chosen) == 8
    assert chosen[0] == 0
    assert max(np.diff(chosen)) < 60


def test_many_cuts_are_spread_over_the_clip() -> None:
    rng = np.random.default_rng(2)
    busy = rng.integers(0, 255, 80)
    chosen = choose_by_difference(flat([*busy.tolist()]), 8)
    assert len(chosen) == 8
    assert {index * 8 // 80 for index in chosen} == set(range(8))


def test_the_strongest_change_of_a_busy_span_stays() -> None:
    levels = [0] * 10 + [40] * 10 + [250] * 10 + [210] * 10
    assert choose_by_difference(flat(levels), 2) == [0, 20]


def camera(speeds: list[int]) -> np.ndarray:
    """A camera that moves over a landscape by so many pixels a frame."""
    rng = np.random.default_rng(3)
    rough = rng.integers(0, 255, (9, 200), dtype=np.uint8)
    landscape = np.asarray(Image.fromarray(rough).resize((1600, 72), Image.Resampling.BICUBIC))
    places = np.cumsum(speeds)
    return np.stack([landscape[:36, place : place + 64] for place in places])


def test_flow_keeps_the_frames_where_the_camera_rests() -> None:
    greys = camera([0] + [3] * 10 + [0] * 6 + [4] * 10 + [0] * 6 + [3] * 8)
    first, *rests = choose_by_flow(greys, 8)
    assert first == 0
    assert len(rests) == 2
    assert 10 < rests[0] <= 17
    assert 26 < rests[1] <= 33


def test_flow_finds_no_rest_in_an_even_pan() -> None:
    assert choose_by_flow(camera([0] + [3] * 40), 8) == [0]


def test_flow_is_bounded() -> None:
    greys = camera(([4] * 4 + [0] * 4) * 10)
    chosen = choose_by_flow(greys, 4)
    assert len(chosen) == 4
    assert chosen[-1] > 40


@pytest.mark.parametrize("choose", WAYS.values())
@pytest.mark.parametrize("most", [0, 1, 2, 8])
def test_no_frames(choose: Choose, most: int) -> None:
    assert choose(np.zeros((0, 36, 64), np.uint8), most) == []


@pytest.mark.parametrize("choose", WAYS.values())
@settings(deadline=None)
@given(levels=st.lists(st.integers(0, 255), min_size=1, max_size=60), most=st.integers(1, 12))
def test_always_the_first_ascending_and_bounded(choose: Choose, levels: list[int], most: int) -> None:
    chosen = choose(flat(levels), most)
    assert chosen[0] == 0
    assert chosen == sorted(set(chosen))
    assert len(chosen) <= most
    assert chosen[-1] < len(levels)
