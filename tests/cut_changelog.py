"""A changelog cut by its head, as retention would that somebody switched on."""

from collections.abc import Sequence

from streams.kafka import (
    AdminClient,
    ConfigResource,
    KafkaError,
    KafkaException,
    ResourceType,
    TopicPartition,
    admin_client,
)
from streams.settings import Settings
from streams.topics import topic_values
from tests.encode_harness import SECONDS, until


def cut(settings: Settings, places: Sequence[TopicPartition]) -> None:
    """Delete what is before these offsets of one topic, while it has a wrong policy for a moment."""
    admin, topic = admin_client(settings.kafka), places[0].topic
    _alter(admin, topic, "delete")
    until("the records to be deleted", lambda: _deleted(admin, places))
    _alter(admin, topic, "compact")
    until("the policy", lambda: topic_values(admin, topic)["cleanup.policy"] == "compact")


def _alter(admin: AdminClient, topic: str, policy: str) -> None:
    altered = ConfigResource(ResourceType.TOPIC, topic, set_config={"cleanup.policy": policy})
    for future in admin.alter_configs([altered]).values():
        future.result(SECONDS)


def _deleted(admin: AdminClient, before: Sequence[TopicPartition]) -> bool:
    """Nothing can be cut of a compacted topic, and a log hears of a new policy after the cluster does."""
    try:
        for answer in admin.delete_records(list(before)).values():
            answer.result(SECONDS)
    except KafkaException as error:
        if error.args[0].code() != KafkaError.POLICY_VIOLATION:
            raise
        return False
    return True
