"""The consumer groups of a deployment, and whether anybody is in them."""

from collections.abc import Iterable
from concurrent.futures import TimeoutError as FutureTimeout

from streams import kafka
from streams.errors import TopicError
from streams.settings import Settings

CALL_SECONDS = 10.0
WORKERS = ("repartition", "encode", "interests", "signals")
"""What the workers' groups are called, behind the name of the deployment."""


def groups_of(settings: Settings) -> tuple[str, ...]:
    """The consumer groups of a deployment's workers."""
    return tuple(f"{settings.app.name}-{worker}" for worker in WORKERS)


def living(admin: kafka.AdminClient, groups: Iterable[str]) -> list[str]:
    """Those of the groups that have members. Raises TopicError where the cluster does not tell."""
    found = []
    asked = admin.describe_consumer_groups(list(groups), request_timeout=CALL_SECONDS)
    for group, future in asked.items():
        try:
            if future.result(CALL_SECONDS + 5).members:
                found.append(group)
        except FutureTimeout:
            raise TopicError(f"{group}: the cluster does not answer") from None
        except kafka.KafkaException as error:
            if error.args[0].code() != kafka.KafkaError.GROUP_ID_NOT_FOUND:
                raise TopicError(f"{group}: cannot be looked at: {error.args[0].str()}") from error
    return found
