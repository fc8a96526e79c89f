"""A disk that is full when a test says so: a small file system of memory, for ordinary users, too."""

import shutil
import subprocess
import time
from pathlib import Path

import pytest

_MOUNT = 'mount -t tmpfs -o size=32m tmpfs "$0"'
_SCRIPT = f"""
{_MOUNT} || exit 99
( while [ ! -e "$0.fill" ]; do sleep 0.1; done; cat /dev/zero > "$0/filler" ) 2>/dev/null &
"$@"
echo $? > "$0.code"
rm "$0/filler"
exec "$@"
"""


class FullDisk:
    """The folder of one worker. `wrapped` goes before the worker's command line.

    The worker starts with room, until `fill` takes it all. When it has ended, `ended` says how, and it is
    started once more, on the same files and with room again.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self.wrapped = ["unshare", "-rm", "sh", "-c", _SCRIPT, str(folder)]

    def fill(self) -> None:
        Path(f"{self._folder}.fill").touch()

    def ended(self, seconds: float = 60.0) -> int:
        """The exit code of the worker whose disk was full."""
        path, give_up = Path(f"{self._folder}.code"), time.monotonic() + seconds
        while not (path.exists() and path.read_text().strip()):
            assert time.monotonic() < give_up, f"it did not end within {seconds:.0f} s"
            time.sleep(0.05)
        return int(path.read_text())


def skip_without_small_disks(folder: Path) -> None:
    """Skip the test where an ordinary user may not mount anything, not even in a name space of their own."""
    command = ["unshare", "-rm", "sh", "-c", _MOUNT, str(folder)]
    if (
        shutil.which("unshare") is None
        or subprocess.run(command, check=False, capture_output=True).returncode
    ):
        pytest.skip("this machine lets nobody mount a small disk in a user name space (unshare -rm)")
