"""The topics in the cluster: made, asked about, checked against their plans."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from contextlib import contextmanager, suppress
from typing import TypeVar

from streams.errors import TopicError
from streams.kafka import (
    AdminClient,
    ConfigResource,
    KafkaError,
    KafkaException,
    NewPartitions,
    NewTopic,
    ResourceType,
    TopicCollection,
    TopicDescription,
    admin_client,
)
from streams.settings import Settings
from streams.topic_plans import COPY_BYTES, TopicPlan, plan_topics, problems_of, size_problems, topic_config

CALL_SECONDS = 10.0
TRY_SECONDS = 3.0
"""Of the time of a call, until a question is put again, perhaps to another broker."""
LEADER_SECONDS = 30.0
POLL_SECONDS = 0.05
SILENCE = "Kafka does not answer; check kafka.bootstrap_servers, or `penchant broker start` a local one"

Answer = TypeVar("Answer")
Key = TypeVar("Key")

_ANY_TOPIC = "__consumer_offsets"
"""One that every cluster with groups has."""


@contextmanager
def _told(settings: Settings) -> Iterator[None]:
    """Where no broker answers, its address tells more than a topic."""
    try:
        yield
    except SilentCluster as error:
        raise no_broker(settings) from error


def no_broker(settings: Settings) -> "SilentCluster":
    """What a person reads where no broker answers."""
    where = settings.kafka.bootstrap_servers
    return SilentCluster(
        f"no broker answers at {where}; check kafka.bootstrap_servers, or start a local one with "
        "`penchant broker start`"
    )


def create_topics(settings: Settings) -> list[str]:
    """Create what is missing and wait until it has leaders. Returns the names of the new topics.

    A topic that follows a source takes the partition count that the source has. Existing topics stay as
    they are: `check_topics` tells what is wrong with them. Raises TopicError.
    """
    with _told(settings):
        return _create_missing(settings)


def _create_missing(settings: Settings) -> list[str]:
    admin = admin_client(settings.kafka)
    plans = plan_topics(settings)
    partitions = partition_counts(admin, [plan.name for plan in plans])
    existing = set(partitions)
    fresh: list[NewTopic] = []
    for plan in plans:
        if plan.name in partitions:
            continue
        own = plan.partitions or settings.topics.partitions
        partitions[plan.name] = partitions[plan.source] if plan.source else own
        config = topic_config(plan, settings)
        if plan.copies in existing:
            config["max.message.bytes"] = str(_record_bytes(admin, plan.copies) + COPY_BYTES)
        replication = settings.topics.replication
        fresh.append(NewTopic(plan.name, partitions[plan.name], replication, config=config))
    created = _create(admin, fresh)
    _wait_for_leaders(admin, [plan.name for plan in plans])
    return created


def make_topics(
    settings: Settings, admin: AdminClient, counts: Iterable[tuple[str, int]], changelog: bool
) -> list[str]:
    """Create compacted topics that no plan has, given their partitions, where they are missing, and wait for
    their leaders. Those for states are `changelog`s. Returns the names of the new ones. Raises TopicError.
    """
    wanted = dict(counts)
    missing = wanted.keys() - partition_counts(admin, wanted).keys()
    replication = settings.topics.replication
    fresh = []
    for name in sorted(missing):
        config = topic_config(TopicPlan(name, "compact", changelog=changelog, personal=changelog), settings)
        fresh.append(NewTopic(name, wanted[name], replication, config=config))
    created = _create(admin, fresh)
    _wait_for_leaders(admin, list(wanted))
    return created


def add_partitions(admin: AdminClient, topics: Iterable[str], partitions: int) -> None:
    """Give each of the topics so many partitions, in this order, and wait for leaders. Raises TopicError."""
    for name in topics:
        have = len(described(admin, [name])[name].partitions)
        if have < partitions:
            answers = admin.create_partitions([NewPartitions(name, partitions)], request_timeout=CALL_SECONDS)
            _answer(answers[name], name)
        deadline = time.monotonic() + LEADER_SECONDS
        while len(described(admin, [name])[name].partitions) < partitions or _leaderless(admin, [name]):
            if time.monotonic() > deadline:
                raise TopicError(f"{name}: its new partitions have no leader; check the brokers")
            time.sleep(POLL_SECONDS)


def check_topics(settings: Settings) -> list[str]:
    """What is wrong with the topics, each problem with its mend in one line; empty where all is well.

    Raises TopicError where the cluster does not answer.
    """
    with _told(settings):
        return _problems(settings)


def _problems(settings: Settings) -> list[str]:
    admin = admin_client(settings.kafka)
    plans = plan_topics(settings)
    partitions = partition_counts(admin, [plan.name for plan in plans])
    policies = {
        plan.name: topic_values(admin, plan.name)["cleanup.policy"]
        for plan in plans
        if plan.name in partitions
    }
    problems = [problem for plan in plans for problem in problems_of(plan, partitions, policies)]
    for plan in plans:
        if plan.copies in partitions and plan.name in partitions:
            sizes = {name: _record_bytes(admin, name) for name in (plan.copies, plan.name)}
            problems += size_problems(plan, sizes)
    return problems


def partition_counts(admin: AdminClient, names: Iterable[str]) -> dict[str, int]:
    """Partition counts of those of the topics that exist. Raises TopicError."""
    counts: dict[str, int] = {}
    for name, future in _descriptions(admin, names).items():
        try:
            counts[name] = len(_answer(future, name).partitions)
        except UnknownTopic:
            continue
    return counts


def described(admin: AdminClient, names: Iterable[str]) -> dict[str, TopicDescription]:
    """What the cluster says of each topic. Raises TopicError; UnknownTopic where there is none."""
    return {name: _answer(future, name) for name, future in _descriptions(admin, names).items()}


def topic_id(admin: AdminClient, name: str) -> str:
    """The id that the cluster gave the topic; a topic deleted and created again has another.

    Raises TopicError where there is no such topic.
    """
    return str(described(admin, [name])[name].topic_id)


def topic_values(admin: AdminClient, name: str) -> dict[str, str]:
    """All settings of the topic in force, defaults among them. Raises TopicError."""
    resource = ConfigResource(ResourceType.TOPIC, name)
    futures = _asked(admin, lambda: admin.describe_configs([resource], request_timeout=TRY_SECONDS))
    return {key: entry.value for key, entry in _answer(futures[resource], name).items()}


def _record_bytes(admin: AdminClient, name: str) -> int:
    return int(topic_values(admin, name)["max.message.bytes"])


class UnknownTopic(TopicError):
    """There is no such topic."""


class SilentCluster(TopicError):
    """The cluster does not answer: asking again may help."""


def _descriptions(admin: AdminClient, names: Iterable[str]) -> Mapping[str, "Future[TopicDescription]"]:
    wanted = TopicCollection(list(names))
    return _asked(admin, lambda: admin.describe_topics(wanted, request_timeout=TRY_SECONDS))


def _asked(
    admin: AdminClient, ask: Callable[[], Mapping[Key, "Future[Answer]"]]
) -> Mapping[Key, "Future[Answer]"]:
    """Answers that are in, of whichever broker is there.

    librdkafka puts such questions to the broker that it took for the controller last. Where that one dies, it
    would wait for it however long it is down, unless somebody asks for metadata.
    """
    give_up = time.monotonic() + CALL_SECONDS
    while True:
        futures = ask()
        silent = any(_is_silent(future) for future in futures.values())
        if not silent or time.monotonic() > give_up:
            return futures
        with suppress(KafkaException):
            admin.list_topics(_ANY_TOPIC, timeout=TRY_SECONDS)


def _is_silent(future: "Future[Answer]") -> bool:
    try:
        _answer(future, "")
    except SilentCluster:
        return True
    except TopicError:
        return False
    return False


def _answer(future: "Future[Answer]", name: str) -> Answer:
    """Wait for Kafka's answer about the topic, with its errors in this product's words."""
    try:
        return future.result(CALL_SECONDS + 5)
    except FutureTimeout:
        raise SilentCluster(f"{name}: {SILENCE}") from None
    except KafkaException as exception:
        raise _explained(name, exception) from exception


_SILENT = (
    KafkaError._TIMED_OUT,
    KafkaError._TRANSPORT,
    KafkaError._ALL_BROKERS_DOWN,
    # A client lets go of a broker, as of one that was too slow, while it waits for its answer.
    KafkaError._DESTROY_BROKER,
)


def _explained(name: str, exception: KafkaException) -> TopicError:
    error = exception.args[0]
    if error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
        return UnknownTopic(f"{name}: missing; `penchant topics create` makes it")
    if error.code() in _SILENT:
        return SilentCluster(f"{name}: {SILENCE}")
    return TopicError(
        f"{name}: Kafka refuses: {error.str()}; check the topic settings and the client's rights"
    )


def _create(admin: AdminClient, fresh: list[NewTopic]) -> list[str]:
    if not fresh:
        return []
    created: list[str] = []
    for name, future in admin.create_topics(fresh, request_timeout=CALL_SECONDS).items():
        try:
            future.result(CALL_SECONDS + 5)
            created.append(name)
        except KafkaException as exception:
            # Another process that creates the same topics at this moment is no harm.
            if exception.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise _explained(name, exception) from exception
    return created


def _wait_for_leaders(admin: AdminClient, names: list[str]) -> None:
    deadline = time.monotonic() + LEADER_SECONDS
    while leaderless := _leaderless(admin, names):
        if time.monotonic() > deadline:
            raise TopicError(f"{', '.join(leaderless)}: no leader; check the brokers")
        time.sleep(POLL_SECONDS)


def _leaderless(admin: AdminClient, names: list[str]) -> list[str]:
    try:
        known = admin.list_topics(timeout=CALL_SECONDS).topics
    except KafkaException as exception:
        raise _explained(names[0], exception) from exception
    return [
        name
        for name in names
        if name not in known or any(partition.leader < 0 for partition in known[name].partitions.values())
    ]
