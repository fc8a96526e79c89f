"""What the engine's failure tests feed, what must come of it, and the workers that they maltreat."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from queue import Empty, SimpleQueue
from random import Random

import msgspec

from state.rocks import RocksStore
from streams.broker.java import Leash
from streams.broker.running import process_state
from streams.engine.faults import VARIABLE
from streams.engine.place import BOOKMARK_KEY, PLACE_KEY, Place
from streams.kafka import producer
from streams.settings import Settings
from streams.topic_plans import user_state_changelog
from tests.counting import KIND_USER, Event, correction, fold, pack
from tests.engine_worker import NAME
from tests.integration.conftest import read_all

USERS = 20
PATIENCE_SECONDS = 150.0
"""How long a feed bears a broker that is away, where its transactions may last so long."""
ROOT = Path(__file__).parents[1]


class Feed:
    """Writes packs as the encode worker does: in transactions, now and then one that is aborted."""

    def __init__(self, settings: Settings, seed: int = 1) -> None:
        self._topic = settings.topics.interactions_encoded
        self._partitions = settings.topics.partitions
        self._random = Random(seed)
        self._next = [0] * self._partitions
        self._producer = producer(settings.kafka, f"{settings.app.name}-feed")
        self._producer.init_transactions(30)
        self.states: dict[bytes, bytes] = {}
        self.outputs: dict[bytes, list[bytes]] = defaultdict(list)
        self.events = 0
        self.aborts = 0.1
        """How often one that is aborted comes before a transaction."""

    def send(self, packs: int) -> None:
        """So many packs, over all partitions, in transactions of a few."""
        while packs > 0:
            several = min(packs, self._random.randint(1, 8))
            packs -= several
            if self._random.random() < self.aborts:
                self._transact([(0, pack(self._next[0], ["lost"]))], commit=False)
            self._transact([self._pack() for _ in range(several)], commit=True)

    def keep_sending(self, stop: threading.Event, packs_per_second: float) -> None:
        """Until `stop`, at an even pace."""
        began, sent = time.monotonic(), 0
        while not stop.wait(max(0.0, began + sent / packs_per_second - time.monotonic())):
            self.send(4)
            sent += 4

    @contextmanager
    def sending(self, packs_per_second: float) -> Iterator[None]:
        stop = threading.Event()
        thread = threading.Thread(target=self.keep_sending, args=(stop, packs_per_second))
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join(60)
        assert not thread.is_alive()

    def _pack(self) -> tuple[int, bytes]:
        partition = self._random.randrange(self._partitions)
        users = [f"{partition}-{self._random.randrange(USERS)}" for _ in range(self._random.randint(0, 3))]
        if users and self._random.random() < 0.1:
            for user in users:
                self._apply(Event(user, -1))
            return partition, correction(*users)
        first = self._next[partition]
        for index, user in enumerate(users):
            self._apply(Event(user, first + index))
        # One more raw offset is covered than rows are there: a dead letter, or a marker.
        self._next[partition] = first + len(users) + 1
        return partition, pack(first, users, end=self._next[partition])

    def _apply(self, event: Event) -> None:
        user = event.user.encode()
        self.states[user] = fold(self.states.get(user), event)
        self.outputs[user].append(self.states[user])
        self.events += 1

    def _transact(self, packs: list[tuple[int, bytes]], commit: bool) -> None:
        self._producer.begin_transaction()
        for partition, value in packs:
            self._producer.produce(self._topic, value, partition=partition)
        if commit:
            self._producer.commit_transaction(PATIENCE_SECONDS)
        else:
            self._producer.flush(PATIENCE_SECONDS)
            self._producer.abort_transaction(PATIENCE_SECONDS)


class EngineProcess:
    """One worker in a process of its own."""

    def __init__(self, settings: Settings, host: str, fault: str = "", wrapped: Sequence[str] = ()) -> None:
        """`wrapped` goes before it on its command line."""
        folder = Path(settings.app.data)
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "settings.json"
        path.write_bytes(msgspec.json.encode(settings))
        self._lines: SimpleQueue[str] = SimpleQueue()
        self._heard: list[str] = []
        self.owned: set[int] = set()
        """Partitions that it has open, as it said last."""
        self.warm: set[int] = set()
        """Partitions of others that it has level copies of."""
        self._log = folder / f"log-{time.monotonic_ns()}"
        self._process = subprocess.Popen(
            [*wrapped, sys.executable, "-m", "tests.engine_worker", host, str(path)],
            cwd=ROOT,
            env={**os.environ, VARIABLE: fault},
            stdout=subprocess.PIPE,
            stderr=self._log.open("wb"),
            text=True,
        )
        self._leash = Leash(self._process.pid)
        threading.Thread(target=self._listen, daemon=True).start()

    def wait_ready(self, seconds: float = 60.0) -> set[int]:
        """Partitions that it owns, once they are open."""
        return self.wait_owning(bool, seconds)

    def wait_owning(self, enough: Callable[[set[int]], object], seconds: float = 60.0) -> set[int]:
        give_up = time.monotonic() + seconds
        while True:
            try:
                line = self._lines.get(timeout=max(0.0, give_up - time.monotonic()))
            except Empty:
                raise AssertionError(f"not ready within {seconds:.0f} s; it said {self._heard}") from None
            self._heard.append(line)
            assert line, f"it ended with {self._process.wait(10)}: {self.said()[-2_000:]}"
            owned = {int(number) for number in line.split()[1:]}
            if enough(owned):
                return owned

    def wait_killed(self, seconds: float = 60.0) -> None:
        assert self.wait_ended(seconds) == -signal.SIGKILL, self.said()[-4_000:]

    def wait_ended(self, seconds: float = 60.0) -> int:
        try:
            return self._process.wait(seconds)
        finally:
            self._leash.release()

    def wait_stopped(self, seconds: float = 60.0) -> None:
        """Until it is stopped by SIGSTOP."""
        give_up = time.monotonic() + seconds
        while process_state(self._process.pid) not in ("T", "t"):
            assert time.monotonic() < give_up, "it was never stopped"
            time.sleep(0.02)

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def alive(self) -> bool:
        return self._process.poll() is None

    def stop(self, seconds: float = 60.0) -> None:
        """SIGTERM; it must drain and end with 0."""
        self._process.terminate()
        assert self.wait_ended(seconds) == 0, self.said()[-2_000:]

    def kill(self) -> None:
        if self.alive():
            self._process.kill()
            self.wait_ended(30)

    def said(self) -> str:
        """What it wrote to its log."""
        return self._log.read_text(errors="replace")

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            word, *numbers = line.split()
            if word == "WARM":
                self.warm = {int(number) for number in numbers}
                continue
            self.owned = {int(number) for number in numbers}
            self._lines.put(line.strip())
        self._lines.put("")


def wait_for_end(settings: Settings, feed: Feed, seconds: float = 60.0) -> None:
    """Until there are as many outputs as events, or time is over: what they say is for `check` to judge."""
    give_up = time.monotonic() + seconds
    while len(read_all(settings, settings.topics.interests)) < feed.events:
        if time.monotonic() > give_up:
            return
        time.sleep(0.2)


def check(settings: Settings, feed: Feed, doubles: bool = False) -> None:
    """Outputs and changelog are those of the reference fold: nothing lost, nothing twice, nothing aborted."""
    check_outputs(settings, feed, doubles)
    assert states(changelog(settings)) == feed.states


def check_outputs(settings: Settings, feed: Feed, doubles: bool = False) -> None:
    """Outputs are those of the reference fold. With `doubles`, one may come more than once."""
    outputs: dict[bytes, list[bytes]] = defaultdict(list)
    for message in read_all(settings, settings.topics.interests):
        values = outputs[message.key() or b""]
        if not doubles or message.value() not in values:
            values.append(message.value() or b"")
    wrong = {
        key: (len(outputs[key]), len(feed.outputs[key]))
        for key in outputs.keys() | feed.outputs.keys()
        if outputs[key] != feed.outputs[key]
    }
    assert not wrong, f"of {len(feed.outputs)} users {len(wrong)} have other outputs than expected: {wrong}"


def changelog(settings: Settings) -> dict[int, dict[bytes, bytes]]:
    """Last value of each key, by partition."""
    found: dict[int, dict[bytes, bytes]] = defaultdict(dict)
    for message in read_all(settings, user_state_changelog(settings)):
        found[message.partition() or 0][message.key() or b""] = message.value() or b""
    return found


def stores(settings: Settings) -> dict[int, dict[bytes, bytes]]:
    """What the local stores hold, but for the bookmark. Nobody may have them open."""
    found = {}
    for folder in (Path(settings.app.data) / NAME).iterdir():
        store = RocksStore(folder)
        found[int(folder.name)] = {key: value for key, value in store.scan(b"") if key != BOOKMARK_KEY}
        store.close()
    return found


def states(partitions: Mapping[int, Mapping[bytes, bytes]]) -> dict[bytes, bytes]:
    return {
        key[1:]: value
        for records in partitions.values()
        for key, value in records.items()
        if key.startswith(KIND_USER)
    }


def places(partitions: Mapping[int, Mapping[bytes, bytes]]) -> dict[int, Place]:
    return {number: Place.decode(records[PLACE_KEY]) for number, records in partitions.items()}
