"""Who this worker is: a data folder that it alone holds, and the id that is kept in it."""

import fcntl
import os
import uuid
from pathlib import Path
from types import TracebackType
from typing import Self

from streams.errors import EngineError

MAX_SLOTS = 256


class Instance:
    """The first free of `<data>/<kind>/0`, `1` and so on, locked for as long as this process lives.

    The id survives in the folder, and with it the transactional id: a worker that starts again after it
    was killed takes the same slot and aborts at once what its forerunner left open.
    """

    def __init__(self, data: Path, kind: str = "encode") -> None:
        self.folder, self._lock = _claim(data / kind)
        self.id = _read_id(self.folder / "instance")

    def release(self) -> None:
        os.close(self._lock)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def _claim(root: Path) -> tuple[Path, int]:
    for slot in range(MAX_SLOTS):
        folder = root / str(slot)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise EngineError(f"{folder}: cannot be used ({error.strerror}); set app.data") from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            continue
        return folder, lock
    raise EngineError(f"{root}: all {MAX_SLOTS} slots are taken by other workers")


def _read_id(path: Path) -> str:
    """The id in the file; a new one where there is none. A crash leaves all of it or nothing."""
    try:
        found = path.read_text().strip()
    except FileNotFoundError:
        found = ""
    if not found:
        found = uuid.uuid4().hex
        fresh = path.with_suffix(".new")
        fresh.write_text(found + "\n")
        fresh.replace(path)
    return found
