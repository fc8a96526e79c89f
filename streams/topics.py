"""The topics: which there are, how they must be, making them and checking them."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from contextlib import contextmanager, suppress
from typing import Literal, TypeVar

import msgspec

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

CALL_SECONDS = 10.0
TRY_SECONDS = 3.0
"""Of the time of a call, until a question is put again, perhaps to another broker."""
LEADER_SECONDS = 30.0
POLL_SECONDS = 0.05
DEFAULT_RECORD_BYTES = 1_048_588
"""Kafka's own limit of a batch, and so of a record."""
COPY_BYTES = 4_096
SILENCE = "Kafka does not answer; check kafka.bootstrap_servers, or `penchant broker start` a local one"

CleanUp = Literal["delete", "compact"]
Answer = TypeVar("Answer")
Key = TypeVar("Key")

_ANY_TOPIC = "__consumer_offsets"
"""One that every cluster with groups has."""


class TopicPlan(msgspec.Struct, frozen=True):
    """How one topic must be. `source` is the topic whose partitions it must match."""

    name: str
    cleanup: CleanUp
    source: str | None = None
    partitions: int | None = None
    """Where it is not `topics.partitions`."""
    changelog: bool = False
    personal: bool = False
    """Whether it is about users: what was deleted must be gone from it soon, however quiet it is."""
    copies: str | None = None
    """The topic whose records it takes with COPY_BYTES more: an own key, and headers."""


def user_state_changelog(settings: Settings) -> str:
    """Name of the changelog of the users' states."""
    return f"penchant-{settings.app.name}-user-state-changelog"


def item_signals_changelog(settings: Settings) -> str:
    """Name of the changelog of the items' counts."""
    return f"penchant-{settings.app.name}-item-signals-changelog"


def plan_topics(settings: Settings) -> list[TopicPlan]:
    """All topics of this deployment, sources before those that follow them."""
    names = settings.topics
    by_user = TopicPlan(names.interactions_by_user, "delete", copies=names.interactions)
    return [
        TopicPlan(names.interactions, "delete"),
        *([by_user] if names.repartition else []),
        TopicPlan(names.items, "compact"),
        TopicPlan(names.interactions_encoded, "delete", source=names.keyed),
        TopicPlan(names.items_encoded, "compact"),
        TopicPlan(names.interests, "compact", personal=True),
        TopicPlan(names.recommendations, "compact", personal=True),
        TopicPlan(names.user_commands, "delete"),
        TopicPlan(names.user_receipts, "delete"),
        *([TopicPlan(names.item_vectors, "compact")] if settings.interests.item_vectors else []),
        *(
            [TopicPlan(names.interest_descriptions, "compact", personal=True)]
            if settings.describe.enabled
            else []
        ),
        TopicPlan(names.dead_letters, "delete"),
        TopicPlan(names.item_deltas, "delete", partitions=names.item_deltas_partitions),
        TopicPlan(names.item_signals, "compact"),
        TopicPlan(
            user_state_changelog(settings),
            "compact",
            source=names.interactions_encoded,
            changelog=True,
            personal=True,
        ),
        TopicPlan(item_signals_changelog(settings), "compact", source=names.item_deltas, changelog=True),
    ]


def topic_config(plan: TopicPlan, settings: Settings) -> dict[str, str]:
    """Kafka's settings of the topic."""
    if plan.cleanup == "delete":
        config = {
            "cleanup.policy": "delete",
            "retention.ms": str(int(settings.topics.retention_hours * 3_600_000)),
        }
        if plan.copies is not None:
            config["max.message.bytes"] = str(DEFAULT_RECORD_BYTES + COPY_BYTES)
        return config
    config = {"cleanup.policy": "compact"}
    if plan.personal:
        config["max.compaction.lag.ms"] = str(86_400_000)
    if plan.changelog:
        # Small segments and an early cleaner keep a recovery close to one record a key. A deletion stays
        # readable for a day, so that a store that was away for less still learns of it.
        config |= {
            "segment.bytes": str(64 * 1024 * 1024),
            "segment.ms": str(3_600_000),
            "min.cleanable.dirty.ratio": "0.2",
            "delete.retention.ms": str(86_400_000),
        }
    return config


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


def size_problems(plan: TopicPlan, sizes: Mapping[str, int]) -> list[str]:
    """Whether a copy could be too large for the topic, given the `max.message.bytes` of both."""
    if plan.copies is None or sizes[plan.name] >= sizes[plan.copies] + COPY_BYTES:
        return []
    return [
        f"{plan.name}: max.message.bytes is {sizes[plan.name]}, too little for the largest records of "
        f"{plan.copies}; alter it to {sizes[plan.copies] + COPY_BYTES}"
    ]


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


def problems_of(plan: TopicPlan, partitions: Mapping[str, int], policies: Mapping[str, str]) -> list[str]:
    """What is wrong with one topic, given the partition counts and clean-up policies of those that exist."""
    if plan.name not in partitions:
        return [f"{plan.name}: missing; `penchant topics create` makes it"]
    found: list[str] = []
    own = partitions[plan.name]
    source = own if plan.source is None else partitions.get(plan.source, own)
    if own != source:
        found.append(
            f"{plan.name}: has {own} partitions, but {plan.source}, which it follows partition by partition, "
            f"has {source}; give both the same number"
        )
    if policies[plan.name] != plan.cleanup:
        found.append(
            f"{plan.name}: cleanup.policy is {policies[plan.name]}, must be {plan.cleanup}; "
            "alter the topic's configuration"
        )
    return found
