"""Item vectors from modalities, and weights from signals."""

import numpy as np
import pytest

from state.events import ACTIONS, Action
from state.signals import dwell_buckets, factors
from tests.fusion_reference import unit
from tests.fusion_samples import FUSIONS, media

NAN = float("nan")


@pytest.mark.parametrize(
    "vectors",
    [
        {},
        {0: b""},
        {0: bytes(254)},
        {0: bytes(256)},
        {7: media(1)[min(media(1))]},
        {-1: media(1)[min(media(1))]},
        {0: np.full(128, np.inf, "<f2").tobytes()},
        {0: np.full(128, np.nan, "<f2").tobytes()},
    ],
)
def test_unusable_vectors_are_as_absent(vectors: dict[int, bytes]) -> None:
    fusion = FUSIONS["prior"]
    good = {2: media(1)[min(media(1))]}
    out = fusion.item_vectors([vectors, {**vectors, **good}, good])
    assert not out[0].any()
    np.testing.assert_array_equal(out[1], out[2])


def test_the_prior_keeps_the_cosines_of_the_leading_dimensions() -> None:
    rng = np.random.default_rng(2)
    raw = rng.normal(size=(20, 128)).astype("<f2")
    out = FUSIONS["prior"].item_vectors([{0: row.tobytes()} for row in raw])
    leading = np.stack([unit(row) for row in raw[:, :63].astype(np.float64)])
    np.testing.assert_allclose(out @ out.T, leading @ leading.T, atol=1e-5)
    np.testing.assert_allclose(out.sum(axis=1), 0, atol=1e-5)


@pytest.mark.parametrize(
    ("action", "signals", "factor"),
    [
        (Action.LIKE, (NAN, NAN, NAN), 1.0),
        (Action.COMMENT, (5.0, NAN, NAN), 2.0),
        (Action.COMMENT, (3.0, NAN, NAN), 1.0),
        (Action.COMMENT, (1.0, NAN, NAN), 1.0),
        (Action.COMMENT, (0.9, NAN, NAN), 1.8),
        (Action.COMMENT, (0.0, NAN, NAN), 0.0),
        (Action.COMMENT, (-2.0, NAN, NAN), 0.0),
        (Action.PURCHASE, (129.9, NAN, NAN), 2.0),
        (Action.DISLIKE, (0.0, NAN, 0.0), 1.0),
        (Action.VIEW, (NAN, 10.0, NAN), 1.0),
        (Action.VIEW, (NAN, 0.0, NAN), 0.0),
        (Action.VIEW, (NAN, 1e12, NAN), 2.0),
        (Action.VIEW, (NAN, 1e12, 0.25), 0.5),
        (Action.CLICK, (NAN, NAN, 1.0), 2.0),
        (Action.LIKE, (NAN, 0.1, 0.1), 1.0),
        (Action.SKIP, (NAN, NAN, 0.75), 0.25),
        (Action.SKIP, (NAN, NAN, NAN), 1.0),
    ],
)
def test_factors(action: Action, signals: tuple[float, float, float], factor: float) -> None:
    out = factors(np.array([ACTIONS.index(action)]), *(np.array([signal]) for signal in signals))
    assert out[0] == pytest.approx(factor, abs=1e-6)


def test_actions_are_ordered_by_what_they_say() -> None:
    weight = dict(zip(ACTIONS, FUSIONS["prior"].artifact.weights.action_weight.tolist(), strict=True))
    rising = [Action.VIEW, Action.CLICK, Action.LIKE, Action.SAVE, Action.PURCHASE]
    assert sorted(rising, key=lambda action: weight[action]) == rising
    assert weight[Action.LIKE] == weight[Action.COMMENT]
    assert weight[Action.SAVE] == weight[Action.SHARE]
    assert weight[Action.SKIP] < weight[Action.UNLIKE] < weight[Action.DISLIKE]


def test_dwell_buckets() -> None:
    dwell = np.array([NAN, 0.0, 0.9, 1.0, 1.9, 2.0, 127.0, 128.0, 1e15])
    assert dwell_buckets(dwell).tolist() == [0, 1, 1, 2, 2, 3, 8, 9, 9]
