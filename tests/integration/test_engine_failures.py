"""The engine on a real Kafka: killed, stopped, overtaken, wiped; compared with the reference fold.

The short form. `tests/soak` does all of it on both hosts, and for longer.
"""

import shutil
import signal
from pathlib import Path

import pytest
from msgspec.structs import replace

from streams.settings import Settings
from streams.watchdog import EXIT_CODE
from tests.engine_feed import EngineProcess, Feed, changelog, check, states, stores, wait_for_end
from tests.output_watch import Watch, counting_sight

HOSTS = ["group", "faust"]
READER_SECONDS = 30.0


def static(settings: Settings) -> Settings:
    """A static member takes its place in the group again at once, where the group would wait else."""
    client = {**settings.kafka.client, "group.instance.id": "the-worker"}
    return replace(settings, kafka=replace(settings.kafka, client=client))


def beside(settings: Settings) -> Settings:
    """Another worker of the same deployment, with a disk of its own."""
    return replace(settings, app=replace(settings.app, data=f"{settings.app.data}-beside"))


@pytest.mark.parametrize("host", HOSTS)
def test_kill_at_every_step(settings: Settings, host: str) -> None:
    """And a reader who is there all along sees each user's versions grow, and none of them twice."""
    settings = static(settings)
    feed = Feed(settings)
    with Watch(settings, [settings.topics.interests], counting_sight) as reader:
        for step in range(1, 7):
            feed.send(40)
            # However few batches the backlog makes, those that follow bring it to the step again.
            with feed.sending(40):
                EngineProcess(settings, host, f"{step}x3").wait_killed()
        last = EngineProcess(settings, host)
        try:
            wait_for_end(settings, feed)
            check(settings, feed)
            last.stop()
        finally:
            last.kill()
        assert reader.wait_read(feed.events, READER_SECONDS)
        assert reader.backwards == []
    assert states(stores(settings)) == feed.states
    assert stores(settings) == changelog(settings)


@pytest.mark.parametrize("host", ["faust"])
def test_a_wiped_disk_is_restored_byte_for_byte(settings: Settings, host: str) -> None:
    settings = static(settings)
    feed = Feed(settings)
    feed.send(200)
    first = EngineProcess(settings, host)
    try:
        wait_for_end(settings, feed)
        first.stop()
    finally:
        first.kill()
    warm = stores(settings)
    shutil.rmtree(Path(settings.app.data))
    second = EngineProcess(settings, host)
    try:
        assert second.wait_ready() == {0, 1, 2, 3}
        second.stop()
    finally:
        second.kill()
    assert stores(settings) == warm
    check(settings, feed)


@pytest.mark.parametrize(("host", "step"), [("group", 4), ("faust", 5)])
def test_a_zombie_stopped_in_its_batch(settings: Settings, host: str, step: int) -> None:
    feed = Feed(settings)
    zombie = EngineProcess(settings, host, f"stop {step}x4")
    heir = None
    try:
        zombie.wait_ready()
        with feed.sending(60):
            zombie.wait_stopped()
        feed.send(20)
        heir = EngineProcess(beside(settings), host)
        heir.wait_owning(lambda owned: owned == {0, 1, 2, 3})
        feed.send(20)
        wait_for_end(settings, feed)
        check(settings, feed)
        zombie.signal(signal.SIGCONT)
        feed.send(40)
        wait_for_end(settings, feed)
        assert zombie.alive()
        check(settings, feed)
        heir.stop()
        feed.send(20)
        wait_for_end(settings, feed)
        zombie.stop()
        check(settings, feed)
    finally:
        zombie.kill()
        if heir is not None:
            heir.kill()


@pytest.mark.parametrize("host", ["faust"])
def test_two_workers_share_and_hand_over(settings: Settings, host: str) -> None:
    feed = Feed(settings)
    first = EngineProcess(settings, host)
    second = None
    try:
        with feed.sending(100):
            first.wait_owning(lambda owned: len(owned) == 4)
            second = EngineProcess(beside(settings), host)
            assert len(second.wait_ready()) == 2
            first.stop()
            assert second.wait_owning(lambda owned: len(owned) == 4) == {0, 1, 2, 3}
            first = EngineProcess(settings, host)
            first.wait_ready()
        wait_for_end(settings, feed)
        check(settings, feed)
        first.stop()
        second.stop()
    finally:
        first.kill()
        if second is not None:
            second.kill()
    check(settings, feed)


@pytest.mark.parametrize("host", ["faust"])
def test_a_consumer_that_hangs_ends_its_process(settings: Settings, host: str) -> None:
    """The engine itself is well then, and only has nothing to do: it is the consumer that is watched."""
    settings = static(replace(settings, app=replace(settings.app, watchdog_seconds=3)))
    feed = Feed(settings)
    hanging = EngineProcess(settings, host)
    try:
        feed.send(20)
        wait_for_end(settings, feed)
        hanging.signal(signal.SIGUSR1)
        feed.send(20)
        assert hanging.wait_ended() == EXIT_CODE
        assert "consumer made no step" in hanging.said()
    finally:
        hanging.kill()
    heir = EngineProcess(settings, host)
    try:
        wait_for_end(settings, feed)
        check(settings, feed)
        heir.stop()
    finally:
        heir.kill()
