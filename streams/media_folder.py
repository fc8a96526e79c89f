"""A folder of media as items: files of one folder that share a stem are one item."""

import os
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import msgspec

from state.unknown_fields import UnknownFields
from streams.errors import InputError
from streams.item_sources import Bad, Entry, Skipped, checked
from streams.records import Item, MediaReference, ModalityName, fields_of

SUFFIXES: dict[str, ModalityName] = {
    **dict.fromkeys((".txt", ".md"), "text"),
    **dict.fromkeys((".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff"), "image"),
    **dict.fromkeys((".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".m4a", ".aac"), "audio"),
    **dict.fromkeys((".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".ogv", ".mpg", ".mpeg"), "video"),
}
LONGEST_TITLE = 200
LONGEST_DESCRIPTION = 20_000


class MediaFolder:
    """Item id: path without suffix, from the folder on. Category: the name of the sub-folder.

    A text file gives the title (its first line) and the description (the rest); without one the title
    is the stem in plain words. Hidden files are passed over, files of other kinds told as skipped.
    """

    unit: Literal["bytes", "files"] = "files"

    def __init__(self, path: Path) -> None:
        self._path = path.resolve()
        self.total = sum(len(names) for _, names in self._folders())
        if self.total == 0:
            raise InputError(f"{path}: an empty folder")
        self.unknown = UnknownFields(fields_of(Item))

    def __iter__(self) -> Iterator[Entry]:
        position = 0
        for folder, names in self._folders():
            stems: dict[str, list[Path]] = defaultdict(list)
            for name in names:
                file = folder / name
                if file.suffix.lower() in SUFFIXES:
                    stems[file.stem].append(file)
                else:
                    position += 1
                    yield Skipped(str(file), position)
            for stem, files in stems.items():
                position += len(files)
                yield self._entry(folder, stem, files, position)

    def _folders(self) -> Iterator[tuple[Path, list[str]]]:
        for folder, below, names in os.walk(self._path):
            below[:] = sorted(name for name in below if not name.startswith("."))
            yield Path(folder), sorted(name for name in names if not name.startswith("."))

    def _entry(self, folder: Path, stem: str, files: list[Path], position: int) -> Entry:
        place = folder.relative_to(self._path)
        where = str(folder / stem)
        texts = [file for file in files if SUFFIXES[file.suffix.lower()] == "text"]
        try:
            title, description = _title_and_description(texts)
            fields = {
                "item_id": (place / stem).as_posix(),
                "title": title or plain_words(stem),
                "description": description,
                "categories": [place.name] if place.name else [],
            }
            item = msgspec.convert(fields, Item)
            item.media = [
                MediaReference(modality=SUFFIXES[file.suffix.lower()], uri=file.as_uri())
                for file in files
                if file not in texts
            ]
        except (OSError, ValueError) as error:
            return Bad(where, position, str(error))
        return checked(where, position, item, folder)


def plain_words(stem: str) -> str:
    """`snow_leopard-02` as `Snow leopard 02`."""
    words = " ".join(stem.replace("_", " ").replace("-", " ").split())
    return words[:1].upper() + words[1:]


def _title_and_description(texts: list[Path]) -> tuple[str, str]:
    lines: list[str] = []
    for path in texts:
        with path.open(encoding="utf-8-sig") as file:
            lines += file.read(LONGEST_TITLE + LONGEST_DESCRIPTION).splitlines()
    filled = [number for number, line in enumerate(lines) if line.strip()]
    if not filled:
        return "", ""
    title = lines[filled[0]].strip().lstrip("#").strip()
    rest = "\n".join(lines[filled[0] + 1 :]).strip()
    return title[:LONGEST_TITLE], rest[:LONGEST_DESCRIPTION]
