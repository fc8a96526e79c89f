"""Vectors of a catalogue as if its alignment had not seen it."""

import numpy as np
import pytest

from encoders.alignment_fit import FitItem, fit
from encoders.alignment_unseen import item_vectors, unseen_vectors
from encoders.base import Modality
from encoders.errors import ArtifactError
from tests.alignment_samples import builtin, fit_items, world

ITEMS: list[FitItem] = [*fit_items(world(90, seed=1), 60), {}]
LATER = fit_items(world(90, seed=2), 60)


def agreement(vectors: np.ndarray) -> float:
    """Mean cosine of text and image."""
    return float((vectors[:90, 0] * vectors[:90, 1]).sum(axis=1).mean())


def test_they_agree_as_little_as_those_of_later_items() -> None:
    alignment = fit(ITEMS, builtin())
    served = item_vectors(alignment, ITEMS)
    unseen = unseen_vectors(alignment, ITEMS, builtin())
    later = item_vectors(alignment, LATER)
    assert agreement(served.vectors) > agreement(later.vectors) + 0.05
    assert agreement(unseen.vectors) == pytest.approx(agreement(later.vectors), abs=0.05)


def test_they_lie_in_the_same_space() -> None:
    alignment = fit(ITEMS, builtin())
    served = item_vectors(alignment, ITEMS)
    unseen = unseen_vectors(alignment, ITEMS, builtin())
    np.testing.assert_array_equal(unseen.present, served.present)
    np.testing.assert_allclose(
        np.linalg.norm(unseen.vectors, axis=2), served.present.astype(float), atol=1e-5
    )
    for code in range(3):
        there = served.present[:, code]
        cosines = unseen.vectors[there, code] @ served.vectors[there, code].T
        assert (cosines.argmax(axis=1) == np.arange(there.sum())).mean() > 0.9


def test_an_alignment_that_was_not_fitted_has_seen_nothing() -> None:
    unseen = unseen_vectors(builtin(), ITEMS, builtin())
    np.testing.assert_array_equal(unseen.vectors, item_vectors(builtin(), ITEMS).vectors)


def test_the_order_is_that_of_the_wire() -> None:
    made = item_vectors(builtin(), [{Modality.AUDIO: ITEMS[0][Modality.AUDIO]}])
    assert made.present.tolist() == [[False, False, True, False]]


def test_too_few_items_are_refused() -> None:
    alignment = fit(ITEMS, builtin())
    with pytest.raises(ArtifactError, match="an alignment is fitted on"):
        unseen_vectors(alignment, ITEMS[:9], builtin())
