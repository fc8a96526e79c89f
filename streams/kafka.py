"""The only door to confluent-kafka: clients with the settings that the delivery contract needs."""

import logging
import time
from collections.abc import Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import Any

from confluent_kafka import (
    OFFSET_BEGINNING,
    OFFSET_END,
    OFFSET_INVALID,
    TIMESTAMP_NOT_AVAILABLE,
    Consumer,
    IsolationLevel,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # exported, yet not in __all__
    AdminClient,
    ConfigResource,
    NewPartitions,
    NewTopic,
    OffsetSpec,
    ResourceType,
    TopicDescription,
)

from streams.settings import KafkaSettings

__all__ = [
    "OFFSET_BEGINNING",
    "OFFSET_END",
    "OFFSET_INVALID",
    "TIMESTAMP_NOT_AVAILABLE",
    "AdminClient",
    "ConfigResource",
    "Consumer",
    "IsolationLevel",
    "KafkaError",
    "KafkaException",
    "Message",
    "NewPartitions",
    "NewTopic",
    "OffsetSpec",
    "Producer",
    "ResourceType",
    "TopicCollection",
    "TopicDescription",
    "TopicPartition",
    "admin_client",
    "consumer",
    "may_pass",
    "producer",
    "seek_when_ready",
    "watermarks",
]

Config = Mapping[str, str | int | float | bool]

_NOTHING: Config = MappingProxyType({})
_REFRESH_SECONDS = 5.0
_SEEK_SECONDS = 0.02

_log = logging.getLogger(__name__)

_TRANSIENT = (
    KafkaError._TIMED_OUT,
    KafkaError._TRANSPORT,
    KafkaError._ALL_BROKERS_DOWN,
    KafkaError._RESOLVE,
    # What a client says of itself while brokers go and leaders move.
    KafkaError._DESTROY_BROKER,
    KafkaError._UNKNOWN_PARTITION,
    KafkaError.REQUEST_TIMED_OUT,
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    KafkaError.NOT_COORDINATOR,
    KafkaError.CONCURRENT_TRANSACTIONS,
)


def _common(settings: KafkaSettings) -> dict[str, Any]:
    return {"bootstrap.servers": settings.bootstrap_servers, "logger": _log, **settings.client}


def producer(
    settings: KafkaSettings, transactional_id: str | None = None, overrides: Config = _NOTHING
) -> Producer:
    """An idempotent producer, transactional where an id is given (call `init_transactions` yourself)."""
    config = {
        **_common(settings),
        "enable.idempotence": True,
        "acks": "all",
        "partitioner": "murmur2_random",
        "linger.ms": 2,
        "batch.size": 1_000_000,
        "sticky.partitioning.linger.ms": 0,
        "compression.type": settings.compression,
        "queue.buffering.max.messages": 500_000,
        "queue.buffering.max.kbytes": settings.producer_buffer_kbytes,
        "delivery.timeout.ms": 30_000,
    }
    if transactional_id is not None:
        config["transactional.id"] = transactional_id
        config["transaction.timeout.ms"] = settings.transaction_timeout_ms
        config["delivery.timeout.ms"] = settings.transaction_timeout_ms
    return Producer({**config, **overrides})


def consumer(settings: KafkaSettings, group: str, overrides: Config = _NOTHING) -> Consumer:
    """A `read_committed` consumer that neither commits nor skips on its own."""
    config = {
        **_common(settings),
        "group.id": group,
        "isolation.level": "read_committed",
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "auto.offset.reset": "error",
        "partition.assignment.strategy": "cooperative-sticky",
        "session.timeout.ms": settings.session_timeout_ms,
        "heartbeat.interval.ms": settings.session_timeout_ms // 3,
        "max.poll.interval.ms": settings.max_poll_interval_ms,
        "fetch.wait.max.ms": 50,
        "queued.max.messages.kbytes": settings.consumer_buffer_kbytes,
        # How long a full queue is left alone: by default a second, in which it runs dry.
        "fetch.queue.backoff.ms": 50,
    }
    return Consumer({**config, **overrides})


def may_pass(error: KafkaError) -> bool:
    """Whether asking again may help."""
    return bool(error.retriable()) or error.code() in _TRANSIENT


def watermarks(reader: Consumer, topic: str, partition: int, seconds: float) -> tuple[int, int]:
    """First offset of a partition, and the one behind its last stable one, asked of its leader.

    Raises KafkaException.
    """
    try:
        found = reader.get_watermark_offsets(TopicPartition(topic, partition), timeout=seconds)
    except KafkaException:
        # After a broker was killed, a client may know no partition any more until it asks for the topic.
        with suppress(KafkaException):
            reader.list_topics(topic, timeout=min(seconds, _REFRESH_SECONDS))
        raise
    if found is None:
        raise KafkaException(KafkaError(KafkaError._TIMED_OUT))
    low, high = found
    return low, high


def seek_when_ready(reader: Consumer, place: TopicPartition, seconds: float) -> None:
    """Seek; a partition that has just come is not ready for it for a moment. Raises KafkaException."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            reader.seek(place)
        except KafkaException as error:
            if error.args[0].code() != KafkaError._STATE or time.monotonic() > deadline:
                raise
            time.sleep(_SEEK_SECONDS)
        else:
            return


def admin_client(settings: KafkaSettings) -> AdminClient:
    """An admin client; keep the reference, for a collected client never answers its futures."""
    return AdminClient(_common(settings))
