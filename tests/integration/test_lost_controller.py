"""What is asked of a cluster is answered though the broker is gone that the client would ask."""

from pathlib import Path

import pytest

from streams import kafka
from streams.broker import LocalCluster
from streams.broker.cluster import ClusterOptions
from streams.topics import create_topics, described, partition_counts, topic_values
from tests.integration.conftest import fresh_settings

pytestmark = pytest.mark.timeout(180)


def test_a_client_whose_controller_died_asks_another_broker(tmp_path: Path) -> None:
    with LocalCluster(tmp_path / "kafka", ClusterOptions(brokers=2, controllers=1)) as cluster:
        settings = fresh_settings(cluster.bootstrap_servers, tmp_path, replication=2)
        create_topics(settings)
        topic = settings.topics.interactions
        # Each is told any broker that lives; with eight, some are told the one that is about to die.
        admins = [kafka.admin_client(settings.kafka) for _ in range(8)]
        for admin in admins:
            described(admin, [topic])

        cluster.brokers[-1].kill()

        for admin in admins:
            assert partition_counts(admin, [topic]) == {topic: settings.topics.partitions}
            assert len(described(admin, [topic])[topic].partitions) == settings.topics.partitions
            assert topic_values(admin, topic)["cleanup.policy"] == "delete"
