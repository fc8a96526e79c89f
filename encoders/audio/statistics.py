"""Sounds as statistics over their frames: of the MFCC, of the spectrogram, of the intensity."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from encoders.audio.reference import Measure, Scale, reference_scale
from encoders.base import Float32, Modality
from encoders.media.spectra import Spectrum, deltas, intensity, mel_decibels, mfcc, stft, waveform

SPECTRUM = Spectrum()
PERCENTILES = (5, 25, 50, 75, 95)
ROLL_OFF = 0.85
"""The share of a spectrum's energy that lies below its roll-off frequency."""
AUDIBLE_DB = 20.0
"""A frame at most so far below the loudest counts as sounding."""
TINY = 1e-9


class SoundStatistics:
    """Sounds float32 [n], mono, at SOUND_RATE, to float32 [n, dim], on the scale of made sounds."""

    modality = Modality.AUDIO

    def __init__(self, name: str, measure: Measure, power: float) -> None:
        self.name = name
        self.version = f"{name}-1"
        self._measure = measure
        self._scale = _scale(measure, power)
        self.dim = len(self._scale.centre)

    def encode(self, batch: Sequence[Float32]) -> Float32:
        """Float32 [n, dim]. Sounds are resampled to 22,050 samples a second."""
        if not batch:
            return np.empty((0, self.dim), np.float32)
        measured = [self._measure(waveform(sound, SPECTRUM.rate)) for sound in batch]
        return self._scale.apply(np.stack(measured))


def mfcc_statistics() -> SoundStatistics:
    """Means and deviations of 20 coefficients and of their slopes, 80 numbers.

    Divided by the root of their spread alone: the lower coefficients say more.
    """
    return SoundStatistics("mfcc", measure_mfcc, 0.5)


def spectrogram_statistics() -> SoundStatistics:
    """Means and deviations of 64 mel bands in decibels and of five shapes of the spectrum, 138 numbers."""
    return SoundStatistics("spectrogram", measure_spectrogram, 1.0)


def intensity_statistics() -> SoundStatistics:
    """How loud a sound is, how much that changes, when, and how long it lasts, 15 numbers."""
    return SoundStatistics("intensity", measure_intensity, 1.0)


def measure_mfcc(samples: Float32) -> Float32:
    """Float32 [80], from samples at the rate of SPECTRUM."""
    rows = mfcc(samples, SPECTRUM)
    return np.concatenate([_mean_and_deviation(rows), _mean_and_deviation(deltas(rows))])


def measure_spectrogram(samples: Float32) -> Float32:
    """Float32 [138], from samples at the rate of SPECTRUM."""
    bands = mel_decibels(samples, SPECTRUM)
    return np.concatenate([_mean_and_deviation(bands), _mean_and_deviation(_shapes(samples))])


def measure_intensity(samples: Float32) -> Float32:
    """Float32 [15], from samples at the rate of SPECTRUM."""
    levels = intensity(samples, SPECTRUM).astype(np.float64)
    steps = np.abs(np.diff(levels, append=levels[-1]))
    linear = 10 ** (levels / 20)
    centre = (np.arange(len(levels)) * linear).sum() / (linear.sum() * max(1, len(levels) - 1))
    crossings = np.abs(np.diff(np.sign(samples), append=np.sign(samples[-1]))).mean() / 2
    sounding = (levels > levels.max() - AUDIBLE_DB).mean()
    seconds = np.log(len(samples) / SPECTRUM.rate)
    return np.array(
        [
            *np.percentile(levels, PERCENTILES), levels.mean(), levels.std(), levels.max(), steps.mean(),
            steps.max(), linear.std() / linear.mean(), centre, seconds, sounding, crossings,
        ],
        np.float32,
    )  # fmt: skip


def _mean_and_deviation(rows: Float32) -> Float32:
    return np.concatenate([rows.mean(axis=0), rows.std(axis=0)])


def _shapes(samples: Float32) -> Float32:
    """Centroid, bandwidth, roll-off (Hz), flatness and flux of each frame's spectrum, float32 [frames, 5].

    As in Peeters, "A large set of audio features for sound description", 2004.
    """
    sizes = np.abs(stft(samples, SPECTRUM)).astype(np.float64)
    power = sizes * sizes
    hertz = np.linspace(0, SPECTRUM.rate / 2, sizes.shape[1])
    total = sizes.sum(axis=1) + TINY
    centroid = (sizes @ hertz) / total
    bandwidth = np.sqrt((sizes * (hertz - centroid[:, None]) ** 2).sum(axis=1) / total)
    risen = np.cumsum(power, axis=1)
    roll_off = hertz[np.argmax(risen >= ROLL_OFF * risen[:, -1:], axis=1)]
    flatness = np.exp(np.log(power + TINY).mean(axis=1)) / (power + TINY).mean(axis=1)
    flux = np.abs(np.diff(sizes / total[:, None], axis=0, prepend=(sizes / total[:, None])[:1])).sum(axis=1)
    return np.stack([centroid, bandwidth, roll_off, flatness, flux], axis=1).astype(np.float32)


@lru_cache(maxsize=8)
def _scale(measure: Measure, power: float) -> Scale:
    return reference_scale(measure, SPECTRUM.rate, power)
