"""Long failures of the encode worker: a broker that is away, a worker that sleeps, kills upon kills."""

import random
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from msgspec.structs import replace

from encoders.base import Encoded, Medium
from state.events import RowKind
from streams.broker import LocalCluster
from streams.encode.media import MediaEncoder
from streams.settings import Settings
from streams.topics import create_topics
from tests.encode_harness import SECONDS, child, covered, event, progress, rows_of, running, until
from tests.fake_media import FakeBank, FakeFetcher
from tests.integration.conftest import fresh_settings, produce_json

pytestmark = pytest.mark.soak


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[LocalCluster]:
    with LocalCluster(tmp_path / "kafka") as made:
        yield made


@pytest.fixture
def settings(cluster: LocalCluster, tmp_path: Path) -> Settings:
    made = fresh_settings(cluster.bootstrap_servers, tmp_path / "data")
    create_topics(made)
    return made


class Load:
    """Events at a few hundred a second, until told to end."""

    def __init__(self, settings: Settings) -> None:
        self.sent = 0
        self._settings = settings
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._feed, daemon=True)

    def _feed(self) -> None:
        while not self._stop.wait(0.05):
            self.burst(20)

    def burst(self, count: int) -> None:
        numbers = range(self.sent, self.sent + count)
        produce_json(self._settings, self._settings.topics.interactions, [event(each) for each in numbers])
        self.sent += count

    def start(self) -> None:
        self._thread.start()

    def end(self) -> None:
        self._stop.set()
        self._thread.join(SECONDS)


@contextmanager
def load_on(settings: Settings) -> Iterator[Load]:
    load = Load(settings)
    load.start()
    try:
        yield load
    finally:
        load.end()


def all_covered_once(settings: Settings, load: Load) -> None:
    until("all to be covered", lambda: covered(settings) == load.sent, 120.0)
    events = [row for row in rows_of(settings) if row.kind == RowKind.EVENT]
    assert sorted(int(row.event_id[1:]) for row in events) == list(range(load.sent))


def kill(cluster: LocalCluster, seconds: float, wait: Callable[[float], bool]) -> None:
    cluster.kill()
    wait(seconds)
    cluster.restart_same_port()


def pause(cluster: LocalCluster, seconds: float, wait: Callable[[float], bool]) -> None:
    cluster.pause()
    wait(seconds)
    cluster.resume()


@pytest.mark.parametrize(("away", "seconds"), [(kill, 3), (kill, 15), (kill, 60), (pause, 15), (pause, 60)])
def test_a_broker_that_is_away_costs_waiting_and_nothing_else(
    cluster: LocalCluster,
    settings: Settings,
    away: Callable[[LocalCluster, float, Callable[[float], bool]], None],
    seconds: float,
) -> None:
    with child(settings) as worker:
        worker.wait_ready()
        with load_on(settings) as load:
            progress(settings)
        load.burst(500)
        away(cluster, seconds, threading.Event().wait)
        load.burst(100)
        all_covered_once(settings, load)
        assert worker.process.poll() is None
        assert worker.terminate() == 0


def test_a_worker_that_slept_past_its_session_writes_nothing_twice(settings: Settings) -> None:
    """The coordinator refuses the offsets of a member that is out, and with them all of its transaction."""
    with child(settings) as sleeper, child(settings) as other:
        sleeper.wait_ready()
        other.wait_ready()
        with load_on(settings) as load:
            progress(settings)
            for _ in range(4):
                sleeper.process.send_signal(signal.SIGSTOP)
                threading.Event().wait(9.0)
                progress(settings)
                sleeper.process.send_signal(signal.SIGCONT)
                threading.Event().wait(3.0)
        all_covered_once(settings, load)
        assert other.terminate() == 0


def test_a_batch_longer_than_the_poll_interval_keeps_its_partitions(settings: Settings) -> None:
    """Encoding takes twice the time within which the group wants to hear of its member."""
    kafka = replace(settings.kafka, max_poll_interval_ms=6_000)
    began = threading.Event()

    class SlowBank(FakeBank):
        def encode(self, media: Sequence[Medium]) -> list[Encoded]:
            began.set()
            threading.Event().wait(12.0)
            return super().encode(media)

    def slow(*_: object) -> MediaEncoder:
        return MediaEncoder(SlowBank(), FakeFetcher(), 1.0)

    produce_json(settings, settings.topics.interactions, [event(0)])
    with running(replace(settings, kafka=kafka), slow):
        assert began.wait(SECONDS)
        until("the event to be covered", lambda: covered(settings) == 1)
    assert len(rows_of(settings)) == 1


def test_many_kills_of_many_workers(settings: Settings) -> None:
    chance = random.Random(11)
    with ExitStack() as stack, load_on(settings) as load:
        workers = [stack.enter_context(child(settings)) for _ in range(2)]
        for _ in range(12):
            progress(settings)
            threading.Event().wait(chance.uniform(0.0, 1.5))
            victim = workers.pop(chance.randrange(len(workers)))
            victim.kill()
            workers.append(stack.enter_context(child(settings)))
        load.end()
        all_covered_once(settings, load)
        assert [worker.terminate() for worker in workers] == [0, 0]
