"""What is trained is what serves: the parallel form against the stored one, event by event."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from state.events import ACTIONS
from state.fusion import Fusion
from state.learning.exporting import artifact_of
from state.learning.interactions import Interactions, ItemContent
from state.learning.interest import InterestModel, InterestShape
from state.learning.sequences import Pieces, events_of
from state.ranking import queries
from tests.learning_samples import (
    ITEMS,
    UNKNOWN,
    content,
    item_ids,
    many_events,
    model,
    one_user,
    rows_of,
    serving_vectors,
    with_topics,
)

LIMIT = 1e-5
TOLD = content()
SORTED = with_topics(TOLD)
MODELS = {
    "categories": model(told=SORTED, seed=6),
    "content-and-ids": model(told=TOLD),
    "ids-alone": model(InterestShape(dropout=0), seed=2),
    "content-alone": model(InterestShape(ids=False, review=2, attention=3), TOLD, seed=3),
    "heads-alone": model(InterestShape(ring=False), TOLD, seed=4),
    "ring-alone": model(InterestShape(heads=False), TOLD, seed=5),
}


def told_of(made: InterestModel) -> ItemContent | None:
    if made.tower.categories.names:
        return SORTED
    return TOLD if made.tower.told else None


def trained(made: InterestModel, source: Interactions) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Queries and interests after every event, and the vectors of all items."""
    count = len(source)
    nothing = np.zeros(count + 1, np.bool_)
    pieces = Pieces(events_of(source), np.array([0]), np.array([count]), nothing, np.array([0]))
    with torch.inference_mode():
        told = made(pieces.batch(np.array([0]), made.multiple), torch.arange(made.items))
        sharpness = made.sharpness.exp()
    return (told.queries[0, :count] / sharpness).numpy(), told.user[0, :count].numpy(), told.vectors.numpy()


def served(made: InterestModel, source: Interactions) -> tuple[np.ndarray, np.ndarray]:
    fusion = Fusion(artifact_of(made, item_ids()))
    state, asked, interests = None, [], []
    for row in rows_of(source, 0, told_of(made)):
        state = fusion.fold([state], [[row]]).states[0]
        readouts = fusion.read([state])
        asked.append(queries(readouts)[0])
        interests.append(readouts.interest[0])
    return np.stack(asked), np.stack(interests)


def assert_serves(made: InterestModel, source: Interactions) -> None:
    asked, interests, vectors = trained(made, source)
    asked_served, interests_served = served(made, source)
    np.testing.assert_allclose(interests, interests_served, rtol=0, atol=LIMIT)
    np.testing.assert_allclose(asked, asked_served, rtol=0, atol=LIMIT)
    catalogue = serving_vectors(artifact_of(made, item_ids()), told_of(made))
    np.testing.assert_allclose(vectors, catalogue, rtol=0, atol=LIMIT)
    np.testing.assert_allclose(asked @ vectors.T, asked_served @ catalogue.T, rtol=0, atol=LIMIT)


@pytest.mark.parametrize("kind", MODELS)
def test_every_position_of_long_histories(kind: str) -> None:
    assert_serves(MODELS[kind], many_events(150, 7))


def test_histories_without_anything_that_rejects_or_takes_back() -> None:
    positive = tuple(
        code for code, action in enumerate(ACTIONS) if action in ("view", "click", "like", "save")
    )
    assert_serves(MODELS["content-and-ids"], many_events(150, 8, positive))


def test_what_is_taken_back_while_it_is_in_the_ring_and_after_it_left() -> None:
    like, unlike, view = (ACTIONS.index(action) for action in ("like", "unlike", "view"))
    nan = float("nan")
    between = [(number % 7 + 2, view, 60_000, nan, nan) for number in range(70)]
    near = [(1, like, 0, nan, nan), *between[:20], (1, unlike, 5, nan, nan), *between[20:]]
    far = [(1, like, 0, nan, nan), *between[:40], (1, unlike, 5, nan, nan), *between[40:]]
    again = [
        (1, like, 0, nan, nan),
        (1, unlike, 0, nan, nan),
        (1, like, 9, nan, nan),
        *between[:35],
        (1, unlike, 1, nan, nan),
    ]
    for events in (near, far, again):
        assert_serves(MODELS["content-and-ids"], one_user(events))


def test_what_was_watched_and_how_comments_sound() -> None:
    rng = np.random.default_rng(11)
    source = many_events(120, 11)
    told = replace(
        source,
        watched=rng.choice([np.nan, 0.0, 0.3, 1.0], len(source)).astype(np.float32),
        sentiment=rng.choice([np.nan, -0.9, -0.2, 0.0, 0.8], len(source)).astype(np.float32),
    )
    assert_serves(MODELS["content-and-ids"], told)
    plain, heard = events_of(source), events_of(told)
    assert (plain.weight != heard.weight).any()
    assert (plain.action != heard.action).any()
    assert (plain.liked != heard.liked).any()


def test_a_first_event_that_says_nothing() -> None:
    dislike, nan = ACTIONS.index("dislike"), float("nan")
    for action, item in ((dislike, 1), (0, 39)):
        events = [
            (item, action, 0, nan, nan),
            (2, 0, 400 * 86_400_000, nan, nan),
            (item, action, 5, nan, nan),
        ]
        assert_serves(MODELS["ids-alone"], one_user(events))


def test_actions_that_attention_leaves_out() -> None:
    """As the content prior does, with which a training may begin."""
    made = model(InterestShape(dropout=0), seed=2)
    view, click, nan = ACTIONS.index("view"), ACTIONS.index("click"), float("nan")
    with torch.no_grad():
        made.attention.action[view] = -torch.inf
        made.attention.action[click, 0] = -torch.inf
    events = [(1, view, 0, nan, nan), (2, view, 50, nan, nan), (3, click, 60, nan, nan), (4, 3, 70, nan, nan)]
    assert_serves(made, one_user(events))


def test_where_nothing_is_asked_nothing_is_told() -> None:
    source, made = many_events(20, 3), MODELS["content-alone"]
    pieces = Pieces(events_of(source), np.array([0]), np.array([20]), np.zeros(21, np.bool_), np.array([0]))
    nothing = torch.zeros(0, dtype=torch.int64)
    with torch.inference_mode():
        told = made(pieces.batch(np.array([0]), made.multiple), torch.arange(3), (nothing, nothing))
    assert told.queries.shape == told.user.shape == (0, 64)


def test_a_new_item_is_told_by_its_categories() -> None:
    """Of the last five items, which training never saw, the last two are of no category that it did."""
    catalogue = serving_vectors(artifact_of(MODELS["categories"], item_ids()), SORTED)
    bare = serving_vectors(artifact_of(MODELS["categories"], item_ids()), TOLD)
    moved = (catalogue != bare).any(axis=1)
    assert moved.tolist() == [False] * (ITEMS - UNKNOWN) + [True] * (UNKNOWN - 2) + [False] * 2


def test_judgements() -> None:
    made = MODELS["content-and-ids"]
    _, interests, vectors = trained(made, many_events(40, 9))
    judges = artifact_of(made, item_ids()).judges
    assert judges is not None
    with torch.inference_mode():
        user, item = torch.from_numpy(interests), torch.from_numpy(vectors)
        likes, rates = torch.sigmoid(made.likes(user, item)), made.rates(user, item).clamp(0, 1)
    np.testing.assert_allclose(judges.likes(interests, vectors), likes.numpy(), rtol=0, atol=LIMIT)
    np.testing.assert_allclose(judges.ratings(interests, vectors), rates.numpy(), rtol=0, atol=LIMIT)
    assert likes.std() > 0.01


EVENTS = st.tuples(
    st.integers(0, 39),
    st.integers(0, len(ACTIONS) - 1),
    st.sampled_from([0, 0, 1, 900, 60_000, 3_600_000, 40 * 86_400_000, 6 * 365 * 86_400_000]),
    st.sampled_from([float("nan"), 0.0, 0.7, 1.0, 2.0, 5.0]),
    st.sampled_from([float("nan"), 0.0, 3.0, 500.0]),
)


@settings(max_examples=15, deadline=None)
@given(st.lists(EVENTS, min_size=1, max_size=60), st.sampled_from(sorted(MODELS)))
def test_any_history(events: list[tuple[int, int, int, float, float]], kind: str) -> None:
    assert_serves(MODELS[kind], one_user(events))
