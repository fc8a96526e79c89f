"""The sample catalogue: a few hundred items with pictures, titles, sounds and clips, from packages."""

import hashlib
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from streams.demo import clips, stamps
from streams.records import Item, MediaReference

PER_CATEGORY = 40
SMALLEST_CATEGORY = 12
CLIPS_PER_CATEGORY = 4
_PICTURES_PER_CLIP = 3


def sample_items(cache: Path) -> tuple[list[Item], Path]:
    """Items, and the folder under which all their media lie."""
    folder = stamps.fetch(cache)
    by_category = _by_category(folder)
    items = [
        _picture_item(folder, category, picture)
        for category, pictures in by_category.items()
        for picture in pictures
    ]
    rendered = cache / "clips"
    rendered.mkdir(parents=True, exist_ok=True)
    items += [
        item
        for category, pictures in by_category.items()
        for item in _clip_items(rendered, category, pictures)
    ]
    return items, cache


def _by_category(folder: Path) -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = defaultdict(list)
    for picture in stamps.pictures(folder):
        found[picture.relative_to(folder).parts[0]].append(picture)
    return {
        category: sorted(sorted(pictures, key=_shuffled)[:PER_CATEGORY])
        for category, pictures in sorted(found.items())
        if len(pictures) >= SMALLEST_CATEGORY
    }


def _shuffled(path: Path) -> str:
    """A fixed order that does not follow the names, so that a cut keeps every sub-folder's share."""
    return hashlib.sha256(path.name.encode()).hexdigest()


def _picture_item(folder: Path, category: str, picture: Path) -> Item:
    media = [MediaReference(modality="image", uri=picture.as_uri())]
    if sound := stamps.sound(picture):
        media.append(MediaReference(modality="audio", uri=sound.as_uri()))
    name = picture.relative_to(folder).with_suffix("")
    return Item(item_id=str(name), title=stamps.title(picture), categories=[category], media=media)


def _clip_items(folder: Path, category: str, pictures: list[Path]) -> Iterator[Item]:
    """Clips of pictures that have a sound first; a clip has no title, so that only its media speak."""
    ordered = sorted(pictures, key=lambda path: (stamps.sound(path) is None, _shuffled(path)))
    for number in range(CLIPS_PER_CATEGORY):
        chosen = ordered[number * _PICTURES_PER_CLIP : (number + 1) * _PICTURES_PER_CLIP]
        if len(chosen) < _PICTURES_PER_CLIP:
            return
        target = folder / f"{category}-{number}.mp4"
        if not target.exists():
            clips.render(chosen, next(filter(None, map(stamps.sound, chosen)), None), target)
        yield Item(
            item_id=f"clips/{category}/{number}",
            categories=[category],
            media=[MediaReference(modality="video", uri=target.as_uri())],
        )
