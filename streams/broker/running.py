"""Which process is ours: a process id alone proves nothing, for ids come back as other processes'."""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

POLL_SECONDS = 0.02


class PidFile:
    """The id of a process whose command line contains `mark`; a file left by a dead one reads as none."""

    def __init__(self, path: Path, mark: str) -> None:
        self._path = path
        self._mark = mark

    def write(self, pid: int) -> None:
        """Replace the file in one step."""
        part = self._path.with_suffix(".part")
        part.write_text(f"{pid}\n", encoding="ascii")
        part.replace(self._path)

    def read(self) -> int | None:
        """The id, where that process runs and is ours."""
        try:
            pid = int(self._path.read_text(encoding="ascii"))
        except (OSError, ValueError):
            return None
        return pid if pid > 0 and self._mark in command_line(pid) else None

    def remove(self) -> None:
        """Forget the process."""
        self._path.unlink(missing_ok=True)


def command_line(pid: int) -> str:
    """The command line of a running process; empty where there is none, or only its remains."""
    if Path("/proc/self/cmdline").exists():
        try:
            return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            return ""
    return command_line_by_ps(pid)


def command_line_by_ps(pid: int) -> str:
    """The same, where the system has no /proc."""
    return _shown_by_ps(pid, "command=")


def _shown_by_ps(pid: int, column: str) -> str:
    command = ["ps", "-ww", "-o", column, "-p", str(pid)]
    shown = subprocess.run(command, capture_output=True, text=True, check=False, timeout=10)
    return shown.stdout.strip()


def process_state(pid: int) -> str:
    """The system's letter for what a process does (T: stopped); empty where there is none."""
    if not Path("/proc/self/stat").exists():
        return _shown_by_ps(pid, "state=")[:1]
    try:
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(") ")[2][:1]
    except OSError:
        return ""


def send_signal(pid: int, number: signal.Signals) -> None:
    """Send it; a process that has ended meanwhile is no error."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    """Ask until it is true, at most so long; whether it became true."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True
