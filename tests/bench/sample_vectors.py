"""Native vectors of sample media for the benches: what lies in the cache's folder is not encoded again."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlparse

from encoders.alignment_fit import FitItem, catalogue_vectors
from encoders.bank import EncoderBank
from encoders.base import Medium, Modality
from encoders.media.pool import DecodePool
from encoders.settings import EncoderSettings
from encoders.vector_cache import VectorCache
from streams.demo import clips, stamps
from streams.demo.catalogue import sample_catalogue
from streams.encode.items import describing_text

CHINESE = "zh_CN.utf8="


class Stamps(NamedTuple):
    """Pictures with titles and sounds. `shown` has a clip beside: a pan over the picture, with its sound."""

    categories: list[str]
    items: list[FitItem]
    shown: list[FitItem]
    chinese: list[FitItem]
    """The title in Chinese alone, or nothing."""


class Sample(NamedTuple):
    """The demo's catalogue."""

    categories: list[str]
    items: list[FitItem]


@contextmanager
def opened_bank(folder: Path) -> Iterator[EncoderBank]:
    """The default encoders, with a vector cache in the folder."""
    settings = EncoderSettings()
    cache, pool = VectorCache(folder / "vectors", 1 << 28), DecodePool(settings)
    try:
        yield EncoderBank(settings, cache, pool)
    finally:
        pool.close()
        cache.close()


def stamp_vectors(bank: EncoderBank, folder: Path) -> Stamps:
    """The stamps of Debian's package, fetched into the folder where they are not there."""
    root = stamps.fetch(folder)
    pictures = list(stamps.pictures(root))
    words = [_chinese(picture) for picture in pictures]
    items = catalogue_vectors(bank, (_media(picture) for picture in pictures))
    moving = catalogue_vectors(bank, _clips(pictures, folder / "clips-of-one"))
    return Stamps(
        [picture.relative_to(root).parts[0] for picture in pictures],
        items,
        [{**item, Modality.VIDEO: clip[Modality.VIDEO]} for item, clip in zip(items, moving, strict=True)],
        catalogue_vectors(bank, ([_text(text)] if text else [] for text in words)),
    )


def catalogue_sample(bank: EncoderBank, folder: Path) -> Sample:
    """The sample catalogue of the demo."""
    sample = sample_catalogue(folder)
    media = (
        [_text(text) for text in [describing_text(item)] if text]
        + [_read(unquote(urlparse(each.uri or "").path), each.modality) for each in item.media]
        for item in sample.items
    )
    return Sample([item.categories[0] for item in sample.items], catalogue_vectors(bank, media))


def _text(text: str) -> Medium:
    return Medium(text.encode(), Modality.TEXT)


def _read(path: str, modality: str | None) -> Medium:
    return Medium(Path(path).read_bytes(), Modality(modality) if modality else None, Path(path).name)


def _media(picture: Path) -> list[Medium]:
    found = [_text(stamps.title(picture)), _read(str(picture), "image")]
    sound = stamps.sound(picture)
    return [*found, _read(str(sound), "audio")] if sound else found


def _chinese(picture: Path) -> str:
    lines = picture.with_suffix(".txt").read_text("utf-8", "replace").splitlines()
    return next((line.removeprefix(CHINESE) for line in lines if line.startswith(CHINESE)), "")


def _clips(pictures: Sequence[Path], folder: Path) -> Iterable[list[Medium]]:
    folder.mkdir(parents=True, exist_ok=True)
    for number, picture in enumerate(pictures):
        target = folder / f"{number:04}.mp4"
        if not target.exists():
            clips.render([picture], stamps.sound(picture), target)
        yield [_read(str(target), "video")]
