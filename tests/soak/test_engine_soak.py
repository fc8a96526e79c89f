"""Further long failure runs of the engine: kills by chance, and a broker that is killed."""

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from streams.broker import LocalCluster
from streams.settings import Settings
from streams.topics import create_topics
from tests.engine_feed import EngineProcess, Feed, changelog, check, states, stores, wait_for_end
from tests.integration.conftest import fresh_settings

pytestmark = [pytest.mark.soak, pytest.mark.timeout(1_800)]

HOSTS = ["group", "faust"]
PACE = 150.0
"""Packs a second."""
MINUTE = 60.0


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[LocalCluster]:
    with LocalCluster(tmp_path / "kafka") as made:
        yield made


@pytest.fixture
def settings(cluster: LocalCluster, tmp_path: Path) -> Settings:
    made = fresh_settings(cluster.bootstrap_servers, tmp_path / "one")
    create_topics(made)
    return made


def beside(settings: Settings, name: str = "two") -> Settings:
    """Another worker of the same deployment, with a disk of its own."""
    return replace(settings, app=replace(settings.app, data=str(Path(settings.app.data).parent / name)))


def settle(settings: Settings, feed: Feed, seconds: float = 300.0) -> None:
    wait_for_end(settings, feed, seconds)
    check(settings, feed)


class Crew:
    """Two workers, each put back to work when it has ended."""

    def __init__(self, settings: Settings, host: str, fault: str = "") -> None:
        self._settings = [settings, beside(settings)]
        self._host = host
        self.fault = fault
        self.ends = 0
        self.workers = [self._start(one) for one in self._settings]

    def tend(self) -> None:
        for index, worker in enumerate(self.workers):
            if not worker.alive():
                self.ends += 1
                self.workers[index] = self._start(self._settings[index])

    def tend_for(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self.tend()
            time.sleep(0.2)

    def end(self) -> None:
        for worker in self.workers:
            if worker.alive():
                worker.stop()

    def kill(self) -> None:
        for worker in self.workers:
            worker.kill()

    def _start(self, settings: Settings) -> EngineProcess:
        return EngineProcess(settings, self._host, self.fault)


@pytest.fixture(params=HOSTS)
def host(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_random_kills_inside_the_commit(settings: Settings, host: str) -> None:
    feed = Feed(settings)
    crew = Crew(settings, host, ".0005")
    try:
        with feed.sending(PACE):
            crew.tend_for(3 * MINUTE)
        crew.fault = ""
        crew.kill()
        crew.tend()
        settle(settings, feed)
        crew.end()
    finally:
        crew.kill()
    assert crew.ends > 3
    check(settings, feed)


def test_a_broker_that_is_killed(settings: Settings, cluster: LocalCluster, host: str) -> None:
    """Workers wait, and go on by themselves.

    A broker without replicas that was killed may forget to end a transaction (docs/decisions/0005): what
    was aborted is then committed with the next one. States bear it, since the next one writes them again;
    outputs come twice.
    """
    feed = Feed(settings)
    crew = Crew(settings, host)
    try:
        crew.tend_for(5)
        for away in (3, 30, 90):
            feed.send(200)
            cluster.kill()
            crew.tend_for(away)
            cluster.start()
            feed.send(200)
            wait_for_end(settings, feed, 300.0)
            crew.tend_for(5)
            check(settings, feed, doubles=True)
        crew.end()
    finally:
        crew.kill()
    assert crew.ends == 0


def test_a_stop_while_the_broker_is_away(settings: Settings, cluster: LocalCluster, host: str) -> None:
    """A worker that cannot tell the broker is no worker that hangs, and what it left in doubt is resolved."""
    feed = Feed(settings)
    worker = EngineProcess(settings, host)
    try:
        worker.wait_ready()
        feed.send(200)
        cluster.pause()
        worker.signal(signal.SIGTERM)
        worker.wait_ended(120)
        cluster.resume()
        feed.send(20)
        worker = EngineProcess(settings, host)
        settle(settings, feed)
        worker.stop()
    finally:
        cluster.resume()
        worker.kill()


def test_wiped_again_and_again(settings: Settings, host: str) -> None:
    feed = Feed(settings)
    for turn in range(5):
        worker = EngineProcess(beside(settings, f"disk-{turn}"), host)
        try:
            feed.send(500)
            settle(settings, feed)
            worker.stop()
        finally:
            worker.kill()
        kept = stores(beside(settings, f"disk-{turn}"))
        assert kept == changelog(settings)
        assert states(kept) == feed.states
