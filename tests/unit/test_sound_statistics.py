"""Statistics of sounds follow what is heard, on a scale that needs no catalogue."""

import numpy as np
import pytest

from encoders.audio.reference import made_sounds, reference_scale
from encoders.audio.statistics import (
    SPECTRUM,
    intensity_statistics,
    measure_intensity,
    measure_mfcc,
    measure_spectrogram,
    mfcc_statistics,
    spectrogram_statistics,
)
from encoders.media.decoded import SOUND_RATE

MAKERS = (mfcc_statistics, spectrogram_statistics, intensity_statistics)


def sine(hertz: float, level: float = 0.5, seconds: float = 1.0, rate: int = SOUND_RATE) -> np.ndarray:
    return (level * np.sin(2 * np.pi * hertz * np.arange(int(seconds * rate)) / rate)).astype(np.float32)


def noise(seed: int, seconds: float = 1.0) -> np.ndarray:
    random = np.random.default_rng(seed)
    return (0.2 * random.standard_normal(int(seconds * SOUND_RATE))).astype(np.float32)


@pytest.mark.parametrize("make", MAKERS)
def test_sounds_of_a_kind_lie_together(make) -> None:
    encoder = make()
    rows = encoder.encode([noise(1), noise(2), sine(220), sine(233), sine(3000)])
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    cosines = rows @ rows.T
    assert min(cosines[0, 1], cosines[2, 3]) > 0.95
    assert cosines[0, 2] < 0.9


@pytest.mark.parametrize("make", MAKERS)
def test_made_sounds_are_centred(make) -> None:
    encoder = make()
    measured = {"mfcc": measure_mfcc, "spectrogram": measure_spectrogram, "intensity": measure_intensity}
    rows = encoder._scale.apply(np.stack([measured[encoder.name](s) for s in made_sounds(SPECTRUM.rate)]))
    np.testing.assert_allclose(rows.mean(axis=0), 0, atol=1e-2)
    if encoder.name != "mfcc":
        assert 0.3 < np.median(rows.std(axis=0)) <= 1.01


def test_intensity_tells_loudness_length_and_place() -> None:
    loud, soft, long = (
        measure_intensity(sine(500, level, seconds, SPECTRUM.rate))
        for level, seconds in ((0.5, 1.0), (0.05, 1.0), (0.5, 4.0))
    )
    assert loud[2] - soft[2] == pytest.approx(20, abs=0.1)
    assert long[12] - loud[12] == pytest.approx(np.log(4), abs=1e-3)
    late = np.concatenate([np.zeros(SPECTRUM.rate, np.float32), sine(500, rate=SPECTRUM.rate)])
    assert measure_intensity(late)[11] > 0.7
    assert measure_intensity(late[::-1].copy())[11] < 0.3


def test_the_centroid_is_where_the_tone_is() -> None:
    for hertz in (300.0, 4000.0):
        found = measure_spectrogram(sine(hertz, rate=SPECTRUM.rate))[128]
        assert found == pytest.approx(hertz, rel=0.15)


def test_a_scale_of_power_0_only_centres() -> None:
    scale = reference_scale(measure_intensity, SPECTRUM.rate, 0.0)
    np.testing.assert_allclose(scale.divisor, 1)


def test_made_sounds_are_always_the_same_and_within_bounds() -> None:
    one, again = made_sounds(8000), made_sounds(8000)
    for first, second in zip(one, again, strict=True):
        np.testing.assert_array_equal(first, second)
        assert np.abs(first).max() <= 1
        assert 0.3 * 8000 <= len(first) <= 3 * 8000
