"""Interactions as arrays, and the histories of what is to be foretold."""

import numpy as np
import pytest

from state.errors import LearningError
from state.learning.interactions import Interactions, ItemContent, interactions_of
from state.learning.protocol import Targets

IDS = (["ann", "bob", "nobody"], ["a", "b", "c", "d"])


def made(*rows: tuple[int, int, int, int]) -> Interactions:
    names = ("user", "item", "time_ms", "action")
    return interactions_of(
        {name: np.array(column) for name, column in zip(names, zip(*rows, strict=True), strict=True)}, *IDS
    )


EVENTS = ((1, 0, 50, 0), (0, 2, 20, 0), (0, 1, 10, 2), (0, 3, 20, 4), (1, 2, 40, 0))


def test_events_are_sorted_by_user_and_time_and_keep_their_order_within_a_moment() -> None:
    events = made(*EVENTS)
    assert events.user.tolist() == [0, 0, 0, 1, 1]
    assert events.item.tolist() == [1, 2, 3, 2, 0]
    assert events.starts.tolist() == [0, 3, 5, 5]
    assert events.counts.tolist() == [1, 1, 2, 1]
    assert np.isnan(events.value).all()
    assert np.isnan(events.dwell).all()
    assert (events.user.dtype, events.time_ms.dtype, events.action.dtype) == (np.int32, np.int64, np.uint8)


def test_the_fingerprint_is_of_the_content_alone() -> None:
    events = made(*EVENTS)
    assert events.fingerprint == made(*EVENTS).fingerprint
    changed = made(*EVENTS[:-1], (1, 2, 41, 0))
    assert changed.fingerprint != events.fingerprint
    renamed = interactions_of(
        {name: getattr(events, name) for name in ("user", "item", "time_ms", "action")},
        IDS[0],
        ["a", "b", "cd", ""],
    )
    assert renamed.fingerprint != events.fingerprint
    assert events.subset(np.arange(4)).fingerprint != events.fingerprint


def test_a_part_keeps_the_codes() -> None:
    part = made(*EVENTS).subset(np.array([False, True, False, False, True]))
    assert part.item.tolist() == [2, 0]
    assert (part.users, part.items) == (3, 4)
    assert part.starts.tolist() == [0, 1, 2, 2]


@pytest.mark.parametrize("row", [(3, 0, 1, 0), (0, 4, 1, 0), (-1, 0, 1, 0)])
def test_codes_beyond_the_ids_are_refused(row: tuple[int, int, int, int]) -> None:
    with pytest.raises(LearningError, match="beyond the"):
        made(*EVENTS, row)


def test_columns_of_different_lengths_are_refused() -> None:
    columns = {"user": np.zeros(2), "item": np.zeros(3), "time_ms": np.zeros(2), "action": np.zeros(2)}
    with pytest.raises(LearningError, match="differ in length"):
        interactions_of(columns, *IDS)


def test_histories_stand_at_the_end_of_their_arrays() -> None:
    events = made(*EVENTS)
    targets = Targets(events, np.array([0, 2, 4]))
    histories = targets.histories()
    assert targets.items.tolist() == [1, 3, 0]
    assert targets.users.tolist() == [0, 0, 1]
    assert histories.read_ms.tolist() == [10, 20, 50]
    past = histories.padded()
    assert past.items.tolist() == [[-1, -1], [1, 2], [-1, 2]]
    assert past.mask.tolist() == [[False, False], [True, True], [False, True]]
    assert past.time_ms.tolist() == [[0, 0], [10, 20], [0, 40]]
    assert past.actions.tolist() == [[0, 0], [2, 0], [0, 0]]
    assert histories.padded(1).items.tolist() == [[-1], [2], [2]]
    assert histories.padded(4).items.tolist() == [[-1] * 4, [-1, -1, 1, 2], [-1, -1, -1, 2]]
    assert histories.part(slice(1, 3)).padded(1).items.tolist() == [[2], [2]]


def test_histories_of_no_events_at_all_are_empty() -> None:
    events = made(*EVENTS).subset(np.zeros(5, bool))
    assert len(events) == 0
    past = Targets(made(*EVENTS), np.array([0])).histories()
    assert past.padded().items.shape == (1, 0)


def test_content_loses_what_is_masked() -> None:
    vectors = np.ones((2, 4, 128), np.float32)
    content = ItemContent(vectors, np.ones((2, 4), bool), (("x",), ()))
    gone = np.zeros((2, 4), bool)
    gone[0, 1] = True
    less = content.masked(gone)
    assert less.present.sum() == 7
    assert not less.vectors[0, 1].any()
    assert less.vectors[0, 0].all()
    assert content.vectors.all()
    with pytest.raises(LearningError, match="for 1 items"):
        ItemContent(vectors, np.ones((2, 4), bool), ((),))
