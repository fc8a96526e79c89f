"""The sample catalogue: a few hundred items with pictures, titles, sounds and clips."""

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from streams.demo import clips, rendered, stamps
from streams.records import Item, MediaReference

PER_CATEGORY = 40
SMALLEST_CATEGORY = 12
CLIPS_PER_CATEGORY = 4
_PICTURES_PER_CLIP = 3


@dataclass(frozen=True)
class Picture:
    """A picture of the catalogue with the item that shows it."""

    item: Item
    path: Path
    sound: Path | None


@dataclass(frozen=True)
class Sample:
    """The items, the folder under which all their media lie, and in a word where they come from."""

    items: list[Item]
    folder: Path
    origin: str


def sample_catalogue(cache: Path) -> Sample:
    """The stamps of Debian's package where it can be had, rendered patterns elsewhere."""
    if stamps.available():
        origin = f"Debian's {stamps.PACKAGE}, clips rendered from its pictures"
        pictures = _stamps(stamps.fetch(cache))
    else:
        origin = "patterns and tones rendered here, since this machine has no apt-get"
        pictures = {
            category: [Picture(*made) for made in items]
            for category, items in rendered.render_items(cache / "rendered").items()
        }
    target = cache / "clips"
    target.mkdir(parents=True, exist_ok=True)
    items = [picture.item for category in pictures.values() for picture in category]
    items += [item for category, found in pictures.items() for item in _clips(target, category, found)]
    return Sample(items, cache, origin)


def _stamps(folder: Path) -> dict[str, list[Picture]]:
    found: dict[str, list[Path]] = defaultdict(list)
    for path in stamps.pictures(folder):
        found[path.relative_to(folder).parts[0]].append(path)
    return {
        category: [_stamp(folder, path) for path in sorted(sorted(paths, key=_shuffled)[:PER_CATEGORY])]
        for category, paths in sorted(found.items())
        if len(paths) >= SMALLEST_CATEGORY
    }


def _stamp(folder: Path, path: Path) -> Picture:
    media = [MediaReference(modality="image", uri=path.as_uri())]
    sound = stamps.sound(path)
    if sound is not None:
        media.append(MediaReference(modality="audio", uri=sound.as_uri()))
    name = path.relative_to(folder).with_suffix("")
    item = Item(str(name), stamps.title(path), categories=[name.parts[0]], media=media)
    return Picture(item, path, sound)


def _shuffled(path: Path) -> str:
    """A fixed order that does not follow the names, so that a cut keeps every sub-folder's share."""
    return hashlib.sha256(path.name.encode()).hexdigest()


def _clips(folder: Path, category: str, pictures: Sequence[Picture]) -> Iterator[Item]:
    """Clips, of pictures that have a sound first; without a title, so that only their media speak."""
    ordered = sorted(pictures, key=lambda picture: (picture.sound is None, _shuffled(picture.path)))
    for number in range(CLIPS_PER_CATEGORY):
        chosen = ordered[number * _PICTURES_PER_CLIP : (number + 1) * _PICTURES_PER_CLIP]
        if len(chosen) < _PICTURES_PER_CLIP:
            return
        name = hashlib.sha256("".join(str(each.path) for each in chosen).encode()).hexdigest()[:12]
        target = folder / f"{category}-{name}.mp4"
        if not target.exists():
            sound = next((each.sound for each in chosen if each.sound), None)
            clips.render([each.path for each in chosen], sound, target)
        reference = MediaReference(modality="video", uri=target.as_uri())
        yield Item(f"clips/{category}/{number}", categories=[category], media=[reference])
