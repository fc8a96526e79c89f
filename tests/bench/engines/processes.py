"""Workers as processes: how far they are, and what they use."""

import os
import signal
import subprocess
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_ROOT = Path(__file__).parents[3]
_TICKS = os.sysconf("SC_CLK_TCK")
_THREADS = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


@dataclass(frozen=True, slots=True)
class Sight:
    """What a worker had come to at a moment."""

    at: float
    """Monotonic seconds."""
    count: int
    cpu: float
    """Seconds of user and system time."""


class WorkerFailed(Exception):
    """A worker ended or took too long."""


class Worker:
    """A process that prints `TICK n`."""

    def __init__(self, command: list[str], log: Path) -> None:
        self.began = time.monotonic()
        self._log = log
        self._news = threading.Condition()
        self._sights: list[Sight] = []
        with log.open("ab") as target:
            self.process = subprocess.Popen(
                command,
                cwd=_ROOT,
                env={**os.environ, **_THREADS, "PYTHONPATH": str(_ROOT), "PYTHONWARNINGS": "ignore"},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=target,
                text=True,
            )
        threading.Thread(target=self._listen, daemon=True).start()

    @property
    def pid(self) -> int:
        return self.process.pid

    def wait_for(self, count: int, seconds: float) -> Sight:
        """The first sight of `count` events or more. Raises WorkerFailed."""
        give_up = time.monotonic() + seconds
        with self._news:
            while True:
                found = next((sight for sight in self._sights if sight.count >= count), None)
                if found is not None:
                    return found
                if self.process.poll() is not None:
                    raise WorkerFailed(f"it ended with {self.process.returncode}: {self._last_words()}")
                left = give_up - time.monotonic()
                if left <= 0:
                    so_far = self._sights[-1].count if self._sights else 0
                    raise WorkerFailed(
                        f"{so_far} of {count} events within {seconds:.0f} s: {self._last_words()}"
                    )
                self._news.wait(min(left, 0.5))

    def stop(self) -> None:
        """SIGTERM, and SIGKILL where that does not help."""
        self.process.send_signal(signal.SIGCONT)
        self.process.terminate()
        try:
            self.process.wait(40)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)

    def _last_words(self) -> str:
        lines = self._log.read_text(errors="replace").strip().splitlines()
        return (lines or ["it said nothing"])[-1]

    def _listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            name, _, number = line.strip().partition(" ")
            if name == "TICK":
                cpu = cpu_seconds(self.pid)
                with self._news:
                    self._sights.append(Sight(time.monotonic(), int(number), cpu))
                    self._news.notify_all()
        with self._news:
            self._news.notify_all()


def cpu_seconds(pid: int) -> float:
    """User and system time of a process, its children not counted; 0 where it has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / _TICKS


def busy_seconds() -> float:
    """CPU time of the whole machine that was not idle, since it started."""
    fields = [int(field) for field in Path("/proc/stat").read_text().splitlines()[0].split()[1:]]
    return (sum(fields[:8]) - fields[3] - fields[4]) / _TICKS


def resident_mb(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


def folder_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def log_bytes(folder: Path, *parts: str, without: str = "/") -> int:
    """Bytes of the topics' records on the brokers' disks, of topics with all `parts` in their names."""
    size = 0
    # Brokers delete what is old, and stores compact, in the meantime.
    for root, _, names in os.walk(folder):
        topic = Path(root).name
        if without not in topic and all(part in topic for part in parts):
            for name in names:
                if name[0].isdigit() and name.endswith(".log"):
                    with suppress(FileNotFoundError):
                        size += Path(root, name).stat().st_size
    return size
