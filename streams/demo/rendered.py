"""A catalogue for machines without apt: patterns, their titles and tones, rendered here."""

import wave
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from streams.records import Item, MediaReference

PER_CATEGORY = 40
SIZE = 160
RATE = 44_100

COLOURS = {
    "red": (205, 40, 45),
    "orange": (240, 140, 30),
    "yellow": (235, 210, 60),
    "green": (50, 150, 70),
    "blue": (40, 90, 190),
    "violet": (130, 60, 160),
    "brown": (120, 80, 50),
    "grey": (120, 120, 125),
}
_WORDS = ("bright", "faded", "large", "small", "worn")

Colour = tuple[int, int, int]
Pen = ImageDraw.ImageDraw
Chance = np.random.Generator


def _stripes(pen: Pen, colour: Colour, chance: Chance) -> None:
    step = int(chance.integers(12, 28))
    for left in range(-SIZE, SIZE * 2, step):
        pen.line((left, 0, left + SIZE // 2, SIZE), colour, step // 2)


def _discs(pen: Pen, colour: Colour, chance: Chance) -> None:
    for _ in range(int(chance.integers(5, 12))):
        x, y, r = (int(value) for value in chance.integers((0, 0, 8), (SIZE, SIZE, 30)))
        pen.ellipse((x - r, y - r, x + r, y + r), colour)


def _checks(pen: Pen, colour: Colour, chance: Chance) -> None:
    side = int(chance.integers(12, 30))
    for row in range(0, SIZE, side):
        for column in range((row // side % 2) * side, SIZE, 2 * side):
            pen.rectangle((column, row, column + side - 1, row + side - 1), colour)


def _stars(pen: Pen, colour: Colour, chance: Chance) -> None:
    for _ in range(int(chance.integers(3, 8))):
        centre, radius = chance.integers(20, SIZE - 20, 2), int(chance.integers(12, 36))
        angles = np.arange(10) * np.pi / 5
        radii = np.where(np.arange(10) % 2, radius * 0.4, radius)
        points = centre + np.stack((np.sin(angles), np.cos(angles)), 1) * radii[:, None]
        pen.polygon([(float(x), float(y)) for x, y in points], colour)


def _waves(pen: Pen, colour: Colour, chance: Chance) -> None:
    period = chance.uniform(20, 60)
    for base in range(10, SIZE, 24):
        xs = np.arange(SIZE)
        ys = base + 8 * np.sin(xs * 2 * np.pi / period)
        pen.line([(float(x), float(y)) for x, y in zip(xs, ys, strict=True)], colour, 7)


def _letters(pen: Pen, colour: Colour, chance: Chance) -> None:
    for _ in range(int(chance.integers(4, 9))):
        x, y = chance.integers(0, SIZE - 40, 2)
        letter = chr(int(chance.integers(65, 91)))
        pen.text((int(x), int(y)), letter, colour, font_size=int(chance.integers(30, 60)))


PATTERNS: dict[str, tuple[Callable[[Pen, Colour, Chance], None], float, str]] = {
    "stripes": (_stripes, 220.0, "diagonal stripes on cloth"),
    "discs": (_discs, 440.0, "round dots and bubbles"),
    "checks": (_checks, 110.0, "a chessboard of squares"),
    "stars": (_stars, 1760.0, "stars in the night sky"),
    "waves": (_waves, 330.0, "waves of the sea"),
    "letters": (_letters, 880.0, "letters of the alphabet"),
}
"""Category to (how it is drawn, its tone in hertz, what its titles say)."""


def render_items(folder: Path) -> dict[str, list[tuple[Item, Path, Path | None]]]:
    """By category: items with their picture and, for every third, their sound."""
    folder.mkdir(parents=True, exist_ok=True)
    return {
        category: [_render(folder, category, number) for number in range(PER_CATEGORY)]
        for category in PATTERNS
    }


def _render(folder: Path, category: str, number: int) -> tuple[Item, Path, Path | None]:
    draw, tone, words = PATTERNS[category]
    chance = np.random.default_rng([number, *category.encode()])
    name, colour = list(COLOURS.items())[number % len(COLOURS)]
    picture = folder / f"{category}-{number}.png"
    board = Image.new("RGB", (SIZE, SIZE), "white")
    draw(ImageDraw.Draw(board), colour, chance)
    board.save(picture)
    media = [MediaReference(modality="image", uri=picture.as_uri())]
    sound = None
    if number % 3 == 0:
        sound = picture.with_suffix(".wav")
        _write_tone(sound, tone * chance.uniform(0.9, 1.1), chance)
        media.append(MediaReference(modality="audio", uri=sound.as_uri()))
    title = f"{_WORDS[number % len(_WORDS)].capitalize()} {name} {words}"
    return Item(f"{category}/{number}", title, categories=[category], media=media), picture, sound


def _write_tone(path: Path, hertz: float, chance: Chance) -> None:
    time = np.arange(RATE) / RATE
    samples: NDArray[np.float64] = np.sin(2 * np.pi * hertz * time) * np.exp(-time * 3)
    samples += chance.normal(0, 0.02, RATE)
    with wave.open(str(path), "wb") as target:
        target.setnchannels(1)
        target.setsampwidth(2)
        target.setframerate(RATE)
        target.writeframes((np.clip(samples, -1, 1) * 20_000).astype("<i2").tobytes())
