"""Resident memory of processes while they work, and whether it grows."""

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np

MEGABYTE = 1024 * 1024
MINUTE = 60.0
_KILOBYTE = 1024


def resident(pid: int) -> float:
    """Of a process and its children, MiB; 0 where it has ended."""
    total = _own(pid)
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children = path.read_text().split()
        except OSError:
            continue
        total += sum(resident(int(child)) for child in children)
    return total


def _own(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    kilobytes = next((int(line.split()[1]) for line in lines if line.startswith("VmRSS:")), 0)
    return kilobytes * _KILOBYTE / MEGABYTE


class Samples:
    """Moments, seconds since the first, and MiB, of one process."""

    def __init__(self) -> None:
        self.moments: list[float] = []
        self.sizes: list[float] = []

    def peak(self, since: float = 0.0, until: float = float("inf")) -> float:
        """The largest between two moments."""
        inside = zip(self.moments, self.sizes, strict=False)
        return max((size for moment, size in inside if since <= moment <= until), default=0.0)

    def growth(self, since: float) -> float:
        """MiB a minute from a moment on: the slope of the line with the least squares."""
        kept = np.array([(m, s) for m, s in zip(self.moments, self.sizes, strict=False) if m >= since])
        return float(np.polyfit(kept[:, 0] / MINUTE, kept[:, 1], 1)[0])

    def __str__(self) -> str:
        """A dozen of them, for people."""
        step = max(1, len(self.sizes) // 12)
        return ", ".join(f"{size:.0f}" for size in self.sizes[::step])


@contextmanager
def sampling(pids: Mapping[str, int], seconds: float = 1.0) -> Iterator[dict[str, Samples]]:
    """Samples of each process, by its name, until the end of the block."""
    samples = {name: Samples() for name in pids}
    stop, began = threading.Event(), time.monotonic()

    def sample() -> None:
        while not stop.wait(seconds):
            for name, pid in pids.items():
                samples[name].sizes.append(resident(pid))
                samples[name].moments.append(time.monotonic() - began)

    thread = threading.Thread(target=sample, daemon=True)
    thread.start()
    try:
        yield samples
    finally:
        stop.set()
        thread.join(10)
