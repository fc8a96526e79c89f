"""Retrieval on items that an alignment was not fitted to, on a world whose topics are known."""

import numpy as np
import pytest

from encoders.alignment_figures import AT, PAIRS, SPLITS, Judged, aligned, held_out, retrieval, splits, spread
from encoders.alignment_fit import FitItem, fit
from encoders.base import Modality
from encoders.errors import ArtifactError
from tests.alignment_samples import builtin, fit_items, world

ITEMS = fit_items(world(160, seed=1), 120)
SHOWN: list[FitItem] = [{**item, Modality.VIDEO: item[Modality.IMAGE]} for item in ITEMS]


def test_every_pair_is_measured_over_five_splits() -> None:
    figures = held_out(Judged(ITEMS, SHOWN), builtin())
    assert set(figures) == {f"{pair} R@{k}" for pair in PAIRS for k in AT}
    for pair in PAIRS:
        assert 0.5 < figures[f"{pair} R@1"].mean <= figures[f"{pair} R@5"].mean <= 1
    assert figures["clip to text R@1"] == figures["image to text R@1"]


def test_the_splits_hold_out_what_the_fit_does_not_see() -> None:
    each = list(splits(40, 10))
    assert len(each) == SPLITS
    for out, seen in each:
        assert len(out) == 10
        assert sorted([*out, *seen]) == list(range(40))
    assert len({tuple(out) for out, _ in each}) == SPLITS
    np.testing.assert_array_equal(each[3][0], list(splits(40, 10))[3][0])


def test_pairs_that_the_items_lack_are_left_out() -> None:
    figures = held_out(Judged(ITEMS[-40:], ITEMS[-40:]), builtin())
    assert set(figures) == {f"{pair} R@{k}" for pair in ("text to image", "image to text") for k in AT}


def test_what_lies_at_zero_to_everything_finds_nothing() -> None:
    figures = retrieval(builtin(), ITEMS[:40])
    assert figures["sound to text R@5"] == 0


def test_an_item_that_lacks_what_is_looked_for_is_neither_asked_nor_found() -> None:
    alignment = fit(ITEMS, builtin())
    silent: list[FitItem] = [{Modality.IMAGE: ITEMS[150][Modality.IMAGE]}, {}, *ITEMS[:40]]
    whole, mixed = retrieval(alignment, ITEMS[:40]), retrieval(alignment, silent)
    assert mixed["image to text R@1"] == whole["image to text R@1"]
    assert mixed["sound to text R@5"] == whole["sound to text R@5"]


def test_several_media_of_an_item_are_one_vector() -> None:
    doubled: list[FitItem] = [{Modality.TEXT: [*item[Modality.TEXT]] * 2} for item in ITEMS[:5]]
    np.testing.assert_allclose(
        aligned(builtin(), [*doubled, {}], Modality.TEXT)[:5],
        aligned(builtin(), ITEMS[:5], Modality.TEXT),
        atol=1e-6,
    )


def test_too_few_items_to_split_are_refused() -> None:
    with pytest.raises(ArtifactError, match="3 items cannot be split"):
        held_out(Judged(ITEMS[:3], ITEMS[:3]), builtin())
    with pytest.raises(ArtifactError, match="a picture; an alignment is fitted on"):
        held_out(Judged(ITEMS[:9], ITEMS[:9]), builtin())


def test_the_spread_is_between_the_splits() -> None:
    assert spread([0.1, 0.2, 0.3]) == pytest.approx((0.2, 0.1))
