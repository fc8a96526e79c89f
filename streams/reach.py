"""The first look at a cluster: is it there, and where do its topics begin and end?"""

import time
from collections.abc import Iterable

from streams import kafka
from streams.errors import TopicError
from streams.settings import Settings

CALL_SECONDS = 10.0
RETRY_SECONDS = 0.1


def partitions(
    client: kafka.Consumer | kafka.Producer, settings: Settings, topics: Iterable[str]
) -> dict[str, int]:
    """Partition counts of topics, all of which must be there. Creates none.

    Raises TopicError, with the mend, where one is missing or no broker answers.
    """
    try:
        known = client.list_topics(timeout=CALL_SECONDS).topics
    except kafka.KafkaException as error:
        raise TopicError(
            f"no broker answers at {settings.kafka.bootstrap_servers} ({error.args[0].str()}); "
            "check kafka.bootstrap_servers, or start a local one with `penchant broker start`"
        ) from error
    counts = {}
    for topic in topics:
        if topic not in known or known[topic].error is not None:
            raise TopicError(f"{topic}: there is no such topic; `penchant topics create` makes it")
        counts[topic] = len(known[topic].partitions)
    return counts


def beginnings(counts: dict[str, int]) -> list[kafka.TopicPartition]:
    """The first place of every partition."""
    return [
        kafka.TopicPartition(topic, partition, kafka.OFFSET_BEGINNING)
        for topic, count in counts.items()
        for partition in range(count)
    ]


def ends(client: kafka.Consumer, counts: dict[str, int]) -> list[kafka.TopicPartition]:
    """The place behind the last record of every partition, as it is now. Raises TopicError."""
    return [
        kafka.TopicPartition(topic, partition, marks(client, topic, partition)[1])
        for topic, count in counts.items()
        for partition in range(count)
    ]


def marks(client: kafka.Consumer, topic: str, partition: int) -> tuple[int, int]:
    """First offset of a partition and the one behind its last; for `read_committed` the last stable one.

    A topic that was just created has no leader for a moment: such errors are tried again. Raises TopicError.
    """
    deadline = time.monotonic() + CALL_SECONDS
    while True:
        try:
            return kafka.watermarks(client, topic, partition, CALL_SECONDS)
        except kafka.KafkaException as error:
            cause = error.args[0]
            passing = kafka.may_pass(cause) or cause.code() == kafka.KafkaError.UNKNOWN_TOPIC_OR_PART
            if not passing or time.monotonic() > deadline:
                raise TopicError(f"{topic}-{partition}: cannot be read: {cause.str()}") from error
            time.sleep(RETRY_SECONDS)
