"""Samples of every modality, ordinary and odd, made on the spot."""

from typing import Any

import numpy as np

from encoders.base import Float32, Modality
from encoders.media.decoded import SOUND_RATE


def picture(seed: int, height: int = 96, width: int = 128) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Coloured rectangles on a ramp."""
    random = np.random.default_rng(seed)
    ramp = np.linspace(0, 255, width)[None, :, None] * random.random(3)
    pixels = np.broadcast_to(ramp, (height, width, 3)).astype(np.uint8).copy()
    for _ in range(5):
        top, left = random.integers(0, height - 16), random.integers(0, width - 16)
        pixels[top : top + 24, left : left + 24] = random.integers(0, 256, 3)
    return pixels


def sound(seed: int, seconds: float = 1.5) -> Float32:
    """A tone with overtones, in noise."""
    random = np.random.default_rng(seed)
    times = np.arange(int(seconds * SOUND_RATE)) / SOUND_RATE
    tone = sum(np.sin(2 * np.pi * 110 * 2 ** (seed % 5) * part * times) / part for part in range(1, 6))
    return (0.2 * tone + 0.02 * random.standard_normal(len(times))).astype(np.float32)


ORDINARY: dict[Modality, list[Any]] = {
    Modality.TEXT: [
        "A red bicycle.",
        "一只猫在睡觉",
        "Der Zug fährt nach Norden, sehr langsam.",
        "Fresh bread and cheese",
    ],
    Modality.IMAGE: [picture(1), picture(2, 200, 60), picture(3, 300, 420), picture(4, 224, 224)],
    Modality.AUDIO: [sound(1), sound(2, 0.3), sound(3, 4.1), sound(4, 2.4)],
    Modality.VIDEO: [np.stack([picture(seed), picture(seed + 50)][: 1 + seed % 2]) for seed in (1, 2, 3, 4)],
}

ODD: dict[Modality, list[Any]] = {
    Modality.TEXT: [
        "",
        " ",
        "🦄🔥👩‍👩‍👧",
        "\u0301\u0301",
        "a" * 3000,
        "word " * 4000,
        "<s></s>[PAD]",
        "\t\n",
    ],
    Modality.IMAGE: [
        np.zeros((1, 1, 3), np.uint8),
        np.full((64, 64, 3), 255, np.uint8),
        np.full((7, 500, 3), 9, np.uint8),
        picture(5, 512, 20),
    ],
    Modality.AUDIO: [
        np.zeros(SOUND_RATE, np.float32),
        np.ones(1, np.float32),
        np.zeros(1, np.float32),
        np.full(5000, 1.0, np.float32),
        np.full(SOUND_RATE, 1e-30, np.float32),
    ],
    Modality.VIDEO: [np.zeros((1, 1, 1, 3), np.uint8), np.stack([picture(7, 240, 320)] * 8)],
}
