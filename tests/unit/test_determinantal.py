"""Slates by the volume that they span, against the determinant worked out from its definition."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from state.determinantal import choose_spread
from state.diversity import NONE, Candidates, choose
from tests.unit.test_diversity import candidates


def one_by_one(made: Candidates, user: int, count: int, diversity: float, cap: int) -> list[int]:
    """The largest gain in (1 - d) sum of r + d log det S at each turn, the determinant by its definition."""
    left = [place for place in range(made.scores.shape[1]) if made.valid[user, place]]
    if not left:
        return []
    scores, vectors = made.scores[user].astype(float), made.vectors[user].astype(float)
    low, high = min(scores[left]), max(scores[left])
    relevance = (scores - low) / (high - low) if high > low else scores * 0
    kernel = (1 + vectors @ vectors.T) / 2
    np.fill_diagonal(kernel, 1.0)
    chosen: list[int] = []
    taken: dict[int, int] = {}
    while left and len(chosen) < count:

        def value(place: int) -> float:
            slate = [*chosen, place]
            volume = np.linalg.slogdet(kernel[np.ix_(slate, slate)])[1]
            return float((1 - diversity) * relevance[slate].sum() + diversity * volume)

        best = max(left, key=lambda place: (round(value(place), 5), -place))
        chosen.append(best)
        left.remove(best)
        if made.categories is not None:
            of = made.categories[user]
            for group in set(of[best].tolist()) - {-1}:
                taken[group] = taken.get(group, 0) + 1
            full = {group for group, number in taken.items() if number >= cap}
            left = [place for place in left if not full & set(of[place].tolist())]
    return chosen


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([0.2, 0.5, 1.0]), st.sampled_from([0, 1, 2]))
def test_it_takes_the_largest_gain_at_each_turn(seed: int, diversity: float, cap: int) -> None:
    made = candidates(3, 12, seed)
    if cap == 0:
        made.categories = None
    chosen = choose_spread(made, 5, diversity, cap)
    for user in range(3):
        expected = one_by_one(made, user, 5, diversity, cap)
        found = [place for place in chosen[user].tolist() if place != NONE]
        assert len(found) == len(set(found)) == len(expected)
        if found != expected:
            # Two whose gains agree to five digits may change places; nothing else may.
            scores = [float(made.scores[user, place]) for place in found]
            assert scores == pytest.approx([float(made.scores[user, p]) for p in expected], abs=1e-3)


def test_without_diversity_the_scores_alone_order() -> None:
    made = candidates(4, 20, 3)
    assert choose_spread(made, 6, 0.0).tolist() == choose(made, 6, 0.0).tolist()


def test_a_slate_spans_more_than_by_score_alone() -> None:
    made = candidates(5, 60, 7)
    made.valid[:] = True
    volumes = []
    for diversity in (0.0, 0.5):
        chosen = choose_spread(made, 6, diversity)
        slates = np.take_along_axis(made.vectors, chosen[:, :, None], axis=1)
        kernels = (1 + slates @ slates.transpose(0, 2, 1)) / 2
        volumes.append(float(np.linalg.slogdet(kernels)[1].mean()))
    assert volumes[1] > volumes[0]


def test_twins_come_last_by_their_relevance() -> None:
    same = np.tile(np.eye(8, dtype=np.float32)[:1], (4, 1))
    vectors = np.concatenate([same, np.eye(8, dtype=np.float32)[1:3]])[None]
    scores = np.array([[1.0, 0.9, 0.8, 0.7, 0.1, 0.0]], np.float32)
    made = Candidates(scores, np.ones((1, 6), np.bool_), vectors, None)
    assert choose_spread(made, 6, 0.5).tolist() == [[0, 4, 5, 1, 2, 3]]


def test_what_is_fixed_counts_against_the_cap() -> None:
    made = candidates(1, 6, 2)
    made.valid[:] = True
    made.categories = np.array([[[7], [7], [8], [8], [9], [-1]]], dtype=np.int32)
    made.fixed = np.array([[[7], [-1]]], dtype=np.int32)
    for choosing in (choose, choose_spread):
        chosen = [place for place in choosing(made, 6, 0.3, 1)[0].tolist() if place != NONE]
        assert sorted(int(made.categories[0, place, 0]) for place in chosen) == [-1, 8, 9]


def test_nothing_to_choose_from() -> None:
    made = candidates(2, 5, 1)
    made.valid[:] = False
    assert choose_spread(made, 3, 0.3).tolist() == [[NONE] * 3] * 2
