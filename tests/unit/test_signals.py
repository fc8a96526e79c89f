"""Factors of an event's weight, for any number that a record may hold."""

import numpy as np
import pytest

from state.events import ACTIONS, Action
from state.signals import factors

NONE = np.array([np.nan])


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("value", "factor"), [(-1e308, 0), (-1, 0), (0.25, 0.5), (1, 1), (2, 0.5), (3, 1), (5, 2), (1e308, 2)]
)
def test_a_rating_of_any_size_counts_between_0_and_2(value: float, factor: float) -> None:
    like = np.array([ACTIONS.index(Action.LIKE)])
    assert factors(like, np.array([value]), NONE, NONE).tolist() == [factor]
