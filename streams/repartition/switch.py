"""The setting `topics.repartition` of a deployment that has counted events already."""

from collections.abc import Iterable

from streams import groups
from streams.errors import SettingsError
from streams.kafka import TopicPartition, admin_client
from streams.repartition.stage import STAGE
from streams.settings import Settings
from streams.topics import partition_counts


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
    """What a worker's group has committed of these partitions of `interactions`. Raises TopicError."""
    places = [TopicPartition(settings.topics.interactions, number) for number in partitions]
    found = groups.committed(settings, f"{settings.app.name}-{worker}", places)
    return [each for each in found if each.offset >= 0]
