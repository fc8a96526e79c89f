"""Baselines: each by hand where it can be, and above chance where there is something to learn."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from state.artifact import save_artifact
from state.errors import LearningError
from state.events import ACTIONS, Action
from state.fusion import Fusion
from state.fusions import FUSIONS
from state.judging import LIKE, PARTS, RATE, Judges
from state.layout import DIM
from state.learning.baselines.counting import RecentPopularity
from state.learning.baselines.following import Following, pair_counts
from state.learning.baselines.nearest import ItemKnn, RecencyMean, similarities
from state.learning.baselines.priors import served
from state.learning.contenders import CONTENDERS, contender
from state.learning.interactions import Interactions, ItemContent, interactions_of
from state.learning.metrics import per_event
from state.learning.protocol import Histories, Recommender, Targets, Task
from state.learning.ranks import RankingOptions, rank
from state.learning.served import Media, Served, row_of
from state.learning.splits import Split, temporal
from state.learning.verdicts import Judge, from_scores
from state.prior import content_prior
from state.ranking import queries
from tests.made_interactions import Size, content, interactions

SIZE = Size(120, 160, 4_000)
DAY = 86_400_000


def events(*rows: tuple[int, int, int], items: int = 5, actions: list[Action] | None = None) -> Interactions:
    user, item, time = (np.array(column) for column in zip(*rows, strict=True))
    codes = [0] * len(user) if actions is None else [ACTIONS.index(one) for one in actions]
    return interactions_of(
        {"user": user, "item": item, "time_ms": time, "action": np.array(codes)},
        [str(code) for code in range(int(user.max()) + 1)],
        [str(code) for code in range(items)],
    )


def after(source: Interactions, *ends: int) -> Histories:
    """The histories of the first user, up to each end."""
    count = len(ends)
    zeros = np.zeros(count, np.int64)
    return Histories(
        source, zeros.astype(np.int32), zeros, np.array(ends), np.full(count, source.time_ms.max())
    )


@pytest.fixture(scope="module")
def split() -> Split:
    return temporal(interactions(SIZE))


@pytest.fixture(scope="module")
def known() -> ItemContent:
    return content(SIZE)


def ndcg(model: Recommender, targets: Targets) -> float:
    return float(per_event(rank(model, targets, RankingOptions(False)))["ndcg@10"].mean())


LEARNING = [name for name in CONTENDERS if name not in ("random", "popularity", "recent-popularity")]
BY_SERVING = [name for name in LEARNING if name.startswith("content-prior")]
BASELINES = ["recency-mean", "item-knn", "als", "bpr", *BY_SERVING]
assert len(BY_SERVING) == len(FUSIONS)


@pytest.mark.parametrize("name", BASELINES)
def test_each_is_above_popularity_where_users_have_tastes(
    name: str, split: Split, known: ItemContent
) -> None:
    targets = split.test.part(np.arange(0, len(split.test), 2))
    task = Task(split.train, split.validation, known)
    popular = contender("popularity")[1](task, lambda part: None)
    model = contender(name)[1](task, lambda part: None)
    assert model.name == name
    assert ndcg(model, targets) > 1.3 * ndcg(popular, targets)


@pytest.mark.parametrize("name", ["random", "als", "bpr"])
def test_one_seed_gives_the_same_and_another_gives_other_scores(name: str, split: Split) -> None:
    histories = split.test.histories().part(slice(0, 5))

    def scores(seed: int) -> np.ndarray:
        task = Task(split.train, split.validation, None, seed)
        return contender(name)[1](task, lambda part: None).scores(histories)

    first = scores(1)
    np.testing.assert_array_equal(first, scores(1))
    assert not np.allclose(first, scores(2))


@pytest.mark.parametrize("name", ["recency-mean", "content-prior", "content-prior/late"])
def test_ranking_by_content_without_any_is_refused(name: str, split: Split) -> None:
    with pytest.raises(LearningError, match="nothing is told of these items"):
        contender(name)[1](Task(split.train, split.validation, None), lambda part: None)


def test_an_unknown_model_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(LearningError, match=r"'svd' is neither a model nor a folder.*item-knn"):
        contender("svd")


def test_popularity_of_late_counts_nothing_after_the_read_and_fades() -> None:
    source = events((0, 0, 0), (0, 0, DAY), (0, 1, 60 * DAY), (0, 2, 100 * DAY))
    model = RecentPopularity(source, half_life_days=10)
    histories = after(source, 1, 1, 1)
    read = np.array([30 * DAY, 80 * DAY, 200 * DAY])
    scores = model.scores(Histories(source, histories.users, histories.first, histories.end, read))
    assert scores[0].argmax() == 0
    assert scores[0, 1] == scores[0, 2] == 0
    assert scores[1].argmax() == 1
    assert scores[1, 2] == 0
    assert scores[2].argmax() == 2


def test_item_knn_by_hand() -> None:
    # Items 0 and 1 share two users, 0 and 2 one; 3 stands alone.
    source = events((0, 0, 1), (0, 1, 2), (1, 0, 1), (1, 1, 2), (2, 0, 1), (2, 2, 2), (3, 3, 1))
    similar = similarities(source, shrink=0.0).toarray()
    assert similar[0, 1] == pytest.approx(2 / np.sqrt(3 * 2))
    assert similar[0, 2] == pytest.approx(1 / np.sqrt(3))
    assert similar[0, 0] == similar[0, 3] == 0
    nearest = similarities(source, shrink=0.0, count=1).toarray()
    # Of what is near to item 0 only item 1 is kept; item 2 keeps item 0, its only neighbour.
    assert nearest[2, 0] == 0
    assert nearest[0, 2] > 0
    scores = ItemKnn(similarities(source, 0.0), np.inf).scores(after(source, 0, 1, 2))
    assert scores[0].tolist() == [0] * 5
    assert scores[1].argmax() == 1
    assert scores[2].argmax() in (0, 1)


def test_the_recency_mean_leaves_out_what_was_rejected() -> None:
    vectors = np.zeros((5, 4, 128), np.float32)
    vectors[[0, 1, 2], 0, [0, 1, 2]] = 1
    known = ItemContent(vectors, vectors.any(axis=2), ((),) * 5)
    source = events((0, 0, 1), (0, 1, 2), (0, 2, 3), actions=[Action.VIEW, Action.VIEW, Action.DISLIKE])
    scores = RecencyMean(known, half_life=1.0).scores(after(source, 0, 1, 2, 3))
    assert np.isneginf(scores[0]).all()
    assert scores[1, :3].tolist() == [1, 0, 0]
    assert scores[2, :3].tolist() == [0.5, 1, 0]
    assert scores[3, :3].tolist() == [0.25, 0.5, 0]
    assert np.isneginf(scores[:, 3:]).all()


def test_what_is_served_is_what_serving_says(split: Split, known: ItemContent) -> None:
    artifact = content_prior()
    fusion, media = Fusion(artifact), Media.of(known, split.train.items)
    histories = split.test.histories().part(slice(0, 40))
    scores = Served("prior", artifact, known, split.train).scores(histories)
    items = fusion.item_vectors(media.vectors)
    for row in (0, 1, 17, 39):
        first, end = int(histories.first[row]), int(histories.end[row])
        rows = [row_of(histories.source, at, media) for at in range(first, end)]
        state = fusion.fold([None], [rows]).states
        np.testing.assert_allclose(scores[row], queries(fusion.read(state))[0] @ items.T, atol=1e-6)


def test_an_artifact_that_judges_is_asked_by_the_interest_that_serving_reads(
    split: Split, known: ItemContent
) -> None:
    rng = np.random.default_rng(1)
    sizes = {"dim": DIM, "one": 1}
    arrays = {
        f"{head}_{part}": rng.standard_normal([sizes[name] for name in names]).astype(np.float32)
        for head in (LIKE, RATE)
        for part, names in PARTS.items()
    }
    artifact = replace(content_prior(), judges=Judges(arrays))
    model = served("own", artifact, Task(split.train, split.validation, known))
    assert isinstance(model, Judge)
    asked = split.test.part(slice(0, 9))
    fusion, media = Fusion(artifact), Media.of(known, split.train.items)
    histories = asked.histories()
    rows = [
        row_of(histories.source, at, media) for at in range(int(histories.first[8]), int(histories.end[8]))
    ]
    interest = fusion.read(fusion.fold([None], [rows]).states).interest
    item = fusion.item_vectors([media.vectors[asked.items[8]]])
    told = model.likes(histories, asked.items)
    np.testing.assert_allclose(told[8], Judges(arrays).likes(interest, item)[0], atol=1e-5)
    plain = served("own", content_prior(), Task(split.train, split.validation, known))
    assert not isinstance(plain, Judge)


def test_an_artifact_in_a_folder_is_a_model(split: Split, known: ItemContent, tmp_path: Path) -> None:
    save_artifact(content_prior(), str(tmp_path / "mine"))
    task = Task(split.train, split.validation, known)
    model = contender(str(tmp_path / "mine"))[1](task, lambda part: None)
    histories = split.test.histories().part(slice(0, 7))
    prior = contender("content-prior")[1](task, lambda part: None)
    assert model.name == "mine"
    np.testing.assert_array_equal(model.scores(histories), prior.scores(histories))


def test_an_artifact_of_other_encoders_is_refused(split: Split, known: ItemContent) -> None:
    artifact = replace(content_prior(), space="bank-1")
    task = Task(split.train, split.validation, replace(known, space="bank-2"))
    with pytest.raises(LearningError, match=r"trained on vectors of bank-1, .* encoded by bank-2"):
        served("own", artifact, task)
    served("own", artifact, Task(split.train, split.validation, replace(known, space="bank-1")))


def test_who_has_no_past_is_served_what_is_in_demand(split: Split, known: ItemContent) -> None:
    histories = after(split.test.source, 0)
    scores = Served("prior", content_prior(), known, split.train).scores(histories)
    shares = split.train.counts / len(split.train)
    np.testing.assert_allclose(scores[0], shares, rtol=1e-6)
    np.testing.assert_array_equal(np.argsort(scores[0], kind="stable"), np.argsort(shares, kind="stable"))


def test_users_without_a_past_do_not_turn_likes_around(split: Split, known: ItemContent) -> None:
    model = Served("prior", content_prior(), known, split.train)
    asked = split.test.histories()
    items = np.arange(len(asked)) % split.train.items
    told = model.scores(asked)[np.arange(len(asked)), items]
    often = int(split.train.counts.argmax())
    shown = np.repeat(model.scores(after(split.test.source, 0))[0, often], len(told) // 20)
    likes = np.concatenate([told > np.median(told), np.zeros(len(shown), np.bool_)])
    least, most = from_scores((np.concatenate([told, shown]), likes), np.array([-0.5, 0.8], np.float32))
    assert least < most


def test_following_counts_what_comes_next_as_the_served_strategy_does() -> None:
    train = events(
        *[(user, item, step) for user in range(30) for step, item in enumerate((0, 1, 2))], items=4
    )
    counts, taken = pair_counts(train)
    assert counts.toarray()[:3, :3].tolist() == [[0, 30, 30], [0, 0, 30], [0, 0, 0]]
    assert taken.tolist() == [30, 30, 30, 0]
    (scores,) = Following(train).scores(after(train, 2))
    expected = [-np.inf, 2 ** (-1 / 3) * 30 / 50, (1 + 2 ** (-1 / 3)) * 30 / 50, -np.inf]
    assert scores.tolist() == pytest.approx(expected, abs=1e-5)


def test_following_takes_no_item_twice_in_a_row_and_nothing_that_was_rejected() -> None:
    views, skip = [Action.VIEW] * 4, Action.SKIP
    train = events((0, 0, 0), (0, 1, 1), (0, 1, 2), (0, 2, 3), actions=[*views[:3], skip], items=4)
    counts, taken = pair_counts(train)
    assert counts.toarray()[:3, :3].tolist() == [[0, 1, 0], [0, 0, 0], [0, 0, 0]]
    assert taken.tolist() == [1, 1, 0, 0]
