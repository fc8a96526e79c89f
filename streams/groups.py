"""The consumer groups of a deployment, and whether anybody is in them."""

import time
from collections.abc import Iterable
from concurrent.futures import TimeoutError as FutureTimeout

from streams import kafka
from streams.errors import TopicError
from streams.settings import Settings

CALL_SECONDS = 10.0
PATIENCE_SECONDS = 20.0
RETRY_SECONDS = 0.2
WORKERS = ("repartition", "encode", "interests", "signals", "describe")
"""What the workers' groups are called, behind the name of the deployment."""


def groups_of(settings: Settings) -> tuple[str, ...]:
    """The consumer groups of a deployment's workers."""
    return tuple(f"{settings.app.name}-{worker}" for worker in WORKERS)


def living(admin: kafka.AdminClient, groups: Iterable[str]) -> list[str]:
    """Those of the groups that have members. Raises TopicError where the cluster does not tell."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    return [group for group in groups if _lives(admin, group, deadline)]


def _lives(admin: kafka.AdminClient, group: str, deadline: float) -> bool:
    """A cluster that has not kept any group yet first makes the topic for them, and asks for patience."""
    while True:
        try:
            asked = admin.describe_consumer_groups([group], request_timeout=CALL_SECONDS)
            return bool(asked[group].result(CALL_SECONDS + 5).members)
        except FutureTimeout:
            raise TopicError(f"{group}: the cluster does not answer") from None
        except kafka.KafkaException as error:
            cause = error.args[0]
            if cause.code() == kafka.KafkaError.GROUP_ID_NOT_FOUND:
                return False
            if not kafka.may_pass(cause) or time.monotonic() > deadline:
                told = f"{cause.name()} {cause.str()}"
                raise TopicError(f"{group}: the group cannot be looked at: {told}") from error
            time.sleep(RETRY_SECONDS)


def committed(
    settings: Settings, group: str, places: list[kafka.TopicPartition]
) -> list[kafka.TopicPartition]:
    """What a group has committed of these places, offset -1001 for nothing; it need have no members.

    Waits for a coordinator that is not there yet, and for an open transaction of a crashed worker, which
    holds its offsets back until it times out. Raises TopicError.
    """
    client = kafka.consumer(settings.kafka, group)
    deadline = time.monotonic() + PATIENCE_SECONDS + settings.kafka.transaction_timeout_ms / 1000
    try:
        while True:
            try:
                found = client.committed(places, timeout=CALL_SECONDS)
                failed = next((each.error for each in found if each.error is not None), None)
                if failed is None:
                    return found
                raise kafka.KafkaException(failed)
            except kafka.KafkaException as error:
                if time.monotonic() > deadline or error.args[0].fatal():
                    told = error.args[0].str()
                    raise TopicError(f"{group}: its offsets cannot be read: {told}") from error
                time.sleep(RETRY_SECONDS)
    finally:
        client.close()
