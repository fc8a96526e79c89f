"""What the engine cannot mend: it says so, ends, and goes on exactly once the cause is gone."""

import shutil
import time
from pathlib import Path

import pytest
from msgspec.structs import replace

from streams.kafka import KafkaException, NewTopic, TopicPartition, admin_client
from streams.settings import Settings
from streams.topic_plans import user_state_changelog
from tests.cut_changelog import cut
from tests.engine_feed import EngineProcess, Feed, check, check_outputs, states, stores, wait_for_end
from tests.engine_worker import NAME
from tests.full_disk import FullDisk, skip_without_small_disks

SECONDS = 60.0
HOST = "group"


def test_a_full_disk_ends_the_worker_and_room_brings_it_back(settings: Settings, tmp_path: Path) -> None:
    skip_without_small_disks(tmp_path)
    client = {**settings.kafka.client, "group.instance.id": "the-worker"}
    settings = replace(settings, kafka=replace(settings.kafka, client=client))
    feed = Feed(settings)
    disk = FullDisk(Path(settings.app.data, NAME))
    worker = EngineProcess(settings, HOST, wrapped=disk.wrapped)
    try:
        worker.wait_ready()
        with feed.sending(100):
            disk.fill()
            assert disk.ended() == 1
        assert "No space left on device" in worker.said()
        feed.send(40)
        wait_for_end(settings, feed)
        check(settings, feed)
        worker.stop()
    finally:
        worker.kill()


@pytest.mark.filterwarnings("ignore:alter_configs")
def test_a_changelog_that_was_cut_is_no_restore(settings: Settings) -> None:
    """Nothing says so but the start of the log: what is left restores without an error."""
    feed = Feed(settings)
    feed.send(100)
    first = EngineProcess(settings, HOST)
    try:
        wait_for_end(settings, feed)
        first.stop()
    finally:
        first.kill()
    topic = user_state_changelog(settings)
    cut(settings, [TopicPartition(topic, number, 10) for number in range(settings.topics.partitions)])

    kept = Path(settings.app.data, NAME)
    aside = kept.rename(kept.with_name("aside"))
    wiped = EngineProcess(settings, HOST)
    try:
        assert wiped.wait_ended() == 1
    finally:
        wiped.kill()
    assert "the changelog was cut up to offset 10" in wiped.said()

    shutil.rmtree(kept)
    aside.rename(kept)
    feed.send(40)
    warm = EngineProcess(settings, HOST)
    try:
        wait_for_end(settings, feed)
        warm.stop()
    finally:
        warm.kill()
    assert "live in this local store alone" in warm.said()
    check_outputs(settings, feed)
    assert states(stores(settings)) == feed.states


def make_anew(settings: Settings, topic: str) -> None:
    admin, give_up = admin_client(settings.kafka), time.monotonic() + SECONDS
    admin.delete_topics([topic])[topic].result(SECONDS)
    config = {"cleanup.policy": "compact"}
    while True:
        new = NewTopic(topic, settings.topics.partitions, 1, config=config)
        try:
            admin.create_topics([new])[topic].result(SECONDS)
            return
        except KafkaException:
            # It is being deleted still.
            assert time.monotonic() < give_up
            time.sleep(0.02)


def test_a_changelog_made_anew_under_its_worker_ends_it(settings: Settings) -> None:
    """It went on: some partitions without the states of before, others counted again from the start."""
    feed = Feed(settings)
    feed.send(100)
    worker = EngineProcess(settings, HOST)
    try:
        wait_for_end(settings, feed)
        make_anew(settings, user_state_changelog(settings))
        with feed.sending(20):
            assert worker.wait_ended() == 1
        assert "deleted and made anew while states were written to it" in worker.said()
    finally:
        worker.kill()
