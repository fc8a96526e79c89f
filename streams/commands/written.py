"""Files that commands write what they found into."""

import os
from pathlib import Path

from streams.errors import InputError


def check_writable(option: str, path: Path | None) -> None:
    """Before hours are spent. Raises InputError."""
    if path is None:
        return
    if not path.parent.is_dir():
        raise InputError(f"{option} {path}: there is no folder {path.parent}")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise InputError(f"{option} {path}: cannot be written")


def write_found(option: str, path: Path, content: bytes) -> None:
    """Raises InputError."""
    try:
        path.write_bytes(content)
    except OSError as error:
        raise InputError(f"{option} {path}: cannot be written ({error.strerror})") from error
