"""Where copying begins in a partition of which this stage has committed nothing yet."""

from collections.abc import Iterable

from streams.encode.placing import RawEnd
from streams.errors import EngineError
from streams.kafka import admin_client
from streams.reading import read, whole
from streams.repartition.stage import STAGE
from streams.repartition.switch import committed
from streams.settings import Settings
from streams.topic_ids import id_bytes
from streams.topics import partition_counts


def counted_ends(settings: Settings, partitions: Iterable[int]) -> dict[int, RawEnd]:
    """How far the encode worker itself had read these partitions of `interactions` when it read them still.

    What it never read begins at its start. Raises KafkaException, and EngineError where the offsets of this
    stage are lost, since from the start everything would be copied once more, and where users would move away
    from their states.
    """
    copied = _copied(settings)
    if copied and not committed(settings, STAGE, range(_partitions(settings))):
        raise EngineError(
            f"the group {settings.app.name}-{STAGE} has no offsets any more, yet "
            f"{settings.topics.interactions_by_user} has copies: the header penchant-origin of the last ones "
            "tells how far it was; set the group's offsets there, then start again"
        )
    ends = {
        each.partition: (id_bytes(each.metadata), each.offset)
        for each in committed(settings, "encode", partitions)
    }
    if ends and not copied:
        _check_homes(settings)
    return ends


def _check_homes(settings: Settings) -> None:
    """States lie where the partition of their user's events is: the copies must go there as well."""
    names = settings.topics
    topics = (names.interactions, names.interactions_by_user)
    counts = partition_counts(admin_client(settings.kafka), topics)
    here, there = (counts[name] for name in topics)
    if here != there:
        raise EngineError(
            f"states were made from the {here} partitions of {names.interactions}, yet "
            f"{names.interactions_by_user} has {there}: delete it, and make it with {here} partitions"
        )


def _partitions(settings: Settings) -> int:
    topic = settings.topics.interactions
    return partition_counts(admin_client(settings.kafka), [topic])[topic]


def _copied(settings: Settings) -> bool:
    """Whether there is a committed copy. Asked before the offsets, which are committed with the copies."""
    stretches = whole(settings, settings.topics.interactions_by_user, settled=False)
    return next(read(settings, stretches), None) is not None
