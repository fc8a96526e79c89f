"""A real Kafka for the integration tests, one for the whole session, and fresh topics for each test."""

import json
import signal
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from streams.broker import LocalCluster
from streams.kafka import OFFSET_BEGINNING, Message, TopicPartition, consumer, producer
from streams.settings import KafkaSettings, Settings, TopicSettings
from streams.topics import create_topics

HERE = Path(__file__).parent
READ_SECONDS = 30.0
FLUSH_SECONDS = 30.0


def pytest_configure() -> None:
    # A shell lets its background jobs ignore interrupts, and their children inherit that.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.integration)


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    """One broker on free ports. A test that stops, kills or pauses a broker starts its own cluster."""
    with LocalCluster(tmp_path_factory.mktemp("kafka")) as cluster:
        yield cluster


@pytest.fixture
def settings(kafka: LocalCluster, tmp_path: Path) -> Settings:
    """Settings on the session's broker, with topic and app names of their own; the topics exist."""
    made = fresh_settings(kafka.bootstrap_servers, tmp_path)
    create_topics(made)
    return made


def fresh_settings(bootstrap_servers: str, data: Path, partitions: int = 4, replication: int = 1) -> Settings:
    """Settings with unique topic names (t-1a2b3c4d-interactions, ...) and app name. Creates nothing."""
    prefix = f"t-{uuid.uuid4().hex[:8]}"
    base = Settings()
    names = {
        field: f"{prefix}-{getattr(base.topics, field)}"
        for field in TopicSettings.__struct_fields__
        if isinstance(getattr(base.topics, field), str)
    }
    return replace(
        base,
        app=replace(base.app, name=prefix, data=str(data)),
        kafka=KafkaSettings(bootstrap_servers=bootstrap_servers),
        topics=TopicSettings(**names, partitions=partitions, replication=replication),
        metrics=replace(base.metrics, port=-1),
    )


def produce_json(
    settings: Settings, topic: str, records: Iterable[tuple[str, Mapping[str, Any] | bytes | None]]
) -> None:
    """Send (key, value) records and wait until all are acknowledged. Bytes and None go as they are."""
    client = producer(settings.kafka)
    failures: list[str] = []

    def delivered(error: Any, _: Message) -> None:
        if error is not None:
            failures.append(error.str())

    for key, value in records:
        raw = value if value is None or isinstance(value, bytes) else json.dumps(value).encode()
        client.produce(topic, value=raw, key=key.encode(), on_delivery=delivered)
        client.poll(0)
    assert client.flush(FLUSH_SECONDS) == 0, f"{topic}: records were not acknowledged"
    assert not failures, f"{topic}: {failures[0]}"


def read_all(settings: Settings, topic: str, isolation: str = "read_committed") -> list[Message]:
    """Every record from the start of the topic to the end that it has now, partition by partition.

    The end is the last stable offset for `read_committed`, the high watermark for `read_uncommitted`.
    """
    client = consumer(
        settings.kafka,
        f"read-{uuid.uuid4().hex}",
        {"isolation.level": isolation, "enable.partition.eof": True},
    )
    try:
        found = client.list_topics(topic, timeout=READ_SECONDS).topics[topic]
        client.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in found.partitions])
        messages = _until_ends(client, topic, len(found.partitions))
    finally:
        client.close()
    return sorted(messages, key=lambda message: (message.partition(), message.offset()))


def _until_ends(client: Any, topic: str, partitions: int) -> list[Message]:
    deadline = time.monotonic() + READ_SECONDS
    ended: set[int] = set()
    messages: list[Message] = []
    while len(ended) < partitions:
        assert time.monotonic() < deadline, f"{topic}: read {len(messages)} records, but not to the end"
        message = client.poll(0.1)
        if message is None:
            continue
        error = message.error()
        if error is None:
            messages.append(message)
        elif error.name() == "_PARTITION_EOF":
            ended.add(message.partition())
        else:
            raise AssertionError(f"{topic}: {error.str()}")
    return messages


def wait_for(settings: Settings, topic: str, count: int, seconds: float = READ_SECONDS) -> list[Message]:
    """Read the topic (`read_committed`) until it has at least so many records. Fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while len(messages := read_all(settings, topic)) < count:
        assert time.monotonic() < deadline, f"{topic}: {len(messages)} records, waited for {count}"
        time.sleep(0.1)
    return messages
