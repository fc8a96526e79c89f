"""Fitting an alignment to a catalogue, on a world whose topics are known."""

import numpy as np
import pytest

from encoders import alignment_fit
from encoders.alignment import Alignment, digest
from encoders.alignment_fit import FEWEST_ITEMS, FitItem, fit, fit_from_media
from encoders.base import Medium, Modality
from encoders.errors import ArtifactError
from encoders.native import NativeMedium
from tests.alignment_samples import builtin, fit_items, recall_at_1, world

SEEN = world(300, seed=1)
UNSEEN = world(100, seed=2)


@pytest.fixture(scope="module")
def fitted() -> Alignment:
    return fit(fit_items(SEEN, 150), builtin())


def test_unseen_texts_find_their_images(fitted: Alignment) -> None:
    texts = fitted.align(Modality.TEXT, UNSEEN.text)
    images = fitted.align(Modality.IMAGE, UNSEEN.image, UNSEEN.classes)
    assert recall_at_1(texts, images) > 0.9
    untrained = builtin()
    assert recall_at_1(texts, images) > 5 * recall_at_1(
        untrained.align(Modality.TEXT, UNSEEN.text),
        untrained.align(Modality.IMAGE, UNSEEN.image, UNSEEN.classes),
    )


def test_unseen_sounds_find_their_texts_and_images(fitted: Alignment) -> None:
    sounds = fitted.align(Modality.AUDIO, UNSEEN.audio)
    assert recall_at_1(sounds, fitted.align(Modality.TEXT, UNSEEN.text)) > 0.8
    assert recall_at_1(sounds, fitted.align(Modality.IMAGE, UNSEEN.image, UNSEEN.classes)) > 0.8


def test_videos_lie_where_images_do(fitted: Alignment) -> None:
    np.testing.assert_array_equal(
        fitted.align(Modality.VIDEO, UNSEEN.image, UNSEEN.classes),
        fitted.align(Modality.IMAGE, UNSEEN.image, UNSEEN.classes),
    )


def test_dimensions_are_ordered(fitted: Alignment) -> None:
    spread = fitted.align(Modality.TEXT, SEEN.text).std(axis=0)
    assert spread[:32].mean() > spread[32:64].mean() > spread[64:].mean()


def test_is_the_same_every_time(fitted: Alignment) -> None:
    again = fit(fit_items(SEEN, 150), builtin())
    assert again.version == fitted.version == f"fitted-{digest(fitted.maps, fitted.class_vectors)}"


def test_few_sounds_keep_the_builtin_map_on_its_own_columns() -> None:
    alignment = fit(fit_items(SEEN, 3), builtin())
    sounds = alignment.align(Modality.AUDIO, UNSEEN.audio)
    np.testing.assert_array_equal(sounds, builtin().align(Modality.AUDIO, UNSEEN.audio))
    assert not (sounds @ alignment.align(Modality.TEXT, UNSEEN.text).T).any()
    texts = alignment.align(Modality.TEXT, UNSEEN.text)
    assert recall_at_1(texts, alignment.align(Modality.IMAGE, UNSEEN.image, UNSEEN.classes)) > 0.9


def test_items_that_lack_modalities_take_part() -> None:
    items: list[FitItem] = []
    for row, item in enumerate(fit_items(SEEN, 150)):
        dropped = (Modality.TEXT, Modality.IMAGE, Modality.AUDIO)[row % 3]
        items.append({} if row % 30 == 0 else {key: value for key, value in item.items() if key != dropped})
    alignment = fit(items, builtin())
    texts = alignment.align(Modality.TEXT, UNSEEN.text)
    assert recall_at_1(texts, alignment.align(Modality.IMAGE, UNSEEN.image, UNSEEN.classes)) > 0.8


def test_videos_can_take_the_place_of_images() -> None:
    items: list[FitItem] = [
        {Modality.TEXT: item[Modality.TEXT], Modality.VIDEO: item[Modality.IMAGE]}
        for item in fit_items(SEEN, 0)
    ]
    alignment = fit(items, builtin())
    texts = alignment.align(Modality.TEXT, UNSEEN.text)
    assert recall_at_1(texts, alignment.align(Modality.IMAGE, UNSEEN.image, UNSEEN.classes)) > 0.9


def test_several_media_of_one_modality_count_as_their_mean() -> None:
    items = fit_items(SEEN, 0)
    doubled: list[FitItem] = [{**item, Modality.TEXT: [*item[Modality.TEXT]] * 2} for item in items]
    once, twice = fit(items, builtin()), fit(doubled, builtin())
    np.testing.assert_allclose(
        once.align(Modality.TEXT, UNSEEN.text), twice.align(Modality.TEXT, UNSEEN.text), atol=1e-3
    )


def test_too_few_items_are_refused_with_the_mend() -> None:
    few = fit_items(SEEN, 0)[: FEWEST_ITEMS - 1]
    with pytest.raises(ArtifactError, match=r"7 items have both.*leave encoders\.alignment empty"):
        fit(few, builtin())
    with pytest.raises(ArtifactError, match="0 items have both"):
        fit([], builtin())
    fit(fit_items(SEEN, 0)[:FEWEST_ITEMS], builtin())


def test_a_large_catalogue_is_sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alignment_fit, "MOST_ITEMS", 100)
    sampled = fit(fit_items(SEEN, 0), builtin())
    chosen = np.sort(np.random.default_rng(0).permutation(300)[:100])
    by_hand = fit([fit_items(SEEN, 0)[row] for row in chosen], builtin())
    assert sampled.version == by_hand.version


class FakeBank:
    """Media whose content is the row number of an item, with a letter for the modality."""

    def __init__(self) -> None:
        self.items = fit_items(SEEN, 150)
        self.calls: list[int] = []

    def natives(self, media: list[Medium]) -> list[NativeMedium | None]:
        self.calls.append(len(media))
        return [self._one(medium) for medium in media]

    def builtin_alignment(self) -> Alignment:
        return builtin()

    def _one(self, medium: Medium) -> NativeMedium | None:
        if medium.content == b"broken" or medium.modality is None:
            return None
        return NativeMedium({medium.modality: self.items[int(medium.content)][medium.modality][0]})


def test_fits_from_media_a_few_items_at_a_time(fitted: Alignment) -> None:
    bank = FakeBank()
    catalogue = [
        [Medium(str(row).encode(), modality) for modality, vectors in item.items() if vectors]
        + [Medium(b"broken", Modality.IMAGE)]
        for row, item in enumerate(bank.items)
    ]
    assert fit_from_media(bank, iter(catalogue)).version == fitted.version
    assert len(bank.calls) == -(-300 // alignment_fit.ITEMS_AT_ONCE)
