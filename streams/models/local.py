"""What a model has on the disk of one machine: stores of states, and a copy of its weights."""

import shutil
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from state.errors import StoreError
from state.rocks import RocksStore
from streams.models.board import INTERESTS, Board, Entry
from streams.settings import Settings

_BUILDS = "models"
"""Folder of the weights, and of the commands that build states."""


def weights_folder(settings: Settings, entry: Entry) -> Path:
    return Path(settings.app.data) / _BUILDS / entry.code


def folders_of(settings: Settings, entry: Entry) -> list[Path]:
    """Those that are there."""
    data, name = Path(settings.app.data), _states_name(entry)
    found = [folder for kind in (INTERESTS, _BUILDS) for folder in sorted(data.glob(f"{kind}/*/{name}"))]
    return [*found, *(folder for folder in [weights_folder(settings, entry)] if folder.is_dir())]


def size_of(folder: Path) -> int:
    """Bytes of all files under it; what goes meanwhile counts for nothing."""
    total = 0
    for path in folder.rglob("*"):
        with suppress(OSError):
            total += path.stat().st_size if path.is_file() else 0
    return total


def delete(folder: Path) -> bool:
    """Delete a folder; False where a process has one of its stores open, and it was left as it is."""
    for store in folder.glob("[0-9]*"):
        try:
            RocksStore(store, 1, lock_seconds=0.0).close()
        except StoreError:
            return False
    shutil.rmtree(folder, ignore_errors=True)
    return True


def delete_removed(folder: Path, board: Board) -> list[Path]:
    """Delete the stores of models that the board has no more, beside `folder`, which is the first model's.

    Nobody may have them open. Returns what went.
    """
    if board.pointer is None:
        return []
    kept = {_states_name(entry) for entry in board.entries.values()}
    gone = [each for each in _stores(folder) if each.name not in kept]
    for each in gone:
        shutil.rmtree(each, ignore_errors=True)
    return gone


def _stores(folder: Path) -> Iterable[Path]:
    digits = "[0-9a-f]" * 8
    return [*(each for each in [folder] if each.is_dir()), *folder.parent.glob(f"{folder.name}-{digits}")]


def _states_name(entry: Entry) -> str:
    return INTERESTS if entry.first else f"{INTERESTS}-{entry.code}"
