"""How long partitions are silent when workers die, join and leave, and what it takes to take over much state.

    python -m tests.takeover [--megabytes 100] [--brokers 1] [--standbys 1] [--kills 3]

Prints a table: for each thing that happens, the longest silence of the outputs, by partitions that moved and
partitions that stayed. One event a partition goes in every 20 ms. The state is as large for each partition as
`--megabytes` says, in records of 6 KB.
"""

import argparse
import os
import shutil
import tempfile
import threading
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from pathlib import Path

from msgspec.structs import replace
from rich.console import Console
from rich.table import Table

from streams import kafka
from streams.broker import ClusterOptions, LocalCluster
from streams.settings import Settings
from streams.topic_plans import user_state_changelog
from streams.topics import create_topics
from tests.counting import Event, pack
from tests.engine_feed import EngineProcess, Feed, check_outputs, wait_for_end
from tests.integration.conftest import fresh_settings

TICK_SECONDS = 0.02
KIND_FILLER = b"z"
FILLER_BYTES = 6_000
LEVEL_SECONDS = 600.0


class Pulse(Feed):
    """One event a partition, in every tick."""

    ticks = 0

    def tick(self) -> None:
        packs = []
        for partition in range(self._partitions):
            first = self._next[partition]
            user = f"{partition}-{self.ticks % 20}"
            self._apply(Event(user, first))
            self._next[partition] = first + 1
            packs.append((partition, pack(first, [user])))
        self.ticks += 1
        self._transact(packs, commit=True)

    @contextmanager
    def beating(self) -> Iterator[None]:
        stop = threading.Event()
        thread = threading.Thread(target=self._beat, args=(stop,))
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join(60)

    def _beat(self, stop: threading.Event) -> None:
        began, done = time.monotonic(), 0
        while not stop.wait(max(0.0, began + done * TICK_SECONDS - time.monotonic())):
            self.tick()
            done += 1


class Ear:
    """Hears when an output of each source partition comes to a `read_committed` reader."""

    def __init__(self, settings: Settings) -> None:
        self.heard: dict[int, list[float]] = defaultdict(list)
        self._settings = settings
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._listen, daemon=True)

    def __enter__(self) -> "Ear":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(30)

    def silence(self, partition: int, since: float, until: float) -> float:
        """Longest time between two outputs of the partition, in seconds."""
        times = [since, *(at for at in list(self.heard[partition]) if since <= at <= until), until]
        return max(later - earlier for earlier, later in pairwise(times))

    def _listen(self) -> None:
        topics = self._settings.topics
        reader = kafka.consumer(
            self._settings.kafka,
            f"ear-{uuid.uuid4().hex}",
            {"fetch.wait.max.ms": 5, "auto.offset.reset": "latest"},
        )
        partitions = range(topics.partitions)
        reader.assign(
            [kafka.TopicPartition(topics.interests, number, kafka.OFFSET_END) for number in partitions]
        )
        while not self._stop.is_set():
            message = reader.poll(0.05)
            if message is not None and message.error() is None:
                self.heard[int((message.key() or b"").partition(b"-")[0])].append(time.monotonic())
        reader.close()


@dataclass
class Silences:
    """Longest silence in seconds, by partition."""

    what: str
    moved: dict[int, float] = field(default_factory=dict)
    stayed: dict[int, float] = field(default_factory=dict)

    def row(self) -> list[str]:
        return [self.what, *(self._told(each) for each in (self.moved, self.stayed))]

    @staticmethod
    def _told(silences: dict[int, float]) -> str:
        return "  ".join(f"{number}: {seconds:.2f}" for number, seconds in sorted(silences.items())) or "-"


class Crew:
    """Workers on the Faust host, each with a disk of its own."""

    def __init__(self, settings: Settings, ear: Ear) -> None:
        self._settings = settings
        self._ear = ear
        self._disks = 0
        self.workers: dict[str, EngineProcess] = {}

    def __enter__(self) -> "Crew":
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self.workers.values():
            worker.kill()

    def start(self, disk: str = "") -> str:
        self._disks += not disk
        name = disk or f"disk-{self._disks}"
        self.workers[name] = EngineProcess(self.settings_of(name), "faust")
        return name

    def settings_of(self, name: str) -> Settings:
        folder = Path(self._settings.app.data).parent / name
        return replace(self._settings, app=replace(self._settings.app, data=str(folder)))

    def owners(self) -> dict[int, str]:
        return {
            number: name for name, worker in self.workers.items() if worker.alive() for number in worker.owned
        }

    def wait_settled(self, each: int, seconds: float = LEVEL_SECONDS) -> None:
        """Until every living worker owns so many partitions at least, and what stands by is level."""
        give_up = time.monotonic() + seconds
        while not self._settled(each):
            assert time.monotonic() < give_up, {n: (w.owned, w.warm) for n, w in self.workers.items()}
            time.sleep(0.05)

    def during(self, what: str, act: Callable[[], object], after: Callable[[], object]) -> Silences:
        """What was silent from `act` until `after` has returned, and a little longer."""
        time.sleep(1.0)
        before, since = self.owners(), time.monotonic()
        act()
        after()
        time.sleep(2.0)
        until, silences = time.monotonic(), Silences(what)
        now = self.owners()
        for number in range(self._settings.topics.partitions):
            kind = silences.stayed if before.get(number) == now.get(number) else silences.moved
            kind[number] = self._ear.silence(number, since, until)
        return silences

    def _settled(self, each: int) -> bool:
        living = [worker for worker in self.workers.values() if worker.alive()]
        partitions = self._settings.topics.partitions
        copies = min(self._settings.interests.standbys, len(living) - 1) * partitions
        return (
            sum(len(worker.owned) for worker in living) == partitions
            and all(len(worker.owned) >= each for worker in living)
            and sum(len(worker.warm) for worker in living) == copies
        )


def fill(settings: Settings, megabytes: int) -> None:
    """Give each partition so much state before any worker starts; a tenth of it is deleted again."""
    topic, count = user_state_changelog(settings), megabytes * 1_000_000 // FILLER_BYTES
    client = kafka.producer(settings.kafka, f"{settings.app.name}-filler", {"linger.ms": 5})
    client.init_transactions(30)
    noise = os.urandom(4 * FILLER_BYTES)
    for first in range(0, count, 500):
        client.begin_transaction()
        for number in range(first, min(count, first + 500)):
            start = number % (3 * FILLER_BYTES)
            for partition in range(settings.topics.partitions):
                value = noise[start : start + FILLER_BYTES] if number % 10 else None
                client.produce(topic, value, KIND_FILLER + b"%08d" % number, partition)
        client.commit_transaction(60)


def measure(settings: Settings, kills: int) -> Iterator[Silences]:
    """Kills of one of two workers, and a third that joins with an empty disk, leaves and comes back."""
    with Ear(settings) as ear, Crew(settings, ear) as crew:
        crew.start()
        crew.start()
        half = settings.topics.partitions // 2
        crew.wait_settled(half)
        pulse = Pulse(settings)
        with pulse.beating():
            time.sleep(3.0)
            for turn in range(kills):
                victim = sorted(crew.workers)[turn % 2]
                yield crew.during("kill -9", crew.workers[victim].kill, partial(crew.wait_settled, 2 * half))
                back = partial(crew.start, victim)
                yield crew.during("it comes back", back, partial(crew.wait_settled, half))
            settled = partial(crew.wait_settled, 1)
            yield crew.during("a third joins, empty disk", crew.start, settled)
            stop = crew.workers["disk-3"].stop
            yield crew.during("the third leaves", stop, partial(crew.wait_settled, half))
            yield crew.during("and comes back", partial(crew.start, "disk-3"), settled)
        wait_for_end(settings, pulse)
        check_outputs(settings, pulse)


def show(silences: Sequence[Silences]) -> None:
    table = Table("what", "moved: longest silence, s", "stayed")
    for each in silences:
        table.add_row(*each.row())
    Console(width=120).print(table)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--megabytes", type=int, default=100)
    parser.add_argument("--brokers", type=int, default=1)
    parser.add_argument("--standbys", type=int, default=1)
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--partitions", type=int, default=4)
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="penchant-takeover-"))
    try:
        with LocalCluster(folder / "broker", ClusterOptions(brokers=arguments.brokers)) as cluster:
            settings = fresh_settings(cluster.bootstrap_servers, folder / "data", arguments.partitions)
            settings = replace(
                settings,
                topics=replace(settings.topics, replication=min(3, arguments.brokers)),
                interests=replace(settings.interests, standbys=arguments.standbys),
            )
            create_topics(settings)
            began = time.monotonic()
            fill(settings, arguments.megabytes)
            print(f"filled in {time.monotonic() - began:.0f} s", flush=True)
            found = []
            for each in measure(settings, arguments.kills):
                found.append(each)
                print(*each.row(), sep=" | ", flush=True)
            show(found)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
