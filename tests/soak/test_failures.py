"""Failures under load, by `make soak`: after each, the topics and stores are those of the reference fold."""

import random
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from streams.broker import ClusterOptions, LocalCluster
from streams.settings import Settings
from streams.topics import create_topics
from streams.watchdog import EXIT_CODE
from tests.full_disk import FullDisk, skip_without_small_disks
from tests.integration.conftest import fresh_settings
from tests.soak.outcomes import REPETITIONS
from tests.soak.stages import EngineStage, Stage, WorkersStage
from tests.soak.trials import Seat, trial

pytestmark = [pytest.mark.soak, pytest.mark.timeout(1_800)]

MakeStage = Callable[[Settings], Stage]
STAGES: dict[str, MakeStage] = {
    "group": lambda settings: EngineStage(settings, "group"),
    "faust": lambda settings: EngineStage(settings, "faust"),
    "workers": WorkersStage,
}
SESSION_SECONDS = 6.0
WATCHDOG_SECONDS = 20.0
"""Less than a broker is away here: that must not look like a hang."""
LONG = "10"
"""Batches that a doomed worker commits before its fault."""


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    with LocalCluster(tmp_path_factory.mktemp("kafka")) as made:
        yield made


@pytest.fixture(params=STAGES)
def make_stage(request: pytest.FixtureRequest) -> MakeStage:
    return STAGES[request.param]


@pytest.fixture(params=range(REPETITIONS))
def repetition(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture
def stage(shared: LocalCluster, make_stage: MakeStage, tmp_path: Path, repetition: int) -> Stage:
    """Fresh topics on the shared broker."""
    settings = fresh_settings(shared.bootstrap_servers, tmp_path)
    settings = replace(settings, app=replace(settings.app, watchdog_seconds=WATCHDOG_SECONDS))
    create_topics(settings)
    return make_stage(settings)


def test_kill_9_at_each_step(stage: Stage) -> None:
    """A further worker joins, gets partitions, and dies at the step; the others take over."""
    with trial(stage, "kill -9 at each numbered step") as run:
        for step in range(1, 7):
            doomed = [
                run.seat(kind).start(f"{step}x{LONG}") for kind in stage.kinds if step in stage.steps[kind]
            ]
            for seat in doomed:
                seat.process.wait_killed()
            run.progress()


def test_kill_9_at_random(stage: Stage, repetition: int) -> None:
    chance = random.Random(repetition)
    with trial(stage, "kill -9 at random, started again") as run:
        for _ in range(3):
            for kind in stage.kinds:
                victim = chance.choice([seat for seat in run.seats if seat.kind == kind])
                victim.process.kill()
                time.sleep(chance.uniform(0.0, 2.0))
                victim.start()
            run.progress()


def test_takeover(stage: Stage) -> None:
    """Nobody comes back: the other worker serves all."""
    with trial(stage, "kill -9, the other worker takes over") as run:
        for seat in run.each_kind():
            seat.process.kill()
        run.progress()


def test_rolling_restart(stage: Stage) -> None:
    with trial(stage, "rolling restart (SIGTERM)") as run:
        for seat in list(run.seats):
            seat.process.stop()
            seat.start().process.wait_ready()
            run.progress()


def test_scale_from_one_to_three_to_one(stage: Stage) -> None:
    with trial(stage, "scale 1 to 3 to 1", workers=1) as run:
        first = list(run.seats)
        for seat in [*run.start(), *run.start()]:
            seat.process.wait_ready()
        run.progress()
        for seat in [*first, *run.seats[len(first) : 2 * len(first)]]:
            seat.process.stop()
            run.progress()


def test_all_drain_at_once(stage: Stage) -> None:
    with trial(stage, "SIGTERM to all, then a new start") as run:
        for seat in run.seats:
            seat.process.signal(signal.SIGTERM)
        for seat in run.seats:
            assert seat.process.wait_ended() == 0
        for seat in run.seats:
            seat.start()
        run.progress()


def test_a_zombie(stage: Stage) -> None:
    """Stopped for longer than a session; it wakes when its partitions are others'."""
    with trial(stage, "SIGSTOP, awake after its partitions moved") as run:
        for seat in run.each_kind():
            awakened(seat, run.progress)


def test_a_zombie_in_its_batch(stage: Stage) -> None:
    """Stopped between handing records to its client and committing them."""
    with trial(stage, "SIGSTOP within a batch, awake after its partitions moved") as run:
        doomed = [run.seat(kind).start(f"stop 4x{LONG}") for kind in stage.kinds]
        for seat in doomed:
            seat.process.wait_stopped()
        for seat in doomed:
            awakened(seat, run.progress)


def awakened(seat: Seat, progress: Callable[[], None]) -> None:
    seat.process.signal(signal.SIGSTOP)
    began = time.monotonic()
    progress()
    time.sleep(max(0.0, 2 * SESSION_SECONDS - (time.monotonic() - began)))
    seat.process.signal(signal.SIGCONT)
    progress()
    assert seat.process.alive(), seat.process.said()[-2_000:]


def test_wiped_and_warm(stage: Stage) -> None:
    """A worker that lost its disk has, byte for byte, what one with a warm disk has."""
    with trial(stage, "kill -9 and wiped disk, against a warm restart") as run:
        for seat in run.each_kind():
            seat.process.kill()
            shutil.rmtree(seat.settings.app.data)
            seat.start().process.wait_ready()
        run.progress()
    for disk in (run.seats[0].settings, run.seat(stage.kinds[-1]).settings):
        worker = stage.launch(stage.kinds[-1], disk)
        try:
            worker.wait_ready()
            worker.stop()
        finally:
            worker.kill()
        assert len(list(stage.stores(disk))) == stage.settings.topics.partitions
        assert stage.differing_stores([disk]) == 0


def test_a_full_disk(stage: Stage, tmp_path: Path) -> None:
    """The worker with the states ends; on the same files, and with room, it goes on."""
    skip_without_small_disks(tmp_path)
    with trial(stage, "full disk, then room again") as run:
        seat = run.seat(stage.kinds[-1])
        disk = FullDisk(stage.disk(seat.settings))
        seat.start(wrapped=disk.wrapped).process.wait_ready()
        run.progress()
        disk.fill()
        assert disk.ended() == 1
        assert "No space left on device" in seat.process.said()
        seat.process.wait_ready()
        run.progress()
        seat.process.stop()


@pytest.mark.parametrize("make_stage", [STAGES["group"], STAGES["faust"]], ids=["group", "faust"])
def test_a_consumer_that_hangs(stage: Stage) -> None:
    """The watchdog ends its process; the other worker takes over."""
    with trial(stage, f"hung consumer, watchdog at {WATCHDOG_SECONDS:.0f} s") as run:
        seat = run.seat("engine").start()
        seat.process.wait_ready()
        run.progress()
        seat.process.signal(signal.SIGUSR1)
        assert seat.process.wait_ended() == EXIT_CODE
        run.progress()


@pytest.mark.parametrize(("how", "seconds"), [("restart", 0.0), ("stop", 15.0), ("pause", 60.0)])
def test_a_broker_that_is_away(stage: Stage, shared: LocalCluster, how: str, seconds: float) -> None:
    words = {"restart": "broker restarted", "stop": "broker down for 15 s", "pause": "broker silent for 60 s"}
    stage.spare_aborts()
    try:
        with trial(stage, words[how]) as run:
            (shared.pause if how == "pause" else shared.stop)()
            time.sleep(seconds)
            (shared.resume if how == "pause" else shared.start)()
            run.progress()
            assert all(seat.process.alive() for seat in run.seats)
    finally:
        shared.resume()
        shared.start()


@pytest.mark.parametrize(("brokers", "controllers"), [(2, 1), (3, 3)])
def test_a_cluster_that_loses_a_broker(
    tmp_path: Path, make_stage: MakeStage, repetition: int, brokers: int, controllers: int
) -> None:
    options = ClusterOptions(brokers=brokers, controllers=controllers)
    with LocalCluster(tmp_path / "kafka", options) as cluster:
        settings = fresh_settings(cluster.bootstrap_servers, tmp_path, replication=brokers)
        create_topics(settings)
        with trial(make_stage(settings), f"one of {brokers} brokers killed, twice") as run:
            for _ in range(2):
                cluster.brokers[-1].kill()
                run.progress()
                cluster.start()
                run.progress()
            assert all(seat.process.alive() for seat in run.seats)
