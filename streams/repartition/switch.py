"""The setting `topics.repartition` of a deployment that has counted events already."""

from collections.abc import Iterable

from streams.errors import SettingsError
from streams.kafka import KafkaException, TopicPartition, admin_client, consumer
from streams.repartition.stage import STAGE
from streams.settings import Settings
from streams.topics import partition_counts

_CALL_SECONDS = 15.0


def check_switch(settings: Settings) -> None:
    """Raises SettingsError where `repartition` is off, yet events were copied: they would count once more."""
    names = settings.topics
    if names.repartition:
        return
    count = partition_counts(admin_client(settings.kafka), [names.interactions])[names.interactions]
    if committed(settings, STAGE, range(count)):
        raise SettingsError(
            f"topics.repartition: is off, yet the group {settings.app.name}-{STAGE} has read "
            f"{names.interactions}: its events would count once more; set it on again"
        )


def committed(settings: Settings, worker: str, partitions: Iterable[int]) -> list[TopicPartition]:
    """What a worker's group has committed of these partitions of `interactions`. Raises KafkaException."""
    client = consumer(settings.kafka, f"{settings.app.name}-{worker}")
    try:
        places = [TopicPartition(settings.topics.interactions, number) for number in partitions]
        found = client.committed(places, timeout=_CALL_SECONDS)
    finally:
        client.close()
    for each in found:
        if each.error is not None:
            raise KafkaException(each.error)
    return [each for each in found if each.offset >= 0]
