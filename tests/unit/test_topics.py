"""Which topics there are, and what the check says of wrong ones."""

from concurrent.futures import Future

import pytest
from msgspec.structs import replace

from streams.kafka import KafkaError, KafkaException
from streams.settings import AppSettings, DescribeSettings, InterestsSettings, Settings, TopicSettings
from streams.topic_plans import (
    TopicPlan,
    item_signals_changelog,
    plan_topics,
    problems_of,
    size_problems,
    topic_config,
    user_state_changelog,
)
from streams.topics import SilentCluster, TopicDescription, _answer

SETTINGS = Settings(app=AppSettings(name="shop"))


def test_the_plan_is_the_table_of_the_design() -> None:
    assert {plan.name: plan.cleanup for plan in plan_topics(SETTINGS)} == {
        "interactions": "delete",
        "items": "compact",
        "interactions.encoded": "delete",
        "items.encoded": "compact",
        "interests": "compact",
        "recommendations": "compact",
        "interest-descriptions": "compact",
        "user-commands": "delete",
        "user-receipts": "delete",
        "dead-letters": "delete",
        "item-deltas": "delete",
        "item-signals": "compact",
        "penchant-shop-user-state-changelog": "compact",
        "penchant-shop-item-signals-changelog": "compact",
    }


def test_sources_come_before_those_that_follow_them() -> None:
    seen: set[str] = set()
    for plan in plan_topics(SETTINGS):
        assert plan.source is None or plan.source in seen
        seen.add(plan.name)


def test_names_follow_the_settings() -> None:
    renamed = replace(SETTINGS, topics=TopicSettings(interactions="clicks"))
    plans = {plan.name: plan for plan in plan_topics(renamed)}
    assert "clicks" in plans
    assert plans["interactions.encoded"].source == "clicks"
    assert user_state_changelog(renamed) == "penchant-shop-user-state-changelog"
    assert item_signals_changelog(renamed) == "penchant-shop-item-signals-changelog"


def test_deleted_topics_keep_records_for_the_retention() -> None:
    short = replace(SETTINGS, topics=TopicSettings(retention_hours=1.5))
    assert topic_config(TopicPlan("x", "delete"), short) == {
        "cleanup.policy": "delete",
        "retention.ms": "5400000",
    }


def test_changelogs_are_cleaned_early_and_keep_deletions_for_a_day() -> None:
    config = topic_config(TopicPlan("x", "compact", changelog=True), SETTINGS)
    assert config["cleanup.policy"] == "compact"
    assert float(config["min.cleanable.dirty.ratio"]) < 0.5
    assert config["delete.retention.ms"] == "86400000"
    assert "retention.ms" not in config


def test_what_is_deleted_of_users_is_gone_within_a_day() -> None:
    lags = {
        plan.name: topic_config(plan, SETTINGS).get("max.compaction.lag.ms") for plan in plan_topics(SETTINGS)
    }
    assert {name for name, lag in lags.items() if lag == "86400000"} == {
        "interests",
        "recommendations",
        "interest-descriptions",
        "penchant-shop-user-state-changelog",
    }


def test_descriptions_have_a_topic_unless_they_are_not_wanted() -> None:
    without = replace(SETTINGS, describe=DescribeSettings(enabled=False))
    assert {plan.name for plan in plan_topics(SETTINGS)} - {plan.name for plan in plan_topics(without)} == {
        "interest-descriptions"
    }


def test_vectors_of_items_have_a_topic_where_they_are_wanted() -> None:
    wanted = replace(SETTINGS, interests=InterestsSettings(item_vectors=True))
    assert {plan.name for plan in plan_topics(wanted)} - {plan.name for plan in plan_topics(SETTINGS)} == {
        "item-vectors"
    }


def test_input_that_is_not_keyed_has_a_topic_by_user_that_decides_the_partitions() -> None:
    settings = replace(SETTINGS, topics=TopicSettings(repartition=True))
    plans = {plan.name: plan for plan in plan_topics(settings)}
    assert (plans["interactions.by-user"].cleanup, plans["interactions.by-user"].source) == ("delete", None)
    assert plans["interactions.encoded"].source == "interactions.by-user"
    assert int(topic_config(plans["interactions.by-user"], settings)["max.message.bytes"]) == 1_052_684


@pytest.mark.parametrize(("size", "words"), [(1_052_684, []), (1_052_683, ["alter it to 1052684"])])
def test_a_topic_of_copies_has_room_for_more_than_its_source(size: int, words: list[str]) -> None:
    plan = TopicPlan("copies", "delete", copies="raw")
    problems = size_problems(plan, {"raw": 1_048_588, "copies": size})
    assert len(problems) == len(words)
    for problem, word in zip(problems, words, strict=True):
        assert word in problem


FOLLOWER = TopicPlan("encoded", "delete", source="raw")


@pytest.mark.parametrize(
    ("partitions", "policies", "words"),
    [
        ({"raw": 4, "encoded": 4}, {"encoded": "delete"}, []),
        ({"encoded": 4}, {"encoded": "delete"}, []),
        ({"raw": 4}, {}, ["missing"]),
        ({"raw": 4, "encoded": 3}, {"encoded": "delete"}, ["3 partitions"]),
        ({"raw": 4, "encoded": 4}, {"encoded": "compact"}, ["must be delete"]),
        ({"raw": 4, "encoded": 4}, {"encoded": "compact,delete"}, ["must be delete"]),
        ({"raw": 1, "encoded": 2}, {"encoded": "compact"}, ["2 partitions", "must be delete"]),
    ],
)
def test_problems_in_plain_words(
    partitions: dict[str, int], policies: dict[str, str], words: list[str]
) -> None:
    problems = problems_of(FOLLOWER, partitions, policies)
    assert len(problems) == len(words)
    for problem, word in zip(problems, words, strict=True):
        assert problem.startswith("encoded: ")
        assert word in problem


@pytest.mark.parametrize("code", [KafkaError._TIMED_OUT, KafkaError._TRANSPORT, KafkaError._DESTROY_BROKER])
def test_a_broker_that_is_lost_while_it_is_asked_is_silent_and_refuses_nothing(code: int) -> None:
    """Workers ask for the ids of their topics now and then: a refusal would end them."""
    asked: Future[TopicDescription] = Future()
    asked.set_exception(KafkaException(KafkaError(code)))
    with pytest.raises(SilentCluster):
        _answer(asked, "interests")
