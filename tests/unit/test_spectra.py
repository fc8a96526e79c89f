"""What sounds are made of, against sounds whose answer is known."""

import numpy as np
import pytest

from encoders.media.decoded import SOUND_RATE
from encoders.media.spectra import (
    Spectrum,
    deltas,
    intensity,
    mel_decibels,
    mel_spectrogram,
    mfcc,
    stft,
    waveform,
)

SPECTRUM = Spectrum()
RATE = SPECTRUM.rate


def sine(hertz: float, level: float = 1.0, seconds: float = 1.0, rate: int = RATE) -> np.ndarray:
    return (level * np.sin(2 * np.pi * hertz * np.arange(int(seconds * rate)) / rate)).astype(np.float32)


@pytest.mark.parametrize("rate", [8_000, 16_000, 22_050, 48_000])
def test_waveforms_keep_their_pitch_at_a_models_rate(rate: int) -> None:
    samples = waveform(sine(440, rate=SOUND_RATE), rate)
    assert samples.dtype == np.float32
    assert abs(len(samples) - rate) <= 1
    assert abs(np.abs(np.fft.rfft(samples)).argmax() - 440) <= 1


def test_what_a_rate_cannot_carry_is_gone_and_not_folded() -> None:
    assert np.abs(waveform(sine(15_000, rate=SOUND_RATE), 16_000)[200:-200]).max() < 0.02


def test_the_rate_of_decoding_needs_nothing() -> None:
    samples = sine(100)
    assert waveform(samples, SOUND_RATE) is samples


@pytest.mark.parametrize("hertz", [220.0, 1000.0, 5000.0])
def test_stft_has_a_full_scale_sine_at_its_frequency_with_a_peak_of_one(hertz: float) -> None:
    size = np.abs(stft(sine(hertz), SPECTRUM))
    middle = size[len(size) // 2]
    assert size.shape == (1 + RATE // SPECTRUM.hop, SPECTRUM.frame // 2 + 1)
    assert abs(middle.argmax() * RATE / SPECTRUM.frame - hertz) <= RATE / SPECTRUM.frame
    assert 0.8 < middle.max() <= 1.01


def test_mel_bands_rise_with_the_frequency() -> None:
    loudest = [mel_spectrogram(sine(hertz), SPECTRUM).mean(axis=0).argmax() for hertz in (200, 1000, 6000)]
    assert loudest == sorted(set(loudest))
    assert mel_spectrogram(sine(200), SPECTRUM).min() >= 0
    assert mel_decibels(np.zeros(RATE, np.float32), SPECTRUM).max() == pytest.approx(-100)


def test_mfcc_tell_timbre_and_not_level_but_for_the_first() -> None:
    noise = np.random.default_rng(1).standard_normal(RATE).astype(np.float32) * 0.1
    loud, quiet, tone = (mfcc(each, SPECTRUM).mean(axis=0) for each in (noise, noise / 10, sine(440)))
    np.testing.assert_allclose(loud[1:], quiet[1:], atol=0.5)
    assert loud[0] - quiet[0] == pytest.approx(20 * np.sqrt(SPECTRUM.bands), rel=0.02)
    assert np.linalg.norm(tone[1:] - loud[1:]) > 50


def test_deltas_are_slopes() -> None:
    rows = np.stack([np.arange(20), -2 * np.arange(20), np.full(20, 7)], axis=1).astype(np.float32)
    np.testing.assert_allclose(deltas(rows)[5:-5], np.tile([1, -2, 0], (10, 1)), atol=1e-5)


@pytest.mark.parametrize(("level", "decibels"), [(1.0, -3.01), (0.1, -23.01), (0.0, -100.0)])
def test_intensity_is_in_decibels_below_full_scale(level: float, decibels: float) -> None:
    found = intensity(sine(1000, level), SPECTRUM)
    assert found[len(found) // 2] == pytest.approx(decibels, abs=0.05)


def test_intensity_follows_the_sound_in_time() -> None:
    halves = np.concatenate([sine(500, 0.01), sine(500, 0.9)])
    found = intensity(halves, SPECTRUM)
    assert found[: len(found) // 2 - 3].max() < -40
    assert found[len(found) // 2 + 3 : -3].min() > -5


@pytest.mark.parametrize("samples", [np.ones(1), np.zeros(1), np.zeros(5000), np.full(300, 1e-30)])
def test_odd_sounds_have_frames_of_the_same_number(samples: np.ndarray) -> None:
    sound = samples.astype(np.float32)
    sound.setflags(write=False)
    frames = {len(made(sound, SPECTRUM)) for made in (stft, mel_spectrogram, mfcc, intensity)}
    assert frames == {1 + len(sound) // SPECTRUM.hop}
    assert np.isfinite(deltas(mfcc(sound, SPECTRUM))).all()
