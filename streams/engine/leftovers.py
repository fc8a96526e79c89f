"""Stores on the disk of a worker that neither serves nor copies them any more."""

import shutil
import time
from collections.abc import Collection
from pathlib import Path

from state.store import Store
from streams.engine.journal import Facts
from streams.engine.place import BOOKMARK_KEY, Bookmark

_ASIDE = "gone-"


class Leftovers:
    """The folders of partitions, by number, in `folder`: which ones nobody has used for `seconds`."""

    def __init__(self, folder: Path, seconds: float) -> None:
        self._folder = folder
        self._seconds = seconds
        self._idle_since: dict[int, float] = {}

    def numbers(self) -> list[int]:
        """Partitions that have a folder."""
        names = [path.name for path in self._folder.glob("[0-9]*")]
        return sorted(int(name) for name in names if name.isdecimal())

    def due(self, used: Collection[int]) -> list[int]:
        """To be asked now and then: partitions that were not among the used ones for so long."""
        now = time.monotonic()
        idle = [number for number in self.numbers() if number not in used]
        self._idle_since = {number: self._idle_since.get(number, now) for number in idle}
        return [number for number in idle if now - self._idle_since[number] >= self._seconds]

    def keep(self, number: int) -> None:
        """Ask again after as long."""
        self._idle_since.pop(number, None)

    def set_aside(self, number: int) -> None:
        """From now on the partition has no folder. Nobody may have it open. Raises OSError."""
        self._idle_since.pop(number, None)
        shutil.rmtree(self._aside(number), ignore_errors=True)
        (self._folder / str(number)).rename(self._aside(number))

    def sweep(self) -> None:
        """Remove what was set aside, by a process that was killed meanwhile too."""
        for path in self._folder.glob(f"{_ASIDE}[0-9]*"):
            shutil.rmtree(path, ignore_errors=True)

    def _aside(self, number: int) -> Path:
        return self._folder / f"{_ASIDE}{number}"


def is_spare(store: Store, facts: Facts) -> bool:
    """Whether the changelog has all that the store has: nothing was ever cut off it, and it goes as far."""
    value = store.get(BOOKMARK_KEY)
    if facts.changelog_start > 0 or value is None:
        return False
    bookmark = Bookmark.decode(value)
    return bookmark.topic == facts.changelog_topic and bookmark.offset <= facts.changelog_end
