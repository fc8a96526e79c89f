"""A file that another library writes: whole or not at all, and for whoever the umask lets read it."""

from collections.abc import Callable
from pathlib import Path
from stat import S_IMODE


def write_whole(path: Path, write: Callable[[Path], None]) -> None:
    """Has `write` make the file beside, and puts it in its place: the former one is there until then.

    safetensors makes files that their owner alone may read, and a worker may run under another account.
    """
    fresh = path.with_name(f"{path.name}.new")
    fresh.unlink(missing_ok=True)
    try:
        fresh.touch()
        mode = S_IMODE(fresh.stat().st_mode)
        write(fresh)
        fresh.chmod(mode)
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)
