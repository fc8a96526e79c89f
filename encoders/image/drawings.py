"""Made pictures of lines, figures, letters and clouds: where visual words come from without a catalogue."""

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Random = np.random.Generator
SIDE = 256


def drawings(count: int) -> list[Image]:
    """Pictures uint8 [256, 256, 3], always the same."""
    random = np.random.default_rng(5)
    return [_drawing(random) for _ in range(count)]


def _drawing(random: Random) -> Image:
    image = np.full((SIDE, SIDE, 3), random.integers(0, 256), np.uint8)
    for _ in range(random.integers(4, 25)):
        FIGURES[random.integers(0, len(FIGURES))](image, random)
    grain = int(random.integers(8, SIDE // 2))
    cloud = random.normal(0, 25 * random.random(), (grain, grain)).astype(np.float32)
    clouds = cv2.resize(cloud, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)[..., None]
    return np.asarray(np.clip(image + clouds, 0, 255), np.uint8)


def _point(random: Random) -> tuple[int, int]:
    return int(random.integers(0, SIDE)), int(random.integers(0, SIDE))


def _colour(random: Random) -> tuple[int, int, int]:
    red, green, blue = (int(value) for value in random.integers(0, 256, 3))
    return red, green, blue


def _ellipse(image: Image, random: Random) -> None:
    axes = (int(random.integers(3, 70)), int(random.integers(3, 70)))
    cv2.ellipse(
        image, _point(random), axes, float(random.integers(0, 180)), 0, 360, _colour(random), -1, cv2.LINE_AA
    )


def _line(image: Image, random: Random) -> None:
    width = int(random.integers(1, 9))
    cv2.line(image, _point(random), _point(random), _colour(random), width, cv2.LINE_AA)


def _polygon(image: Image, random: Random) -> None:
    corners = random.integers(0, SIDE, (random.integers(3, 7), 2)).astype(np.int32)
    cv2.fillPoly(image, [corners], _colour(random), cv2.LINE_AA)


def _letters(image: Image, random: Random) -> None:
    letters = chr(int(random.integers(33, 127))) * 2
    size, width = float(random.uniform(0.3, 3.3)), int(random.integers(1, 5))
    cv2.putText(image, letters, _point(random), 0, size, _colour(random), width, cv2.LINE_AA)


FIGURES: tuple[Callable[[Image, Random], None], ...] = (_ellipse, _line, _polygon, _letters)
