"""Ranks, figures and intervals: by hand on small cases, and against ranx and scikit-learn."""

import math
from dataclasses import dataclass

import numpy as np
import pytest

from state.errors import LearningError
from state.events import ACTIONS, Action
from state.learning.interactions import Float32, Interactions, ItemContent, interactions_of
from state.learning.intervals import interval, paired, paired_over_seeds
from state.learning.metrics import Background, means, of_lists, per_event
from state.learning.protocol import Histories, Targets
from state.learning.ranks import Ranking, RankingOptions, best, rank
from state.learning.slices import lost, slices_of
from state.learning.splits import leave_one_out
from state.learning.verdicts import calibration, enough, from_scores, judged, liked, verdicts
from tests.made_interactions import Size, interactions


def events(*rows: tuple[int, int, int], items: int = 6, actions: list[Action] | None = None) -> Interactions:
    user, item, time = (np.array(column) for column in zip(*rows, strict=True))
    codes = [0] * len(user) if actions is None else [ACTIONS.index(one) for one in actions]
    return interactions_of(
        {"user": user, "item": item, "time_ms": time, "action": np.array(codes)},
        [str(code) for code in range(int(user.max()) + 1)],
        [str(code) for code in range(items)],
    )


@dataclass
class Fixed:
    """Gives every history the scores of a table, by the position of its end."""

    table: Float32
    name: str = "fixed"

    def scores(self, histories: Histories) -> Float32:
        return self.table[histories.end]


def ranked(table: list[list[float]], options: RankingOptions | None = None) -> Ranking:
    source = events((0, 0, 1), (0, 1, 2), (0, 2, 3))
    full = np.array(table, np.float32)
    return rank(Fixed(full), Targets(source, np.array([1, 2])), options or RankingOptions(False))


def test_equal_scores_count_against_the_model_and_a_target_without_one_is_last() -> None:
    none = [0.0] * 6
    found = ranked([none, [1, 2, 3, 2, 0, 2], [5, -math.inf, math.nan, 1, 1, 1]])
    assert found.ranks.tolist() == [4, 6]
    assert found.places.tolist() == [6, 6]


def test_what_was_taken_before_is_left_out_but_not_the_target() -> None:
    none = [0.0] * 6
    table = [none, [9, 2, 3, 1, 0, 0], [9, 8, 1, 7, 0, 0]]
    assert ranked(table).ranks.tolist() == [3, 4]
    hidden = ranked(table, RankingOptions(True))
    assert hidden.ranks.tolist() == [2, 2]
    assert hidden.places.tolist() == [5, 4]
    assert hidden.top[:, :3].tolist() == [[2, 1, 3], [3, 2, 4]]
    again = events((0, 1, 1), (0, 1, 2))
    taken_twice = rank(
        Fixed(np.array([none, table[1]], np.float32)), Targets(again, np.array([1])), RankingOptions()
    )
    assert taken_twice.ranks.tolist() == [3]


def test_only_candidates_are_ranked_where_some_are_named() -> None:
    none = [0.0] * 6
    candidates = np.array([False, True, True, False, False, True])
    found = ranked([none, [9, 2, 3, 1, 0, 0], [9, 8, 1, 7, 0, 0]], RankingOptions(False, candidates))
    assert found.ranks.tolist() == [2, 2]
    assert found.places.tolist() == [3, 3]


def test_scores_of_another_shape_are_refused() -> None:
    with pytest.raises(LearningError, match="fixed gave scores of shape"):
        ranked([[0.0] * 5] * 3)


def test_the_best_are_in_order_and_hold_no_item_without_a_score() -> None:
    scores = np.array([[1, 5, -np.inf, 5, 2], [-np.inf] * 5], np.float32)
    assert best(scores, 4).tolist() == [[1, 3, 4, 0], [-1, -1, -1, -1]]
    assert best(scores, 7).tolist() == [[1, 3, 4, 0, -1, -1, -1], [-1] * 7]


def test_many_targets_are_ranked_in_parts_as_in_one(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = interactions(Size(30, 40, 600))
    table = np.random.default_rng(0).random((len(whole) + 1, 40), dtype=np.float32)
    targets = leave_one_out(whole).test
    at_once = rank(Fixed(table), targets, RankingOptions())
    monkeypatch.setattr("state.learning.ranks.CELLS", 7 * 40)
    told: list[float] = []
    parts = rank(Fixed(table), targets, RankingOptions(), told.append)
    assert parts.ranks.tolist() == at_once.ranks.tolist()
    assert parts.top.tolist() == at_once.top.tolist()
    assert told == sorted(told)
    assert told[-1] == 1.0


def test_figures_of_known_ranks() -> None:
    ranking = Ranking(
        np.array([1, 3, 11]), np.full(3, 50), np.zeros((3, 20), np.int32), np.zeros(3, np.float32)
    )
    values = per_event(ranking)
    assert values["hr@10"].tolist() == [1, 1, 0]
    assert values["ndcg@10"].tolist() == pytest.approx([1, 0.5, 0])
    assert values["ndcg@20"][2] == pytest.approx(1 / math.log2(12))
    assert values["mrr"].tolist() == pytest.approx([1, 1 / 3, 1 / 11])
    # The first user has two events, of which both are hits; the second one, which is none.
    found = means(values, np.array([7, 7, 9], np.int32))
    assert found["hr@10"] == pytest.approx(2 / 3)
    assert found["recall@10"] == pytest.approx(1 / 2)


def test_lists_that_show_one_item_to_all_are_told_from_lists_that_show_many() -> None:
    source = events((0, 0, 1), (0, 0, 2), (1, 0, 1), (1, 1, 2))
    vectors = np.zeros((6, 4, 128), np.float32)
    vectors[[0, 1, 2], 0, 0] = 1
    vectors[[3, 4], 0, 1] = 1
    content = ItemContent(vectors, vectors.any(axis=2), ((),) * 6)
    background = Background(source, content)
    same = of_lists(np.array([[0, 1], [0, 1]], np.int32), background)
    many = of_lists(np.array([[0, 3], [2, 4]], np.int32), background)
    assert same["coverage"] == pytest.approx(2 / 6)
    assert many["coverage"] == pytest.approx(4 / 6)
    assert same["gini"] > many["gini"]
    assert same["novelty"] < many["novelty"]
    assert same["popularity"] > many["popularity"]
    assert same["diversity"] == pytest.approx(0)
    assert many["diversity"] == pytest.approx(1)
    assert same["novelty"] == pytest.approx(np.mean([-math.log2(4 / 10), -math.log2(2 / 10)]))
    empty = of_lists(np.full((2, 20), -1, np.int32), background)
    assert empty == {"coverage": 0.0, "gini": 0.0}


def test_intervals_hold_users_together() -> None:
    rng = np.random.default_rng(5)
    by_user = rng.random(40)
    users = np.repeat(np.arange(40, dtype=np.int32), 50)
    alike = interval(by_user[users], users)
    apart = interval(by_user[users], np.arange(2_000, dtype=np.int32))
    assert alike.low < alike.mean < alike.high
    # All events of a user say the same, so 2,000 events are no more than 40 witnesses.
    assert alike.high - alike.low > 5 * (apart.high - apart.low)


def test_a_paired_difference_is_surer_than_its_parts() -> None:
    rng = np.random.default_rng(6)
    base = rng.random(300)
    users = np.arange(300, dtype=np.int32)
    better = paired(base + 0.02 + 0.01 * rng.standard_normal(300), base, users)
    assert better.low > 0
    assert better.p < 0.01
    same = paired(base, rng.permutation(base), users)
    assert same.low < 0 < same.high
    assert same.p > 0.05
    nothing = paired(base, base, users)
    assert (nothing.mean, nothing.low, nothing.high, nothing.p) == (0, 0, 0, 1)


def test_seeds_that_disagree_make_a_difference_less_sure() -> None:
    rng = np.random.default_rng(3)
    users = np.repeat(np.arange(60, dtype=np.int32), 5)
    base = rng.normal(0, 1, len(users))
    alike = np.stack([base + 0.1 + rng.normal(0, 0.01, len(users)) for _ in range(4)])
    apart = alike + np.array([-0.3, -0.1, 0.1, 0.3])[:, None]
    other = np.stack([base, base])
    sure, unsure = paired_over_seeds(alike, other, users), paired_over_seeds(apart, other, users)
    assert sure.mean == pytest.approx(unsure.mean) == pytest.approx(0.1, abs=0.01)
    assert sure.low > 0.08
    assert unsure.low < 0 < unsure.high
    assert unsure.p > sure.p
    one = paired_over_seeds(alike[:1], other[:1], users)
    assert one == paired(alike[0], base, users)


def test_verdicts_of_perfect_and_of_constant_probabilities() -> None:
    likes = np.array([True, False] * 50)
    perfect = verdicts(likes.astype(float), likes)
    assert perfect.figures["accuracy"] == perfect.figures["roc_auc"] == perfect.figures["f1"] == 1
    assert perfect.figures["ece"] < 1e-5
    constant = verdicts(np.full(100, 0.9), likes)
    assert constant.figures["roc_auc"] == 0.5
    assert constant.figures["ece"] == pytest.approx(0.4)
    assert constant.figures["brier"] == pytest.approx((0.01 + 0.81) / 2)
    assert constant.figures["log_loss"] == pytest.approx(-(math.log(0.9) + math.log(0.1)) / 2)
    assert "dislike" in constant.report


def test_calibration_sorts_probabilities_into_tenths() -> None:
    bins = calibration(np.array([0.04, 0.06, 0.95, 1.0]), np.array([False, True, True, True]))
    assert [(one.count, one.found) for one in bins] == [(2, 0.5), (2, 1.0)]
    assert bins[0].told == pytest.approx(0.05)


def test_scores_become_probabilities_that_rise_with_them() -> None:
    rng = np.random.default_rng(8)
    told = rng.standard_normal(500).astype(np.float32)
    said = rng.random(500) < 1 / (1 + np.exp(-2 * told))
    made = from_scores((told, said), np.array([-2, 0, 2, -np.inf], np.float32))
    assert made[0] < 0.2
    assert 0.4 < made[1] < 0.6
    assert made[2] > 0.8
    assert made[3] <= made[0]
    one_sided = from_scores((told, np.ones(500, bool)), np.zeros(2, np.float32))
    assert one_sided.tolist() == [1.0, 1.0]


def test_only_events_with_a_verdict_are_judged() -> None:
    source = events((0, 0, 1), (0, 1, 2), (0, 2, 3), (0, 3, 4),
                    actions=[Action.LIKE, Action.VIEW, Action.SKIP, Action.PURCHASE])  # fmt: skip
    targets = Targets(source, np.arange(4))
    assert judged(targets).tolist() == [True, False, True, True]
    assert liked(targets).tolist() == [True, False, False, True]
    assert not enough(targets)


def test_slices_share_the_events_among_them() -> None:
    split = leave_one_out(interactions(Size(40, 30, 500)))
    values = {"hr@10": np.ones(len(split.test))}
    found = slices_of(split, values)
    for group in {one.group for one in found}:
        assert sum(one.events for one in found if one.group == group) == len(split.test)
    assert all(one.metrics == {"hr@10": 1.0} for one in found)


def test_a_larger_loss_takes_what_a_smaller_one_takes_and_more() -> None:
    some, more = lost((500, 4), 0.3, seed=1), lost((500, 4), 0.6, seed=1)
    assert (more | ~some).all()
    assert some.mean() == pytest.approx(0.3, abs=0.05)
    assert not lost((500, 4), 0.0, seed=1).any()
