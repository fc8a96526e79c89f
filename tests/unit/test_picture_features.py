"""Colours, outlines and patterns of pictures, against pictures whose answer is known."""

import cv2
import numpy as np
import pytest

from encoders.errors import ArtifactError
from encoders.image import visual_words
from encoders.image.drawings import drawings
from encoders.image.histogram import BINS, COLOURS, ColourHistogram
from encoders.image.hog import ANGLES, BLOCK, BLOCKS, Hog
from encoders.image.visual_words import Descriptors, VisualWords, fitted_words, nearest
from tests.encoder_samples import picture


def flat(*colour: int) -> np.ndarray:
    return np.full((40, 60, 3), colour, np.uint8)


def stripes(degrees: float) -> np.ndarray:
    """Stripes whose brightness changes into the given direction."""
    down, across = np.mgrid[:96, :96]
    turned = across * np.cos(np.radians(degrees)) + down * np.sin(np.radians(degrees))
    return np.repeat((127 + 120 * np.sin(turned / 3))[..., None], 3, axis=2).astype(np.uint8)


@pytest.mark.parametrize("colour", [(255, 0, 0), (0, 200, 0), (0, 0, 90), (255, 255, 255), (20, 20, 20)])
def test_a_flat_colour_is_one_bin(colour: tuple[int, int, int]) -> None:
    vector = ColourHistogram().encode([flat(*colour)])[0]
    assert vector.shape == (BINS,)
    assert np.count_nonzero(vector) == 1
    assert vector.max() == pytest.approx(1)
    grey = max(colour) - min(colour) < 5 or max(colour) < 26
    assert (vector.argmax() >= COLOURS) == grey


def test_histograms_know_shares_and_neither_place_nor_size() -> None:
    half = np.concatenate([flat(255, 0, 0), flat(0, 0, 255)])
    rows = ColourHistogram().encode([half, half[::-1], cv2.resize(half, (500, 300)), flat(255, 0, 0)])
    assert rows[0] @ rows[1] == pytest.approx(1, abs=1e-3)
    assert rows[0] @ rows[2] > 0.98
    assert rows[0] @ rows[3] == pytest.approx(np.sqrt(0.5), abs=0.01)


@pytest.mark.parametrize("degrees", [0, 20, 40, 60, 80, 100, 120, 140, 160])
def test_gradients_are_in_the_bin_of_their_direction(degrees: int) -> None:
    blocks = Hog().encode([stripes(degrees)]).reshape(BLOCKS, BLOCKS, BLOCK * BLOCK, ANGLES)
    strongest = blocks.mean(axis=(0, 1, 2)).argmax()
    assert strongest in (degrees // 20, (degrees // 20 + 1) % ANGLES, (degrees // 20 - 1) % ANGLES)
    assert np.abs(strongest * 20 - degrees) % 180 <= 20 or np.abs(strongest * 20 - degrees) >= 160


def test_outlines_do_not_depend_on_brightness() -> None:
    image = picture(3)
    dark = (image * 0.5).astype(np.uint8)
    one, other, else_ = Hog().encode([image, dark, picture(9)])
    assert one @ other / np.linalg.norm(one) / np.linalg.norm(other) > 0.98
    assert one @ else_ / np.linalg.norm(one) / np.linalg.norm(else_) < 0.9
    assert not Hog().encode([flat(7, 7, 7)]).any()


def test_descriptors_are_of_unit_length_and_none_where_it_is_flat() -> None:
    found = Descriptors("sift").of(picture(2))
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)
    assert Descriptors("sift").of(flat(9, 9, 9)).shape == (0, 128)
    assert not VisualWords("sift").encode([flat(9, 9, 9)]).any()


@pytest.mark.parametrize("size", [(1, 1), (1, 2), (2, 1), (1, 512), (512, 1), (3, 3), (7, 500)])
def test_thin_pictures_have_words_or_none(size: tuple[int, int]) -> None:
    noise = np.random.default_rng(1).integers(0, 255, (*size, 3), dtype=np.uint8)
    assert np.isfinite(VisualWords("sift").encode([noise])).all()


def test_like_patterns_have_like_words() -> None:
    rows = VisualWords("sift").encode([stripes(0), stripes(0)[:, 5:], stripes(60)])
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
    assert rows[0] @ rows[1] > rows[0] @ rows[2] + 0.2


def test_words_are_the_centres_of_clusters() -> None:
    random = np.random.default_rng(1)
    centres = np.eye(6, dtype=np.float32)
    sample = np.concatenate([centres + 0.05 * random.standard_normal((6, 6)) for _ in range(50)])
    words = fitted_words(sample.astype(np.float32), 12)
    assert words.shape == (12, 6)
    distances = np.linalg.norm(words[:, None] - centres, axis=2)
    assert distances.min(axis=0).max() < 0.1
    assert set(nearest(centres, words)) == set(distances.argmin(axis=0))
    assert fitted_words(centres, 50).shape == (6, 6)


def test_drawn_and_fitted_words_are_of_different_versions() -> None:
    drawn = VisualWords("sift")
    words = fitted_words(np.concatenate([Descriptors("sift").of(picture(seed)) for seed in range(4)]), 20)
    fitted = VisualWords("sift", words)
    assert (drawn.dim, fitted.dim) == (visual_words.WORDS, 20)
    assert fitted.version not in (drawn.version, VisualWords("sift", words[:-1]).version)
    with pytest.raises(ArtifactError, match="another length"):
        VisualWords("sift", words[:, :64])


def test_drawings_are_always_the_same_and_all_different() -> None:
    one, again = drawings(6), drawings(6)
    for first, second in zip(one, again, strict=True):
        np.testing.assert_array_equal(first, second)
    assert len({image.tobytes() for image in one}) == 6


@pytest.mark.skipif(hasattr(cv2, "xfeatures2d"), reason="this OpenCV may have SURF")
def test_surf_says_what_it_lacks() -> None:
    with pytest.raises(ArtifactError, match="build of OpenCV does not have"):
        VisualWords("surf")
