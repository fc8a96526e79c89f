"""No event of a test is known to training, whatever the interactions are."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from state.errors import LearningError
from state.learning.interactions import Interactions, interactions_of
from state.learning.splits import Split, leave_one_out, temporal, without_items

EVENTS = st.lists(
    st.tuples(st.integers(0, 5), st.integers(0, 7), st.integers(0, 30)), min_size=1, max_size=60
)


def interactions(events: list[tuple[int, int, int]]) -> Interactions:
    user, item, time = (np.array(column) for column in zip(*events, strict=True))
    # The value is the event's own number, so that it can be told from any other.
    columns = {"user": user, "item": item, "time_ms": time, "action": np.zeros(len(user)),
               "value": np.arange(len(user))}  # fmt: skip
    return interactions_of(columns, [str(code) for code in range(6)], [str(code) for code in range(8)])


def numbers(split: Split) -> list[set[int]]:
    parts = (
        split.train.value,
        split.validation.source.value[split.validation.positions],
        split.test.source.value[split.test.positions],
    )
    return [set(part.astype(int).tolist()) for part in parts]


@given(EVENTS)
def test_leave_one_out_takes_the_last_event_of_each_user_and_loses_none(
    events: list[tuple[int, int, int]],
) -> None:
    whole = interactions(events)
    try:
        split = leave_one_out(whole)
    except LearningError:
        assert np.bincount(whole.user).max() < 3
        return
    train, validation, test = numbers(split)
    assert len(train) + len(validation) + len(test) == len(whole)
    assert train | validation | test == set(range(len(whole)))
    for user in range(6):
        own = whole.value[whole.user == user].astype(int).tolist()
        assert test & set(own) == (set(own[-1:]) if len(own) >= 3 else set())
        assert validation & set(own) == (set(own[-2:-1]) if len(own) >= 3 else set())


@given(EVENTS, st.floats(0.05, 0.6), st.floats(0.05, 0.35))
def test_nothing_of_the_time_of_the_test_or_later_is_trained_on(
    events: list[tuple[int, int, int]], test_share: float, validation_share: float
) -> None:
    whole = interactions(events)
    try:
        split = temporal(whole, test_share, validation_share)
    except LearningError:
        return
    train, validation, test = numbers(split)
    assert len(train) + len(validation) + len(test) == len(whole)
    assert train | validation | test == set(range(len(whole)))
    first_test = whole.time_ms[split.test.positions].min()
    first_validation = whole.time_ms[split.validation.positions].min()
    assert split.cut_ms == first_test
    assert split.train.time_ms.max() < first_validation < first_test
    assert whole.time_ms[split.validation.positions].max() < first_test


@given(EVENTS)
def test_a_target_is_told_from_earlier_events_of_its_own_user_alone(
    events: list[tuple[int, int, int]],
) -> None:
    whole = interactions(events)
    try:
        split = temporal(whole, 0.3, 0.2)
    except LearningError:
        return
    histories = split.test.histories()
    for row, position in enumerate(split.test.positions.tolist()):
        past = np.arange(histories.first[row], histories.end[row])
        assert position not in past
        assert (whole.user[past] == whole.user[position]).all()
        assert (whole.time_ms[past] <= whole.time_ms[position]).all()
        assert len(past) == int((whole.user[:position] == whole.user[position]).sum())


@given(EVENTS, st.integers(0, 3))
def test_items_held_out_are_in_no_training(events: list[tuple[int, int, int]], seed: int) -> None:
    try:
        split = without_items(temporal(interactions(events), 0.3, 0.2), 0.5, seed)
    except LearningError:
        return
    cold = set(split.test.items.tolist())
    assert cold
    assert not cold & set(split.train.item.tolist())
    assert not cold & set(split.validation.items.tolist())


def test_shares_that_leave_nothing_are_refused() -> None:
    whole = interactions([(0, 0, 1), (0, 1, 2), (0, 2, 3)])
    with pytest.raises(LearningError, match="something to train on"):
        temporal(whole, 0.7, 0.3)
    same_moment = interactions([(0, 0, 1), (1, 1, 1), (2, 2, 1)])
    with pytest.raises(LearningError, match="too few moments"):
        temporal(same_moment)
    with pytest.raises(LearningError, match="no user has the 3 events"):
        leave_one_out(same_moment)
