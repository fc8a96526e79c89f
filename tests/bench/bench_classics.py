"""How well the classic encoders find neighbours of the same category, beside the learned ones.

    OMP_NUM_THREADS=1 python tests/bench/bench_classics.py [--folder STAMPS] [--cache FOLDER] [--part PART]
        [--only ENCODER]

Without a folder the stamps of Debian's package are fetched. `encoders`: the share of items whose nearest
neighbour by cosine among all others is of the same category, by the vectors as they are and by those from
which their mean was taken, as an alignment does it; and the time of one item. What the classics learn of a
catalogue they learn of these items, without their categories. `spaces`: sets of encoders in the space of an
alignment that was fitted on all items but 180, and the columns of bench_alignment.py on those; three splits.
`languages`: the titles of the stamps in 26 languages, told among all known languages and among the 26.
`windows`: texts of 3,500 characters, a quarter of whose titles are of one category: the share whose nearest
neighbour's are of the same.
"""

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import cv2
import msgspec
import numpy as np
import torch
from bench_alignment import COLUMNS, HELD_OUT, SPLITS, media, natives, row_of

from encoders import classics
from encoders.alignment_fit import fit
from encoders.bank import EncoderBank
from encoders.base import Encoder, Float32, Modality
from encoders.classics_artifact import save_classics
from encoders.classics_fit import ClassicsFit
from encoders.media.decoded import Decoded
from encoders.media.language import UNDETERMINED, detect_language
from encoders.media.pool import DecodePool
from encoders.registry import AUDIO, IMAGE, TEXT
from encoders.settings import EncoderSettings
from encoders.text.windowed import Windowed
from encoders.vector_cache import VectorCache
from streams.demo import stamps

CPU = torch.device("cpu")
SETS = {
    "learned (the defaults)": {},
    "minilm, efficientnet, aisfx": {"text": "minilm"},
    "word vectors, hog, mfcc": {"text": "word-vectors", "image": "hog", "audio": "mfcc"},
    "tf-idf, sift, spectrogram": {"text": "tf-idf", "image": "sift", "audio": "spectrogram"},
    "bag of words, colours, intensity": {
        "text": "bag-of-words",
        "image": "colour-histogram",
        "audio": "intensity",
    },
}
LANGUAGES = tuple(
    "en de fr es it pt nl sv da pl cs ru uk el ar he zh ja ko th hi tr fi hu ro vi".split()  # noqa: SIM905
)
LENGTHS = ((0, 20), (20, 60), (60, 10_000))
TITLES_A_TEXT, SHARE_OF_CATEGORY, TEXTS_A_CATEGORY, SMALLEST_CATEGORY = 160, 0.25, 8, 20


class Shown(NamedTuple):
    """One kind of media: samples, and the category of each."""

    samples: Sequence[Any]
    categories: np.ndarray


class Stamps(NamedTuple):
    """The stamps, decoded."""

    folder: Path
    pictures: list[Path]
    shown: dict[Modality, Shown]


def decoded(folder: Path, pool: DecodePool) -> Stamps:
    pictures = list(stamps.pictures(folder))
    rows: dict[Modality, list[tuple[Any, str]]] = {modality: [] for modality in Modality}
    for picture in pictures:
        category = picture.relative_to(folder).parts[0]
        for one in pool.decode(media(picture)):
            if isinstance(one, Decoded):
                sample = next(value for value in (one.text, one.image, one.sound) if value is not None)
                rows[one.modality].append((sample, category))
    shown = {
        modality: Shown([sample for sample, _ in each], np.array([category for _, category in each]))
        for modality, each in rows.items()
    }
    return Stamps(folder, pictures, shown)


def learned(given: Stamps, folder: Path) -> EncoderSettings:
    fitting = ClassicsFit()
    fitting.add(Decoded(Modality.TEXT, text=text) for text in given.shown[Modality.TEXT].samples)
    fitting.add(Decoded(Modality.IMAGE, image=image) for image in given.shown[Modality.IMAGE].samples)
    save_classics(fitting.finished(), folder)
    return EncoderSettings(device="cpu", classics=str(folder))


def neighbours(vectors: Float32, categories: np.ndarray) -> float:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    rows = vectors / np.maximum(lengths, 1e-9)
    cosines = rows @ rows.T
    np.fill_diagonal(cosines, -2)
    return float((categories[cosines.argmax(axis=1)] == categories).mean())


def builders(settings: EncoderSettings) -> Iterator[tuple[Modality, str, Callable[[], Encoder[Any]]]]:
    for modality, known in ((Modality.TEXT, TEXT), (Modality.IMAGE, IMAGE), (Modality.AUDIO, AUDIO)):
        for name, factory in known.items():
            if name == "surf" and not hasattr(cv2, "xfeatures2d"):
                continue
            chosen = msgspec.structs.replace(settings, **{modality.value: name})
            yield modality, name, lambda factory=factory, chosen=chosen: factory(chosen, CPU)
            if name in ("sift", "surf"):
                drawn = msgspec.structs.replace(chosen, classics="")
                yield (
                    modality,
                    f"{name} (drawn words)",
                    lambda factory=factory, drawn=drawn: factory(drawn, CPU),
                )


def encoders(given: Stamps, settings: EncoderSettings, only: str) -> None:
    print(f"{'':8}{'':26}{'classic':>8}{'dims':>6}{'items':>7}{'as is':>8}{'centred':>9}{'us an item':>12}")
    every = {**classics.TEXT, **classics.IMAGE, **classics.AUDIO}
    for modality, name, build in builders(settings):
        if only not in f"{modality}:{name}":
            continue
        samples, categories = given.shown[modality]
        encoder = build()
        encoder.encode(samples[:2])
        started = time.perf_counter()
        vectors = np.concatenate([encoder.encode([sample]) for sample in samples])
        micros = (time.perf_counter() - started) / len(samples) * 1e6
        found = neighbours(vectors, categories), neighbours(vectors - vectors.mean(axis=0), categories)
        classic = "yes" if name.partition(" ")[0] in every else ""
        print(
            f"{modality:8}{name:26}{classic:>8}{encoder.dim:6}{len(samples):7}{found[0]:8.3f}{found[1]:9.3f}"
            f"{micros:12.0f}",
            flush=True,
        )
    for modality in (Modality.TEXT, Modality.IMAGE, Modality.AUDIO):
        counts = np.unique(given.shown[modality].categories, return_counts=True)[1]
        print(f"{modality:8}largest category {counts.max() / counts.sum():.3f}")


def spaces(given: Stamps, settings: EncoderSettings, pool: DecodePool, work: Path) -> None:
    categories = np.array([picture.relative_to(given.folder).parts[0] for picture in given.pictures])
    groups = [media(picture) for picture in given.pictures]
    columns = [name for name in COLUMNS if name != "Chinese R@5"]
    print(f"{'':36}" + "".join(f"{name:>16}" for name in columns))
    for name, choice in SETS.items():
        cache = VectorCache(work / name, 1 << 28)
        bank = EncoderBank(msgspec.structs.replace(settings, **choice), cache, pool)
        items = natives(bank, groups)
        rows = []
        for seed in range(SPLITS):
            split = np.random.default_rng(seed).permutation(len(items))
            held, seen = split[:HELD_OUT], split[HELD_OUT:]
            made = fit([items[row] for row in seen], bank.builtin_alignment())
            some = [items[row] for row in held]
            rows.append(row_of(made, some, some, categories[held], 128))
        means = dict(zip(COLUMNS, np.mean(rows, axis=0), strict=True))
        print(f"{name:36}" + "".join(f"{means[column]:16.3f}" for column in columns), flush=True)
        cache.close()


def languages(given: Stamps) -> None:
    titles = sorted({title for picture in given.pictures for title in translations(picture)})
    chosen = [titles[row] for row in np.random.default_rng(0).permutation(len(titles))[:3000]]
    detect_language("to load the model")
    for name, among in (("all known", ()), (f"{len(LANGUAGES)} languages", tuple(LANGUAGES))):
        detect_language("to load the model", among)
        started = time.perf_counter()
        found = [detect_language(title, among).code for title, _ in chosen]
        micros = (time.perf_counter() - started) / len(chosen) * 1e6
        print(f"among {name}, {micros:.0f} us a title")
        for low, high in LENGTHS:
            rows = [row for row, (title, _) in enumerate(chosen) if low <= len(title) < high]
            told = [row for row in rows if found[row] != UNDETERMINED]
            right = sum(found[row] == chosen[row][1] for row in rows)
            print(
                f"  {low:3} to {high:6} characters: {len(rows):5} titles, right {right / len(rows):.3f}, "
                f"told {len(told) / len(rows):.3f}, right where told {right / max(1, len(told)):.3f}"
            )


def translations(picture: Path) -> Iterator[tuple[str, str]]:
    lines = picture.with_suffix(".txt").read_text("utf-8", "replace").splitlines()
    yield lines[0], "en"
    for line in lines[1:]:
        key, _, title = line.partition("=")
        code = key.partition(".")[0].partition("_")[0]
        if code in LANGUAGES and code != "en" and "@" not in key and title.strip():
            yield title.strip(), code


def windows(given: Stamps) -> None:
    texts, categories = long_texts(given.shown[Modality.TEXT])
    print(f"{len(texts)} texts of {np.mean([len(text) for text in texts]):.0f} characters")
    settings = EncoderSettings(device="cpu")
    for name, sizes in (("minilm", (1000,)), ("use-multilingual", (1000, 2000, 4000))):
        encoder = TEXT[name](settings, CPU)
        ways: dict[str, Encoder[str]] = {"its beginning alone": encoder}
        ways |= {
            f"{most} windows of {size}": Windowed(encoder, size, most) for size in sizes for most in (2, 4, 8)
        }
        for way, seen in ways.items():
            started = time.perf_counter()
            vectors = np.concatenate([seen.encode([text]) for text in texts])
            millis = (time.perf_counter() - started) / len(texts) * 1e3
            print(
                f"{name:18}{way:24}{neighbours(vectors, categories):8.3f}{millis:8.0f} ms a text", flush=True
            )


def long_texts(titles: Shown) -> tuple[list[str], np.ndarray]:
    random = np.random.default_rng(0)
    every = np.array(titles.samples)
    names, counts = np.unique(titles.categories, return_counts=True)
    texts, categories = [], []
    for name in names[counts >= SMALLEST_CATEGORY]:
        own = every[titles.categories == name]
        for _ in range(TEXTS_A_CATEGORY):
            drawn = [
                random.choice(own if random.random() < SHARE_OF_CATEGORY else every)
                for _ in range(TITLES_A_TEXT)
            ]
            texts.append(" ".join(drawn))
            categories.append(name)
    return texts, np.array(categories)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, help="pictures with titles; fetched where left out")
    parser.add_argument("--cache", type=Path, help="folder to keep the fetched stamps in")
    parts = ("encoders", "spaces", "languages", "windows")
    parser.add_argument("--part", choices=parts, action="append", help="all where left out")
    parser.add_argument("--only", default="", help="encoders such as text, image:sift; all where left out")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    with TemporaryDirectory() as scratch:
        work = Path(scratch)
        pool = DecodePool(EncoderSettings(device="cpu"))
        try:
            given = decoded(chosen.folder or stamps.fetch(chosen.cache or work), pool)
            settings = learned(given, work / "classics")
            run = {
                "encoders": lambda: encoders(given, settings, chosen.only),
                "spaces": lambda: spaces(given, settings, pool, work),
                "languages": lambda: languages(given),
                "windows": lambda: windows(given),
            }
            for part in chosen.part or parts:
                print(f"\n{part}", flush=True)
                run[part]()
        finally:
            pool.close()


if __name__ == "__main__":
    main()
