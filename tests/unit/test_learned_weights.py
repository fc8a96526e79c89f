"""Weights of a blend: found again where choices were made by known ones."""

import numpy as np
import pytest

from state.errors import LearningError
from state.strategies.learned import Choices, learn_weights, ndcg

NAMES = ("interest", "collaborative", "trending")


def choices(weights: tuple[float, ...], count: int = 1_500, seed: int = 1) -> Choices:
    """Choices among 20 candidates, some of them missing, drawn with the chances that the weights give."""
    random = np.random.default_rng(seed)
    features = random.random((count, len(weights), 20)).astype(np.float32)
    logits = np.einsum("s,msc->mc", np.array(weights), features)
    gone = random.random(logits.shape) < 0.2
    gone[:, 0] = False
    logits[gone] = -np.inf
    taken = (logits + random.gumbel(size=logits.shape)).argmax(axis=1)
    features[np.broadcast_to(gone[:, None], features.shape)] = np.nan
    return Choices(features, taken)


def test_the_weights_that_choices_were_made_by_are_found() -> None:
    learned = learn_weights(NAMES, choices((6.0, 3.0, 0.0)))
    assert learned.weights["interest"] == pytest.approx(2 / 3, abs=0.06)
    assert learned.weights["collaborative"] == pytest.approx(1 / 3, abs=0.06)
    assert learned.weights["trending"] < 0.05
    assert sum(learned.weights.values()) == pytest.approx(1.0, abs=0.01)
    assert learned.figures["learned"] > max(learned.figures[name] for name in ("equal", *NAMES))


def test_what_speaks_against_what_is_taken_weighs_nothing() -> None:
    assert learn_weights(NAMES, choices((6.0, -3.0, 1.0))).weights["collaborative"] == 0


def test_ranks_count_equals_against_and_misses_as_nothing() -> None:
    features = np.array([[[3.0, 2.0, 2.0, np.nan]]] * 3, np.float32)
    found = [ndcg(Choices(features[:1], np.array([place])), np.ones(1)) for place in (0, 1, 2, -1)]
    assert found == pytest.approx([1.0, 0.5, 0.5, 0.0])


def test_too_few_choices_are_refused() -> None:
    few = choices((1.0, 1.0, 1.0), 40)
    with pytest.raises(LearningError, match="50 are wanted"):
        learn_weights(NAMES, few)
