"""A worker for the engine's failure tests: the counting processor on a real Kafka, as a process of its own.

    python -m tests.engine_worker HOST SETTINGS.json

HOST is `group` or `faust`. Says READY when it owns what the group gave it; ends on SIGTERM with 0. On SIGUSR1
its consumer hangs in the middle of a fetch.
"""

import asyncio
import logging
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import msgspec

from streams.engine.group_host import GroupHost
from streams.engine.kafka_engine import EngineSpec, group_of, kafka_runner
from streams.engine.runner import Runner
from streams.engine.standby import Standbys
from streams.settings import Settings
from streams.topic_plans import user_state_changelog
from streams.watchdog import Watchdog
from tests.counting import CountingProcessor, Event

NAME = "counting"
PARTITIONS = 64
"""As many as any test has."""


def spec(settings: Settings) -> EngineSpec:
    source = settings.topics.interactions_encoded
    return EngineSpec(NAME, source, user_state_changelog(settings), Path(settings.app.data) / NAME)


def run(settings: Settings, host: str, stopped: Callable[[], bool]) -> None:
    processor = CountingProcessor(settings.topics.interests)
    watched = spec(settings)
    watchdogs = [Watchdog(name, settings.app.watchdog_seconds) for name in (NAME, f"{NAME} consumer")]
    runner = kafka_runner(settings, replace(watched, beat=watchdogs[0].beat), processor)
    for say in (say_ready, say_warm):
        threading.Thread(target=say, args=(runner,), daemon=True).start()
    made = host_class(host)(
        settings.kafka, group_of(settings, NAME), watched.source, runner, watchdogs[1].beat
    )
    for watchdog in watchdogs:
        watchdog.start()
    made.run(stopped)


def host_class(host: str) -> Any:
    if host == "group":
        return GroupHost
    # Importing Faust takes longer than all the rest together.
    from streams.interests.faust_host import FaustHost

    return FaustHost


def hang(host: str) -> None:
    """From the next fetch on."""
    if host == "group":
        GroupHost._deliver = lambda _: threading.Event().wait()  # type: ignore[method-assign]
        return
    from streams.interests.faust_consumer import EngineConsumer

    async def forever(*_: object) -> None:
        await asyncio.Event().wait()

    EngineConsumer._getmany = forever


def say_ready(runner: Runner[Event]) -> None:
    said: set[int] = set()
    while runner.failure is None:
        if runner.ready() and runner.partitions() != said:
            said = runner.partitions()
            print("READY", *sorted(said), flush=True)
        threading.Event().wait(0.01)


def say_warm(runner: Runner[Event]) -> None:
    """Which partitions of others it could take over at once."""
    standbys, said = cast(Standbys, runner.standbys), set[int]()
    while runner.failure is None:
        warm = {number for number in range(PARTITIONS) if standbys.level(number)}
        if warm != said:
            said = warm
            print("WARM", *sorted(said), flush=True)
        threading.Event().wait(0.02)


def main() -> None:
    logging.basicConfig()
    logging.getLogger("streams.engine").setLevel(logging.INFO)
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    signal.signal(signal.SIGUSR1, lambda *_: hang(sys.argv[1]))
    settings = msgspec.json.decode(Path(sys.argv[2]).read_bytes(), type=Settings)
    run(settings, sys.argv[1], stop.is_set)


if __name__ == "__main__":
    main()
