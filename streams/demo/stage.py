"""Sets the stage: a local broker, topics, and the product's own processes."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import msgspec

from streams.errors import PenchantError
from streams.settings import Settings

READY_SECONDS = 90
_STOP_SECONDS = 30


class WorkerProcess:
    """A `penchant` command of its own process, with its log in a file."""

    def __init__(self, command: str, settings: Settings, folder: Path, port: int) -> None:
        self.command = command
        self.port = port
        self.log = folder / f"{command}.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "streams.cli", command],
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env={**os.environ, **environment(settings), "PENCHANT_METRICS__PORT": str(port)},
            )

    def wait_ready(self) -> None:
        """Until `/readyz` answers 200. Raises PenchantError when the process ends or takes too long."""
        limit = time.monotonic() + READY_SECONDS
        while time.monotonic() < limit:
            self.check()
            try:
                if httpx.get(f"http://127.0.0.1:{self.port}/readyz", timeout=1).status_code == 200:
                    return
            except httpx.HTTPError:
                pass
            time.sleep(0.1)
        raise PenchantError(f"penchant {self.command} is not ready after {READY_SECONDS} s; see {self.log}")

    def check(self) -> None:
        """Raise PenchantError with the log's last line when the process has ended."""
        if self.process.poll() is None:
            return
        last = (self.log.read_text(errors="replace").strip().splitlines() or ["no output"])[-1]
        raise PenchantError(f"penchant {self.command} ended with {self.process.returncode}: {last}")

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(_STOP_SECONDS)


def environment(settings: Settings) -> dict[str, str]:
    """The settings as environment variables, every key."""
    variables = {}
    for section, table in msgspec.to_builtins(settings).items():
        for key, value in table.items():
            text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
            variables[f"PENCHANT_{section.upper()}__{key.upper()}"] = text
    return variables


@contextmanager
def workers(settings: Settings, folder: Path, ports: dict[str, int]) -> Iterator[list[WorkerProcess]]:
    """The named commands as processes, ready; stopped at the end."""
    started: list[WorkerProcess] = []
    try:
        for command, port in ports.items():
            started.append(WorkerProcess(command, settings, folder, port))
        for worker in started:
            worker.wait_ready()
        yield started
    finally:
        for worker in started:
            worker.stop()
