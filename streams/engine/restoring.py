"""How far a restore has come: a metric, a line now and then, a bar on a terminal."""

import logging
import sys
import threading
import time

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from streams.engine.journal import Chunk
from streams.metrics import RECOVERY, RESTORED

LINE_SECONDS = 5.0

_log = logging.getLogger(__name__)


class Restoring:
    """Told of each chunk of one partition's restore from changelog offset `start` to `end`; call `close`."""

    def __init__(self, label: str, start: int, end: int) -> None:
        self._label = label
        self._start = start
        self._end = end
        self._ratio = RECOVERY.labels(label)
        self._began = self._told = time.monotonic()
        self._records = 0
        self._bar = _Bar(label, end - start) if sys.stderr.isatty() and end > start else None

    def tell(self, chunk: Chunk) -> None:
        self._records += chunk.records
        RESTORED.inc(chunk.records)
        passed = chunk.end - self._start
        self._ratio.set(passed / (self._end - self._start))
        if self._bar is not None:
            self._bar.set(passed)
        elif time.monotonic() - self._told > LINE_SECONDS:
            self._told = time.monotonic()
            share = passed / (self._end - self._start)
            _log.info("%s: %.0f %% restored, %s", self._label, 100 * share, self._pace())

    def finish(self) -> None:
        """Level with the changelog."""
        self._ratio.set(1.0)
        if self._records:
            _log.info("%s: restored, %s", self._label, self._pace())

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()

    def _pace(self) -> str:
        seconds = time.monotonic() - self._began
        return (
            f"{self._records} records in {seconds:.1f} s, {self._records / max(seconds, 1e-3):.0f} a second"
        )


class _Bar:
    """A line of the one display that all restores of this process share."""

    _lock = threading.Lock()
    _display: Progress | None = None
    _bars = 0

    def __init__(self, label: str, total: int) -> None:
        with _Bar._lock:
            if _Bar._display is None:
                columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
                console = Console(stderr=True)
                _Bar._display = Progress(*columns, TimeRemainingColumn(), console=console, transient=True)
                _Bar._display.start()
            _Bar._bars += 1
            self._progress = _Bar._display
            self._task: TaskID = self._progress.add_task(label, total=total)

    def set(self, passed: int) -> None:
        self._progress.update(self._task, completed=passed)

    def close(self) -> None:
        with _Bar._lock:
            self._progress.remove_task(self._task)
            _Bar._bars -= 1
            if _Bar._bars == 0:
                self._progress.stop()
                _Bar._display = None
