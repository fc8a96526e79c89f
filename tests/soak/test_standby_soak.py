"""Standbys for longer, by `make soak`: takeovers of much state, and while the log is compacted and cut."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from msgspec.structs import replace

from streams.broker import ClusterOptions, LocalCluster
from streams.engine.place import PLACE_KEY
from streams.kafka import NewTopic, TopicPartition, admin_client, consumer
from streams.settings import Settings
from streams.topic_plans import user_state_changelog
from streams.topics import create_topics
from tests.engine_feed import changelog, check_outputs, states, stores, wait_for_end
from tests.integration.conftest import fresh_settings, read_all
from tests.takeover import Crew, Ear, Pulse, fill, measure, show

pytestmark = [pytest.mark.soak, pytest.mark.timeout(1_800)]

TAKEOVER_SECONDS = 8.0
MOVED_SECONDS = 2.0
STAYED_SECONDS = 0.5


@pytest.fixture(params=[1, 3])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Settings]:
    """On one broker, and on three with `min.insync.replicas=2`. The log is compacted and cut all the time."""
    options = ClusterOptions(
        brokers=request.param,
        properties={"log.cleaner.backoff.ms": "200", "log.retention.check.interval.ms": "1000"},
    )
    with LocalCluster(tmp_path / "kafka", options) as cluster:
        made = fresh_settings(cluster.bootstrap_servers, tmp_path / "data")
        yield replace(made, topics=replace(made.topics, replication=request.param))


def make_topics(settings: Settings) -> None:
    """A changelog that is compacted as soon as it can be, and a source that forgets after half a minute."""
    compacted = {
        "cleanup.policy": "compact",
        "segment.ms": "1000",
        "segment.bytes": "1048576",
        "min.cleanable.dirty.ratio": "0.01",
        "delete.retention.ms": "60000",
    }
    cut = {"cleanup.policy": "delete", "segment.ms": "1000", "retention.ms": "30000"}
    topics, partitions = settings.topics, settings.topics.partitions
    admin = admin_client(settings.kafka)
    for name, config in ((user_state_changelog(settings), compacted), (topics.interactions_encoded, cut)):
        topic = NewTopic(name, partitions, topics.replication, config=config)
        admin.create_topics([topic])[name].result(30)
    create_topics(settings)


def start_of(settings: Settings, topic: str) -> int:
    reader = consumer(settings.kafka, "start")
    first, _ = reader.get_watermark_offsets(TopicPartition(topic, 0), timeout=30)
    reader.close()
    return first


def test_takeovers_while_the_log_is_compacted_and_cut(settings: Settings) -> None:
    make_topics(settings)
    fill(settings, 10)
    with Ear(settings) as ear, Crew(settings, ear) as crew:
        crew.start()
        crew.start()
        crew.wait_settled(2)
        pulse = Pulse(settings)
        with pulse.beating():
            for turn in range(4):
                victim = sorted(crew.workers)[turn % 2]
                crew.during("kill -9", crew.workers[victim].kill, partial(crew.wait_settled, 4))
                crew.during("it comes back", partial(crew.start, victim), partial(crew.wait_settled, 2))
        wait_for_end(settings, pulse, 300.0)
        check_outputs(settings, pulse)
        crew.wait_settled(2)
        for worker in crew.workers.values():
            worker.stop()
        disks = [stores(crew.settings_of(name)) for name in crew.workers]
    log = {
        number: {key: value for key, value in records.items() if value}
        for number, records in changelog(settings).items()
    }
    assert states(log) == pulse.states
    # Each worker has every partition: half of them its own, half of them copies.
    assert disks[0].keys() == disks[1].keys() == log.keys()
    places = sum(message.key() == PLACE_KEY for message in read_all(settings, user_state_changelog(settings)))
    assert places < pulse.ticks, "nothing was compacted"
    assert start_of(settings, settings.topics.interactions_encoded) > 0, "nothing was cut"
    for number, records in log.items():
        assert records in (disks[0][number], disks[1][number])
    assert disks[0] == disks[1]


def test_silences_with_much_state(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    """300 MB a partition, of which two workers have all and a third its share."""
    create_topics(settings)
    fill(settings, 300)
    found = list(measure(settings, kills=3))
    with capsys.disabled():
        show(found)
    for silences in found:
        assert longest(silences.stayed) < STAYED_SECONDS, silences
        killed = silences.what == "kill -9"
        assert longest(silences.moved) < (TAKEOVER_SECONDS if killed else MOVED_SECONDS), silences


def longest(silences: dict[int, float]) -> float:
    return max(silences.values(), default=0.0)
