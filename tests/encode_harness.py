"""What the tests of the encode worker on a real Kafka share: workers here and apart, and what they wrote."""

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from state.events import Pack, Row
from streams.encode.worker import EncodeWorker, MediaFactory
from streams.kafka import Message
from streams.processes import Worker
from streams.settings import Settings
from tests.encode_child import make_media as fake
from tests.integration.conftest import read_all

WorkerT = TypeVar("WorkerT", bound=Worker)

ROOT = Path(__file__).parents[1]
SECONDS = 120.0


def event(number: int, **fields: Any) -> tuple[str, dict[str, Any]]:
    user = f"user-{number % 50}"
    value = {
        "user_id": user,
        "action": "view",
        "timestamp": 1_700_000_000_000 + number,
        "event_id": f"e{number}",
    }
    return user, {**value, "text": "words", **fields}


def until(what: str, holds: Callable[[], bool], seconds: float = SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"waited {seconds:.0f} s for {what}"
        time.sleep(0.05)


@contextmanager
def running(settings: Settings, make_media: MediaFactory | None = fake) -> Iterator[EncodeWorker]:
    """An encode worker in a thread of this process, ready; drained at the end, and its error raised."""
    with served(EncodeWorker(settings, make_media)) as worker:
        yield worker


@contextmanager
def served(worker: WorkerT) -> Iterator[WorkerT]:
    """The worker in a thread of this process, ready; drained at the end, and its error raised."""
    stop = threading.Event()
    errors: list[BaseException] = []

    def run() -> None:
        try:
            worker.run(stop)
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        until("the worker to be ready", lambda: worker.ready() or bool(errors))
        yield worker
    finally:
        stop.set()
        thread.join(SECONDS)
    assert not thread.is_alive()
    if errors:
        raise errors[0]


class Child:
    """A worker as a process of its own."""

    def __init__(self, settings: Settings, module: str = "tests.encode_child") -> None:
        command = [sys.executable, "-m", module, msgspec.json.encode(settings).decode()]
        self.process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)

    def wait_ready(self) -> None:
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n"

    def kill(self) -> None:
        """SIGKILL, if it still runs."""
        self.process.kill()
        self.process.wait(SECONDS)

    def terminate(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(SECONDS)


@contextmanager
def child(settings: Settings, module: str = "tests.encode_child") -> Iterator[Child]:
    made = Child(settings, module)
    try:
        yield made
    finally:
        made.kill()


def packs_of(settings: Settings) -> dict[int, list[Pack]]:
    packs: dict[int, list[Pack]] = {}
    for message in read_all(settings, settings.topics.interactions_encoded):
        packs.setdefault(message.partition() or 0, []).append(decode(message, Pack))
    return packs


def decode(message: Message, kind: type[Any]) -> Any:
    value = message.value()
    return None if value is None else msgspec.msgpack.decode(value, type=kind)


def rows_of(settings: Settings) -> list[Row]:
    return [row for packs in packs_of(settings).values() for pack in packs for row in pack.rows]


def covered(settings: Settings) -> int:
    """Raw offsets covered, after checking that they are covered in order, once, and without a gap."""
    total = 0
    for partition, packs in packs_of(settings).items():
        at = 0
        for pack in packs:
            if pack.end < 0:
                continue
            assert pack.first == at, f"partition {partition}: a pack starts at {pack.first}, expected {at}"
            assert all(pack.first <= row.offset < pack.end for row in pack.rows)
            at = pack.end
        total += at
    return total


def progress(settings: Settings) -> None:
    """Wait until more is covered than now."""
    before = covered(settings)
    until("progress", lambda: covered(settings) > before)
