"""How good the shared space is, built in and fitted, on pictures with titles and sounds; the bank's cost.

    OMP_NUM_THREADS=1 python tests/bench/bench_alignment.py [--folder STAMPS] [--cache FOLDER]

Without a folder the stamps of Debian's package are fetched. 180 items are held out, the fit sees the others;
the table is the mean over three such splits. The first four columns are the share of items whose nearest
neighbour among the held-out ones is of the same category, by text, image, sound and the mean of the three;
R@k is the share of titles with their own picture among the k nearest of 180; the last column is the share of
sounds whose nearest title is of the same category.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from encoders.alignment import Alignment, unit
from encoders.alignment_fit import fit
from encoders.bank import EncoderBank
from encoders.base import Float32, Medium, Modality
from encoders.media.pool import DecodePool
from encoders.native import NativeMedium, NativeVector, join
from encoders.settings import EncoderSettings
from encoders.vector_cache import VectorCache
from streams.demo import stamps

HELD_OUT, SPLITS = 180, 3
CHINESE = "zh_CN.utf8="
COLUMNS = ("text", "image", "sound", "mean", "R@1", "R@5", "Chinese R@5", "sound to title")
Item = dict[Modality, list[NativeVector]]


def chinese(picture: Path) -> str:
    lines = picture.with_suffix(".txt").read_text("utf-8", "replace").splitlines()
    return next((line.removeprefix(CHINESE) for line in lines if line.startswith(CHINESE)), "")


def media(picture: Path) -> list[Medium]:
    found = [
        Medium(stamps.title(picture).encode(), Modality.TEXT),
        Medium(picture.read_bytes(), Modality.IMAGE, picture.name),
    ]
    sound = stamps.sound(picture)
    return [*found, Medium(sound.read_bytes(), Modality.AUDIO, sound.name)] if sound else found


def natives(bank: EncoderBank, groups: Sequence[Sequence[Medium]]) -> list[Item]:
    found = []
    for group in groups:
        merged: Item = {}
        for native in bank.natives(group):
            if isinstance(native, NativeMedium):
                for modality, vector in native.vectors.items():
                    merged.setdefault(modality, []).append(vector)
        found.append(merged)
    return found


def aligned(alignment: Alignment, items: Sequence[Item], modality: Modality, dims: int) -> Float32:
    """[n, dims], zeros for an item that lacks the modality."""
    rows = np.zeros((len(items), dims), np.float32)
    having = [row for row, item in enumerate(items) if modality in item]
    if having:
        batch = join([items[row][modality][0] for row in having])
        rows[having] = unit(alignment.align(modality, batch.vectors, batch.classes)[:, :dims])
    return rows


def same_category(rows: Float32, categories: np.ndarray) -> float:
    having = np.flatnonzero(rows.any(axis=1))
    cosines = rows[having] @ rows[having].T
    np.fill_diagonal(cosines, -2)
    return float((categories[having][cosines.argmax(axis=1)] == categories[having]).mean())


def recall(queries: Float32, documents: Float32, k: int) -> float:
    """Of the queries that are there."""
    having = queries.any(axis=1)
    cosines = queries @ documents.T
    better = (cosines > np.diag(cosines)[:, None]).sum(axis=1)
    return float((better[having] < k).mean())


def row_of(
    alignment: Alignment, items: list[Item], translated: list[Item], categories: np.ndarray, dims: int
):
    text, image, sound = (
        aligned(alignment, items, modality, dims)
        for modality in (Modality.TEXT, Modality.IMAGE, Modality.AUDIO)
    )
    foreign = aligned(alignment, translated, Modality.TEXT, dims)
    heard = np.flatnonzero(sound.any(axis=1))
    meetings = sound[heard] @ text.T
    titled = (categories[meetings.argmax(axis=1)] == categories[heard]).mean() if meetings.any() else np.nan
    return (
        *(same_category(rows, categories) for rows in (text, image, sound, unit(text + image + sound))),
        *(recall(text, image, k) for k in (1, 5)),
        recall(foreign, image, 5),
        float(titled),
    )


def quality(bank: EncoderBank, folder: Path) -> None:
    pictures = list(stamps.pictures(folder))
    categories = np.array([picture.relative_to(folder).parts[0] for picture in pictures])
    items = natives(bank, [media(picture) for picture in pictures])
    words = [chinese(picture) for picture in pictures]
    translated = natives(bank, [[Medium(text.encode(), Modality.TEXT)] if text else [] for text in words])
    builtin = bank.builtin_alignment()
    ways: dict[str, Callable[[np.ndarray], Alignment]] = {"built in": lambda _: builtin}
    for count in (30, 60, 150, 300, len(items) - HELD_OUT):
        ways[f"fitted on {count}"] = lambda seen, count=count: fit(
            [items[row] for row in seen[:count]], builtin
        )
    print(f"{len(items)} items, {sum(Modality.AUDIO in item for item in items)} with a sound")
    print(f"{'':16}{'dims':>5}" + "".join(f"{name:>15}" for name in COLUMNS))
    for name, way in ways.items():
        splits = [np.random.default_rng(seed).permutation(len(items)) for seed in range(SPLITS)]
        made = [(split[:HELD_OUT], way(split[HELD_OUT:])) for split in splits]
        for dims in (128, 63):
            rows = [
                row_of(
                    alignment,
                    [items[row] for row in held],
                    [translated[row] for row in held],
                    categories[held],
                    dims,
                )
                for held, alignment in made
            ]
            print(f"{name:16}{dims:5}" + "".join(f"{mean:15.3f}" for mean in np.mean(rows, axis=0)))


def timed(name: str, media: Sequence[Medium], bank: EncoderBank) -> None:
    start = time.perf_counter()
    bank.encode(media)
    print(f"{name:40}{(time.perf_counter() - start) / len(media) * 1e6:12.1f} us a medium")


def costs(settings: EncoderSettings, cache: VectorCache, pool: DecodePool, folder: Path) -> None:
    pictures = list(stamps.pictures(folder))
    images = [Medium(path.read_bytes(), Modality.IMAGE, path.name) for path in pictures[:33]]
    sounds = [
        Medium(sound.read_bytes(), Modality.AUDIO) for path in pictures if (sound := stamps.sound(path))
    ][:9]
    texts = [Medium(f"A sentence about subject {number}.".encode(), Modality.TEXT) for number in range(65)]
    start = time.perf_counter()
    bank = EncoderBank(settings, cache, pool)
    print(f"{'a new bank':40}{(time.perf_counter() - start) * 1e3:12.1f} ms")
    bank.encode([images[32], sounds[8], texts[64]])
    for name, some in (("64 texts", texts[:64]), ("16 images", images[:16]), ("8 sounds", sounds[:8])):
        timed(f"{name}, decoded and encoded", some, bank)
        timed(f"{name}, again: from memory", some, bank)
    again = EncoderBank(settings, cache, pool)
    for name, some in (("64 texts", texts[:64]), ("16 images", images[:16])):
        timed(f"{name}, from the vector cache", some, again)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--folder", type=Path, help="pictures with titles beside them; fetched where left out"
    )
    parser.add_argument("--cache", type=Path, help="folder to keep the fetched stamps in")
    chosen = parser.parse_args()
    settings = EncoderSettings()
    with TemporaryDirectory() as scratch:
        work = Path(scratch)
        folder = chosen.folder or stamps.fetch(chosen.cache or work)
        cache, pool = VectorCache(work / "vectors", 1 << 28), DecodePool(settings)
        try:
            costs(settings, cache, pool, folder)
            quality(EncoderBank(settings, cache, pool), folder)
        finally:
            pool.close()
            cache.close()


if __name__ == "__main__":
    main()
