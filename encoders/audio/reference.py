"""Made sounds that statistics are measured against: tones, coloured noises, sweeps and strokes.

Each statistic has its own scale, and a mean and a spread must come from somewhere. Those of a few dozen made
sounds served as well as a catalogue's own (docs/decisions/0011-classics.md), and need none.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from encoders.base import Float32

SOUNDS = 48
LEAST_SPREAD = 1e-3
"""Of the largest spread: a statistic that hardly varies is not blown up."""

Float64 = NDArray[np.float64]
Measure = Callable[[Float32], Float32]
Random = np.random.Generator


class Scale(NamedTuple):
    """Centre and divisor of each statistic, float32 [d]."""

    centre: Float32
    divisor: Float32

    def apply(self, values: Float32) -> Float32:
        scaled: Float32 = ((values - self.centre) / self.divisor).astype(np.float32)
        return scaled


def reference_scale(measure: Measure, rate: int, power: float) -> Scale:
    """The scale of a measure by the made sounds: their mean, and their deviation to a power.

    A power of 1 makes all statistics equally loud, 0 leaves them as they are.
    """
    rows = np.stack([measure(sound) for sound in made_sounds(rate)]).astype(np.float64)
    spread = rows.std(axis=0)
    divisor = (spread + LEAST_SPREAD * spread.max()) ** power
    return Scale(rows.mean(axis=0).astype(np.float32), divisor.astype(np.float32))


def made_sounds(rate: int) -> list[Float32]:
    """Sounds of 0.3 to 3 seconds, float32 [n] within -1 to 1, always the same."""
    random = np.random.default_rng(3)
    makers = (_tone, _noise, _sweep, _strokes)
    return [_finished(makers[number % len(makers)], random, rate) for number in range(SOUNDS)]


def _finished(make: Callable[[Random, Float64], Float64], random: Random, rate: int) -> Float32:
    times = np.arange(int(rate * random.uniform(0.3, 3.0))) / rate
    shape = np.exp(-times * random.uniform(0, 4)) * np.minimum(1.0, times * random.uniform(5, 200))
    sound = make(random, times) * shape
    level, floor = 10 ** (-random.uniform(0, 30) / 20), 10 ** (-random.uniform(60, 100) / 20)
    hiss = floor * random.standard_normal(len(times))
    finished: Float32 = np.clip(sound / np.abs(sound).max() * level + hiss, -1, 1).astype(np.float32)
    return finished


def _pitch(random: Random) -> float:
    return float(55 * 2 ** random.uniform(0, 5.5))


def _tone(random: Random, times: Float64) -> Float64:
    pitch, fall = _pitch(random), random.uniform(0.5, 2.0)
    overtones = np.arange(1, random.integers(3, 12))[:, None]
    tones: Float64 = (np.sin(2 * np.pi * pitch * overtones * times) * overtones**-fall).sum(axis=0)
    return tones


def _noise(random: Random, times: Float64) -> Float64:
    spectrum = np.fft.rfft(random.standard_normal(len(times)))
    spectrum *= np.arange(1, len(spectrum) + 1) ** -random.uniform(0, 1.2)
    return np.fft.irfft(spectrum, len(times))


def _sweep(random: Random, times: Float64) -> Float64:
    pitch, slope = _pitch(random), random.uniform(-300, 1500)
    swept: Float64 = np.sin(2 * np.pi * (pitch * times + slope * times * times / 2))
    return swept


def _strokes(random: Random, times: Float64) -> Float64:
    """Decaying bursts, each of noise or of a tone."""
    sound = np.zeros(len(times))
    pitch = _pitch(random)
    for start in random.integers(0, len(times) - 1, random.integers(1, 12)):
        since = times[: len(times) - start]
        noisy = random.random() < 0.5
        carrier = random.standard_normal(len(since)) if noisy else np.sin(2 * np.pi * pitch * since)
        sound[start:] += np.exp(-since * random.uniform(5, 60)) * carrier
    return sound
