"""A worker for the engine's failure tests: the counting processor on a real Kafka, as a process of its own.

    python -m tests.engine_worker HOST SETTINGS.json

HOST is `group` or `faust`. Ends on SIGTERM with 0; says `READY` when it owns what the group gave it.
"""

import signal
import sys
import threading
from pathlib import Path

import msgspec

from state.rocks import RocksStore
from streams.engine.engine import Engine, EngineOptions, Resources
from streams.engine.group_host import GroupHost
from streams.engine.kafka_journal import JournalNames, KafkaJournal
from streams.engine.runner import Runner, RunnerOptions
from streams.interests.faust_host import FaustHost
from streams.settings import Settings
from streams.topics import user_state_changelog
from tests.counting import CountingProcessor, Event

NAME = "counting"


def names(settings: Settings) -> JournalNames:
    return JournalNames(
        f"{settings.app.name}-{NAME}", settings.topics.interactions_encoded, user_state_changelog(settings)
    )


def engine(settings: Settings, processor: CountingProcessor | None = None) -> Engine[Event]:
    resources = Resources(
        lambda number: RocksStore(store_path(settings, number)),
        lambda number: KafkaJournal(settings.kafka, names(settings), number),
    )
    if processor is None:
        processor = CountingProcessor(settings.topics.interests)
    return Engine(processor, resources, EngineOptions(NAME, settings.interests.batch_rows))


def store_path(settings: Settings, number: int) -> Path:
    return Path(settings.app.data) / NAME / str(number)


def run(settings: Settings, host: str, stop: threading.Event) -> None:
    rest = settings.kafka.session_timeout_ms / 1000 + 1
    runner = Runner(engine(settings), RunnerOptions(NAME, settings.interests.queued_packs, rest))
    threading.Thread(target=say_ready, args=(runner,), daemon=True).start()
    source, group = settings.topics.interactions_encoded, f"{settings.app.name}-{NAME}"
    if host == "group":
        GroupHost(settings.kafka, group, source, runner).run(stop)
    else:
        FaustHost(settings.kafka, group, source, runner).run(stop)


def say_ready(runner: Runner[Event]) -> None:
    while not runner.ready():
        threading.Event().wait(0.01)
    print("READY", sorted(runner.partitions()), flush=True)


def main() -> None:
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    settings = msgspec.json.decode(Path(sys.argv[2]).read_bytes(), type=Settings)
    run(settings, sys.argv[1], stop)


if __name__ == "__main__":
    main()
