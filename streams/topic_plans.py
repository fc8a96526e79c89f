"""Which topics there are, and how each must be."""

from collections.abc import Mapping
from typing import Literal

import msgspec

from streams.settings import Settings

DEFAULT_RECORD_BYTES = 1_048_588
"""Kafka's own limit of a batch, and so of a record."""
COPY_BYTES = 4_096

CleanUp = Literal["delete", "compact"]


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


def size_problems(plan: TopicPlan, sizes: Mapping[str, int]) -> list[str]:
    """Whether a copy could be too large for the topic, given the `max.message.bytes` of both."""
    if plan.copies is None or sizes[plan.name] >= sizes[plan.copies] + COPY_BYTES:
        return []
    return [
        f"{plan.name}: max.message.bytes is {sizes[plan.name]}, too little for the largest records of "
        f"{plan.copies}; alter it to {sizes[plan.copies] + COPY_BYTES}"
    ]
