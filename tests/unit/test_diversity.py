from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from state.diversity import NONE, Candidates, choose


def candidates(users: int, width: int, seed: int, groups: int = 3) -> Candidates:
    random = np.random.default_rng(seed)
    vectors = random.standard_normal((users, width, 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=2, keepdims=True)
    scores = -np.sort(-random.standard_normal((users, width)).astype(np.float32), axis=1)
    valid = random.random((users, width)) < 0.8
    categories = random.integers(-1, 4, (users, width, groups)).astype(np.int32)
    return Candidates(scores, valid, vectors, categories)


def one_by_one(given_: Candidates, user: int, count: int, diversity: float, cap: int) -> list[int]:
    """Maximal marginal relevance as its formula reads, with the cap on categories."""
    left = [place for place in range(given_.scores.shape[1]) if given_.valid[user, place]]
    if not left:
        return []
    scores = given_.scores[user].astype(float)
    low, high = min(scores[left]), max(scores[left])
    relevance = (scores - low) / (high - low) if high > low else scores * 0
    chosen: list[int] = []
    taken: dict[int, int] = {}
    while left and len(chosen) < count:

        def value(place: int) -> float:
            vectors = given_.vectors[user].astype(float)
            near = max((float(vectors[place] @ vectors[other]) for other in chosen), default=-1.0)
            return float((1 - diversity) * relevance[place] - diversity * near)

        best = max(left, key=lambda place: (round(value(place), 5), -place))
        chosen.append(best)
        groups = set() if given_.categories is None else set(given_.categories[user, best].tolist()) - {-1}
        for group in groups:
            taken[group] = taken.get(group, 0) + 1
        left.remove(best)
        if given_.categories is not None:
            of = given_.categories[user]
            full = {group for group, number in taken.items() if number >= cap}
            left = [place for place in left if not full & set(of[place].tolist())]
    return chosen


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([0.0, 0.3, 0.7, 1.0]), st.sampled_from([0, 1, 2]))
def test_it_chooses_as_the_formula_reads(seed: int, diversity: float, cap: int) -> None:
    made = candidates(3, 12, seed)
    if cap == 0:
        made.categories = None
    chosen = choose(made, 5, diversity, cap)
    for user in range(3):
        expected = one_by_one(made, user, 5, diversity, cap)
        found = [place for place in chosen[user].tolist() if place != NONE]
        values = [float(made.scores[user, place]) for place in found]
        assert len(found) == len(set(found)) == len(expected)
        if found != expected:
            # Two candidates whose values agree to five digits may change places; nothing else may.
            assert values == pytest.approx([float(made.scores[user, p]) for p in expected], abs=1e-3)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([0.1, 0.3, 0.7, 1.0]), st.integers(1, 30))
def test_who_is_sorted_out_would_never_be_chosen(seed: int, diversity: float, count: int) -> None:
    made = candidates(6, 200, seed)
    # Some are alike, and some have few candidates.
    made.vectors[:, 50:120] = made.vectors[:, :70]
    made.valid[0, 4:] = False
    made.valid[1] = False
    found = choose(made, count, diversity)
    with mock.patch("state.diversity._FEW", 10**9):
        assert choose(made, count, diversity).tolist() == found.tolist()


def test_without_diversity_the_scores_alone_order() -> None:
    made = candidates(2, 9, 5)
    made.valid[:] = True
    assert choose(made, 4, 0.0)[:, :4].tolist() == [[0, 1, 2, 3], [0, 1, 2, 3]]


def test_a_twin_of_what_is_chosen_waits() -> None:
    same, other = np.eye(2, dtype=np.float32)
    made = Candidates(
        np.array([[1.0, 0.99, 0.8, 0.0]], dtype=np.float32),
        np.ones((1, 4), dtype=np.bool_),
        np.stack([same, same, other, other])[None],
        None,
    )
    assert choose(made, 2, 0.5).tolist() == [[0, 2]]
    assert choose(made, 2, 0.0).tolist() == [[0, 1]]


def test_places_without_a_candidate_are_marked() -> None:
    made = candidates(1, 3, 1)
    made.valid[:] = [[True, False, False]]
    assert choose(made, 4, 0.3).tolist() == [[0, NONE, NONE, NONE]]


def test_a_capped_category_gives_no_more() -> None:
    made = candidates(1, 6, 2)
    made.valid[:] = True
    made.categories = np.array([[[7], [7], [7], [8], [8], [-1]]], dtype=np.int32)
    assert sorted(choose(made, 6, 0.3, category_cap=1)[0].tolist())[-3:] != [NONE] * 3
    chosen = [place for place in choose(made, 6, 0.3, category_cap=1)[0].tolist() if place != NONE]
    groups = [int(made.categories[0, place, 0]) for place in chosen]
    assert sorted(groups) == [-1, 7, 8]


def test_nothing_to_choose_from() -> None:
    empty = Candidates(
        np.zeros((2, 0), np.float32), np.zeros((2, 0), np.bool_), np.zeros((2, 0, 8), np.float32), None
    )
    assert choose(empty, 3, 0.3).tolist() == [[NONE] * 3] * 2
