"""What sounds are made of: waveform at a model's rate, STFT, mel spectrogram, MFCC, intensity.

Every function takes samples float32 [n], mono, n at least 1, and gives rows in time: [frames, ...]. Frames
are centred, so that even one sample makes a frame.
"""

from functools import lru_cache
from typing import Any

import msgspec
import numpy as np
import torch
import torchaudio
from numpy.typing import NDArray

from encoders.base import Float32
from encoders.media.decoded import SOUND_RATE

QUIETEST = 1e-5
"""Root mean square that counts as silence, 100 dB below full scale."""
QUIETEST_DB = -100.0


class Spectrum(msgspec.Struct, frozen=True):
    """How a sound is cut into frames: samples per second, samples in a frame and from one to the next."""

    rate: int = 22_050
    frame: int = 1024
    hop: int = 512
    bands: int = 64
    """Bands of the mel spectrogram, from 0 to half the rate, on HTK's scale."""
    coefficients: int = 20
    """How many mel-frequency cepstral coefficients are kept."""


def waveform(sound: Float32, rate: int, given: int = SOUND_RATE) -> Float32:
    """Samples at `rate` a second, from samples at `given`; band-limited by a windowed sinc."""
    if rate == given:
        return sound
    resampled: Float32 = _resampler(given, rate)(_tensor(sound)).numpy()
    return resampled


def stft(samples: Float32, spectrum: Spectrum) -> NDArray[np.complex64]:
    """Short-time Fourier transform under a Hann window, complex64 [frames, frame / 2 + 1]."""
    spectra: NDArray[np.complex64] = _stft(samples, spectrum).T.numpy()
    return spectra


def mel_spectrogram(samples: Float32, spectrum: Spectrum) -> Float32:
    """Power in mel bands, float32 [frames, bands], at least 0."""
    power = _stft(samples, spectrum).abs().square()
    bands: Float32 = _mel_scale(spectrum)(power).T.numpy()
    return bands


def mfcc(samples: Float32, spectrum: Spectrum) -> Float32:
    """Mel-frequency cepstral coefficients, float32 [frames, coefficients].

    Davis and Mermelstein, 1980: the orthonormal cosine transform of the mel bands in decibels, no lower than
    100 dB below full scale.
    """
    decibels = _decibels(mel_spectrogram(samples, spectrum))
    basis = torchaudio.functional.create_dct(spectrum.coefficients, spectrum.bands, norm="ortho").numpy()
    return np.asarray(decibels @ basis, np.float32)


def deltas(rows: Float32) -> Float32:
    """How the rows [frames, d] change in time: the slope of a line through five frames."""
    slopes: Float32 = torchaudio.functional.compute_deltas(_tensor(rows.T)).T.numpy()
    return slopes


def intensity(samples: Float32, spectrum: Spectrum) -> Float32:
    """Root mean square of each frame in decibels below full scale, float32 [frames], -100 at least."""
    half = spectrum.frame // 2
    padded = np.pad(samples.astype(np.float64), (half, half))
    energies = np.concatenate([[0.0], np.cumsum(padded * padded)])
    starts = np.arange(0, len(samples) + 1, spectrum.hop)
    power = (energies[starts + spectrum.frame] - energies[starts]) / spectrum.frame
    loudness = 10.0 * np.log10(np.maximum(power, QUIETEST**2))
    return np.asarray(np.maximum(loudness, QUIETEST_DB), np.float32)


def mel_decibels(samples: Float32, spectrum: Spectrum) -> Float32:
    """The mel spectrogram in decibels, float32 [frames, bands], from -100 upwards."""
    return _decibels(mel_spectrogram(samples, spectrum))


def _decibels(power: Float32) -> Float32:
    return np.asarray(10.0 * np.log10(np.maximum(power, QUIETEST**2)), np.float32)


@torch.inference_mode()
def _stft(samples: Float32, spectrum: Spectrum) -> torch.Tensor:
    window = torch.hann_window(spectrum.frame)
    spectra = torch.stft(
        _tensor(samples), spectrum.frame, spectrum.hop, window=window, center=True,
        pad_mode="constant", return_complex=True,
    )  # fmt: skip
    # A full-scale sine has a peak of 1, whatever the frame.
    return spectra * (2.0 / window.sum())


def _tensor(values: Float32) -> torch.Tensor:
    # A copy where the array is not writable, which torch would complain of.
    return torch.tensor(values) if not values.flags.writeable else torch.from_numpy(values)


@lru_cache(maxsize=16)
def _resampler(given: int, rate: int) -> Any:
    return torchaudio.transforms.Resample(given, rate)


@lru_cache(maxsize=16)
def _mel_scale(spectrum: Spectrum) -> Any:
    return torchaudio.transforms.MelScale(
        spectrum.bands, spectrum.rate, f_min=0.0, f_max=spectrum.rate / 2, n_stft=spectrum.frame // 2 + 1
    )
