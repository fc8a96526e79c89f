"""A changelog that retention has cut, by a policy that was wrong for a while: said, and never restored."""

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from streams.broker import ClusterOptions, LocalCluster
from streams.kafka import ConfigResource, ResourceType, TopicPartition, admin_client, consumer
from streams.settings import Settings
from streams.topic_plans import user_state_changelog
from streams.topics import create_topics
from tests.integration.conftest import fresh_settings
from tests.soak.stages import EngineStage, Stage, WorkersStage
from tests.soak.trials import Trial

pytestmark = [
    pytest.mark.soak,
    pytest.mark.timeout(600),
    pytest.mark.filterwarnings("ignore:alter_configs"),
]

SECONDS = 60.0


@pytest.fixture(scope="module")
def eager(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    """A broker that looks for what retention lets go several times a second."""
    options = ClusterOptions(properties={"log.retention.check.interval.ms": "200"})
    with LocalCluster(tmp_path_factory.mktemp("kafka"), options) as cluster:
        yield cluster


def engine_stage(settings: Settings) -> Stage:
    return EngineStage(settings, "faust")


@pytest.mark.parametrize("make_stage", [engine_stage, WorkersStage])
def test_a_changelog_cut_by_retention(
    eager: LocalCluster, tmp_path: Path, make_stage: Callable[[Settings], Stage]
) -> None:
    settings = fresh_settings(eager.bootstrap_servers, tmp_path)
    create_topics(settings)
    stage = make_stage(settings)
    run = Trial(stage)
    try:
        seats = run.start()
        for seat in seats:
            seat.process.wait_ready()
        with stage.sending():
            run.progress()
        assert run.watch.wait_counted(stage.events(), SECONDS)
        run.end()
        cut(settings, user_state_changelog(settings))
        owner = seats[-1]
        shutil.rmtree(stage.disk(owner.settings))
        assert owner.start().process.wait_ended() == 1
        assert "the changelog was cut up to offset" in owner.process.said()
    finally:
        run.kill()


def cut(settings: Settings, topic: str) -> None:
    """All that is there, as retention does it."""
    set_config(settings, topic, {"cleanup.policy": "delete", "retention.ms": "1"})
    reader, give_up = consumer(settings.kafka, "watermarks"), time.monotonic() + SECONDS
    for number in range(settings.topics.partitions):
        while reader.get_watermark_offsets(TopicPartition(topic, number), timeout=SECONDS)[0] == 0:
            assert time.monotonic() < give_up, "retention deletes nothing"
            time.sleep(0.1)
    reader.close()
    set_config(settings, topic, {"cleanup.policy": "compact"})


def set_config(settings: Settings, topic: str, values: dict[str, str]) -> None:
    admin = admin_client(settings.kafka)
    for future in admin.alter_configs(
        [ConfigResource(ResourceType.TOPIC, topic, set_config=values)]
    ).values():
        future.result(SECONDS)
