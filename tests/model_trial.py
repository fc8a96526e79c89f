"""A promotion under load, with the command or a worker killed at one point of it, and started again."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from streams.broker.ports import free_ports
from streams.demo.stage import WorkerProcess, environment
from streams.models.faults import COMMAND_POINTS, VARIABLE
from streams.settings import Settings
from tests.encode_harness import until
from tests.models_world import Feed, Seen, all_shown, saved, seen

SECONDS = 120.0


def beside(settings: Settings, data: Path) -> Settings:
    """For another worker of the same deployment."""
    return msgspec.structs.replace(settings, app=msgspec.structs.replace(settings.app, data=str(data)))


@contextmanager
def _with_fault(point: str) -> Iterator[None]:
    os.environ[VARIABLE] = point
    try:
        yield
    finally:
        del os.environ[VARIABLE]


def command(settings: Settings, *arguments: str, point: str = "") -> subprocess.Popen[bytes]:
    with _with_fault(point):
        return subprocess.Popen(
            [sys.executable, "-m", "streams.cli", "models", *arguments],
            env={**os.environ, **environment(settings)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )


def worker(settings: Settings, folder: Path, point: str = "") -> WorkerProcess:
    folder.mkdir(parents=True, exist_ok=True)
    with _with_fault(point):
        return WorkerProcess("interests", settings, folder, free_ports(1)[0])


def promoted_under_fire(settings: Settings, folder: Path, point: str, workers: int) -> tuple[Feed, Seen]:
    """What was sent, and what readers of `interests` saw in the end."""
    model, feed = saved(folder / "model"), Feed(settings, interval=0.01)
    feed.send(200)
    by_command = point in COMMAND_POINTS
    places = [folder / f"worker-{number}" for number in range(workers)]
    running = [
        worker(beside(settings, place / "data"), place, "" if by_command or number else point)
        for number, place in enumerate(places)
    ]
    try:
        for each in running:
            each.wait_ready()
        with feed:
            asked = command(settings, "promote", model, point=point if by_command else "")
            struck = asked if by_command else running[0].process
            assert struck.wait(SECONDS) == -9, running[0].log.read_text()[-2_000:]
            if by_command:
                asked.communicate()
                asked = command(settings, "promote", model)
            else:
                running[0] = worker(beside(settings, places[0] / "data"), places[0])
                running[0].wait_ready()
            told = asked.communicate(timeout=2 * SECONDS)[0].decode()
            assert asked.returncode == 0, told
            before = feed.count
            until("events after it", lambda: feed.count > before + 50)
        all_shown(settings, feed)
    finally:
        for each in running:
            each.stop()
    return feed, seen(settings)
