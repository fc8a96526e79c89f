"""The input of the sound encoder, against its documented preprocessing written out in numpy."""

import numpy as np
import pytest
import torch

from encoders.audio.aisfx import HOP, LARGEST, MELS, WINDOW, WINDOW_HOP, AiSfx
from encoders.base import Float32
from encoders.media.decoded import SOUND_RATE
from tests.encoder_samples import sound


@pytest.fixture(scope="module")
def encoder() -> AiSfx:
    torch.set_num_threads(1)
    return AiSfx(torch.device("cpu"))


def reference_frames(samples: Float32) -> Float32:
    """Log-mel frames [n, MELS]: periodic Hann windows of 2048 about every 1024th sample, HTK mel bands whose
    weights sum to 1, log10(10000 power + 1), divided by the largest value of the training spectrograms."""
    scaled = samples.astype(np.float64) / np.abs(samples).max()
    padded = np.pad(scaled, 1024)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(2048) / 2048)
    frames = [padded[start : start + 2048] * window for start in range(0, len(samples) + 1, HOP)]
    power = np.abs(np.fft.rfft(frames, axis=1)) ** 2
    top = 2595 * np.log10(1 + SOUND_RATE / 2 / 700)
    edges = 700 * (10 ** (np.linspace(0, top, MELS + 2) / 2595) - 1)
    bins = np.arange(1025) * SOUND_RATE / 2048
    rising = (bins[:, None] - edges[:-2]) / np.diff(edges)[:-1]
    falling = (edges[2:] - bins[:, None]) / np.diff(edges)[1:]
    bands = np.maximum(0, np.minimum(rising, falling))
    mel = power @ (bands / np.maximum(bands.sum(axis=0), 1e-8))
    return (np.log10(mel * 10_000 + 1) / LARGEST).astype(np.float32)


def test_frames_are_those_of_the_documented_preprocessing(encoder: AiSfx) -> None:
    samples = sound(3, 4.0)
    frames = reference_frames(samples)
    windows = encoder.windows(samples).numpy()
    for number, window in enumerate(windows):
        part = frames[number * WINDOW_HOP : number * WINDOW_HOP + WINDOW]
        np.testing.assert_allclose(window[: len(part)], part, atol=2e-4)
        assert not window[len(part) :].any()


@pytest.mark.parametrize(
    ("frames", "windows"), [(1, 1), (99, 1), (100, 1), (101, 2), (150, 2), (151, 3), (200, 3), (1000, 19)]
)
def test_windows_overlap_by_half_and_cover_everything(frames: int, windows: int, encoder: AiSfx) -> None:
    samples = np.full((frames - 1) * HOP, 0.5, np.float32) if frames > 1 else np.ones(1, np.float32)
    found = encoder.windows(samples)
    assert found.shape == (windows, WINDOW, MELS)
    assert (windows - 1) * WINDOW_HOP + WINDOW >= frames


def test_loudness_changes_nothing(encoder: AiSfx) -> None:
    samples = sound(2)
    loud, quiet = encoder.encode([samples, samples * 0.01])
    np.testing.assert_allclose(loud, quiet, atol=1e-3)


def test_a_sound_is_the_mean_over_its_windows(encoder: AiSfx) -> None:
    samples = sound(1, 4.0)
    with torch.inference_mode():
        by_hand = encoder._net(encoder.windows(samples)).mean(dim=0).numpy()
    np.testing.assert_allclose(encoder.encode([samples])[0], by_hand, atol=1e-4)


def test_class_weights_have_a_row_per_hidden_unit(encoder: AiSfx) -> None:
    assert encoder.class_weights().shape == (9 * 256, encoder.dim)
