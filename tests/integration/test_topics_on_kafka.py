"""Making and checking topics on a real Kafka."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from streams.broker import LocalCluster
from streams.broker.ports import free_ports
from streams.broker.running import wait_until
from streams.contact import _Question
from streams.errors import TopicError
from streams.kafka import AdminClient, NewTopic, admin_client
from streams.settings import KafkaSettings, Settings
from streams.topic_plans import item_signals_changelog, user_state_changelog
from streams.topics import check_topics, create_topics, partition_counts, topic_id, topic_values
from tests.integration.conftest import fresh_settings

WAIT_SECONDS = 30.0


def make(admin: AdminClient, name: str, partitions: int, policy: str = "delete") -> None:
    topic = NewTopic(name, partitions, 1, config={"cleanup.policy": policy})
    admin.create_topics([topic])[name].result(WAIT_SECONDS)
    assert wait_until(lambda: partition_counts(admin, [name]) == {name: partitions}, WAIT_SECONDS)


def test_topics_are_made_once_and_pass_the_check(settings: Settings) -> None:
    assert check_topics(settings) == []
    assert create_topics(settings) == []


def test_the_cluster_takes_the_settings_over(settings: Settings) -> None:
    admin = admin_client(settings.kafka)
    changelog = topic_values(admin, user_state_changelog(settings))
    assert changelog["cleanup.policy"] == "compact"
    assert changelog["delete.retention.ms"] == "86400000"
    assert changelog["min.cleanable.dirty.ratio"] == "0.2"
    assert topic_values(admin, settings.topics.interactions)["retention.ms"] == str(168 * 3_600_000)


def test_followers_take_the_partitions_of_a_source_that_was_there(
    kafka: LocalCluster, tmp_path: Path
) -> None:
    settings = fresh_settings(kafka.bootstrap_servers, tmp_path, partitions=2)
    admin = admin_client(settings.kafka)
    make(admin, settings.topics.interactions, 3)
    assert settings.topics.interactions not in create_topics(settings)
    names = [
        settings.topics.interactions_encoded,
        user_state_changelog(settings),
        settings.topics.items,
        settings.topics.item_deltas,
        item_signals_changelog(settings),
    ]
    assert list(partition_counts(admin, names).values()) == [3, 3, 2, 1, 1]
    assert check_topics(settings) == []


def test_what_is_wrong_is_said(kafka: LocalCluster, tmp_path: Path) -> None:
    settings = fresh_settings(kafka.bootstrap_servers, tmp_path)
    names = settings.topics
    missing = check_topics(settings)
    assert len(missing) == 14
    assert f"{names.interactions}: missing; `penchant topics create` makes it" in missing
    admin = admin_client(settings.kafka)
    make(admin, names.interactions, 4)
    make(admin, names.interactions_encoded, 2)
    make(admin, names.items, 4, "compact,delete")
    make(admin, user_state_changelog(settings), 4, "delete")
    create_topics(settings)
    problems = check_topics(settings)
    assert [problem.partition(":")[0] for problem in problems] == [
        names.items,
        names.interactions_encoded,
        user_state_changelog(settings),
        user_state_changelog(settings),
    ]
    assert "has 2 partitions" in problems[1]


def test_a_recreated_topic_has_another_id(settings: Settings) -> None:
    admin = admin_client(settings.kafka)
    name = f"{settings.app.name}-again"
    make(admin, name, 1)
    first = topic_id(admin, name)
    assert topic_id(admin, name) == first
    admin.delete_topics([name])[name].result(WAIT_SECONDS)
    assert wait_until(lambda: not partition_counts(admin, [name]), WAIT_SECONDS)
    make(admin, name, 1)
    assert topic_id(admin, name) != first


def test_a_broker_that_is_there_answers(settings: Settings) -> None:
    ask = _Question(settings.kafka)
    ask()


def test_the_id_of_a_missing_topic_is_an_error(settings: Settings) -> None:
    with pytest.raises(TopicError, match="no-such: missing"):
        topic_id(admin_client(settings.kafka), "no-such")


def test_a_cluster_that_is_away_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.topics.CALL_SECONDS", 1.0)
    [port] = free_ports(1)
    away = replace(Settings(), kafka=KafkaSettings(bootstrap_servers=f"127.0.0.1:{port}"))
    with pytest.raises(TopicError, match=f"no broker answers at 127.0.0.1:{port};"):
        check_topics(away)
    with pytest.raises(TopicError, match=f"no broker answers at 127.0.0.1:{port};"):
        create_topics(away)


def test_more_replicas_than_brokers_are_refused(kafka: LocalCluster, tmp_path: Path) -> None:
    settings = fresh_settings(kafka.bootstrap_servers, tmp_path, replication=3)
    with pytest.raises(TopicError, match="Kafka refuses"):
        create_topics(settings)
