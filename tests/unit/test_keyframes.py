"""Key frames follow the changes of a clip."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from encoders.media.flow import LOST, dense_motion, sparse_motion
from encoders.media.keyframes import (
    WAYS,
    Choose,
    choose_by_difference,
    choose_by_flow,
    choose_by_shots,
    choose_by_sparse_flow,
)
from encoders.media.shots import shot_starts


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


FLOWS = [choose_by_flow, choose_by_sparse_flow]


@pytest.mark.parametrize("choose", FLOWS)
def test_flow_keeps_the_frames_where_the_camera_rests(choose: Choose) -> None:
    greys = camera([0] + [3] * 10 + [0] * 6 + [4] * 10 + [0] * 6 + [3] * 8)
    first, *rests = choose(greys, 8)
    assert first == 0
    assert len(rests) == 2
    assert 10 < rests[0] <= 17
    assert 26 < rests[1] <= 33


@pytest.mark.parametrize("choose", FLOWS)
def test_flow_finds_no_rest_in_an_even_pan(choose: Choose) -> None:
    assert choose(camera([0] + [3] * 40), 8) == [0]


@pytest.mark.parametrize("choose", FLOWS)
def test_flow_is_bounded(choose: Choose) -> None:
    greys = camera(([4] * 4 + [0] * 4) * 10)
    chosen = choose(greys, 4)
    assert len(chosen) == 4
    assert chosen[-1] > 40


@pytest.mark.parametrize("motion", [dense_motion, sparse_motion])
def test_motion_is_in_pixels(motion) -> None:
    still, slow, fast = (np.median(motion(camera([0] + [speed] * 12))[1:]) for speed in (0, 1, 3))
    assert still < 0.05
    assert abs(slow - 1) < 0.4
    assert abs(fast - 3) < 1


def test_lost_corners_count_as_far() -> None:
    there = camera([0])[0]
    after, *_ = (sparse_motion(np.stack([there, other]))[1] for other in (np.full_like(there, 7),))
    assert after > LOST / 2
    assert sparse_motion(np.zeros((3, 36, 64), np.uint8)) == [0.0, 0.0, 0.0]


def scene(seed: int, frames: int) -> np.ndarray:
    """A picture that trembles a little."""
    rng = np.random.default_rng(seed)
    base = rng.integers(0, 256, (4, 4)).repeat(9, axis=0).repeat(16, axis=1)
    return np.clip(base + rng.integers(-3, 4, (frames, 36, 64)), 0, 255).astype(np.uint8)


def test_shots_begin_at_cuts() -> None:
    assert shot_starts(np.concatenate([scene(1, 9), scene(2, 5), scene(3, 12)])) == [0, 9, 14]


def test_a_dissolve_begins_one_shot_and_not_many() -> None:
    before, after = scene(1, 20).astype(float), scene(2, 20).astype(float)
    share = np.clip((np.arange(20) - 6) / 7, 0, 1)[:, None, None]
    mixed = ((1 - share) * before + share * after).astype(np.uint8)
    starts = shot_starts(mixed)
    assert len(starts) == 2
    assert 7 <= starts[1] <= 14


def test_a_still_or_slowly_panned_clip_is_one_shot() -> None:
    assert shot_starts(scene(1, 30)) == [0]
    assert shot_starts(camera([0] + [1] * 40)) == [0]


def test_a_frame_of_each_shot() -> None:
    clip = np.concatenate([scene(seed, 6) for seed in range(5)])
    chosen = choose_by_shots(clip, 8)
    assert [index // 6 for index in chosen] == [0, 1, 2, 3, 4]


def test_of_many_shots_the_longest_are_kept_over_the_clip() -> None:
    lengths = [2, 9, 2, 9, 2, 9, 2, 9]
    clip = np.concatenate([scene(seed, length) for seed, length in enumerate(lengths)])
    ends = np.cumsum(lengths)
    chosen = choose_by_shots(clip, 4)
    assert [int(np.searchsorted(ends, index, side="right")) for index in chosen] == [1, 3, 5, 7]


@pytest.mark.parametrize("choose", WAYS.values())
@pytest.mark.parametrize("most", [0, 1, 2, 8])
def test_no_frames(choose: Choose, most: int) -> None:
    assert choose(np.zeros((0, 36, 64), np.uint8), most) == []


@pytest.mark.parametrize("choose", WAYS.values())
@settings(deadline=None)
@given(levels=st.lists(st.integers(0, 255), min_size=1, max_size=60), most=st.integers(1, 12))
def test_ascending_and_bounded(choose: Choose, levels: list[int], most: int) -> None:
    chosen = choose(flat(levels), most)
    assert chosen
    assert choose is choose_by_shots or chosen[0] == 0
    assert chosen == sorted(set(chosen))
    assert len(chosen) <= most
    assert 0 <= chosen[0] <= chosen[-1] < len(levels)
