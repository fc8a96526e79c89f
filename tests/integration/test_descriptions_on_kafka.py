"""Descriptions on a real Kafka: they follow the interests, are written once, and go with their user."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from state.facts import Facts
from streams.broker import LocalCluster
from streams.describe.worker import DescribeWorker
from streams.errors import TopicError
from streams.interests.worker import InterestsWorker
from streams.records import InterestDescription
from streams.settings import DescribeSettings, Settings
from streams.topics import create_topics
from tests.command_line import penchant
from tests.encode_harness import running, served, until
from tests.integration.conftest import fresh_settings, produce_json, read_all

pytestmark = pytest.mark.timeout(300)

GROUPS = ("birds", "boats", "cakes")


@pytest.fixture
def made(kafka: LocalCluster, tmp_path: Path) -> Settings:
    """Two partitions, and users who are described as soon as they change."""
    settings = fresh_settings(kafka.bootstrap_servers, tmp_path / "data", partitions=2)
    settings = replace(settings, describe=DescribeSettings(interval_seconds=0.0))
    create_topics(settings)
    items = [
        (
            f"{group}-{number}",
            {
                "item_id": f"{group}-{number}",
                "title": f"{group} number {number}",
                "categories": [group],
                "media": [{"modality": "text", "text": f"{group} {number}"}],
            },
        )
        for group in GROUPS
        for number in range(8)
    ]
    produce_json(settings, settings.topics.items, items)
    return settings


def act(
    settings: Settings,
    user: str,
    group: str,
    first: int,
    count: int = 6,
    days_ago: float = 0,
    **fields: object,
) -> None:
    """Likes of the group's items, now or so long ago."""
    now = int((time.time() - days_ago * 86_400) * 1000)
    events = [
        (
            user,
            {
                "user_id": user,
                "action": "like",
                "timestamp": now + number,
                "event_id": f"{user}-{first + number}",
                "item_id": f"{group}-{number % 8}",
                **fields,
            },
        )
        for number in range(count)
    ]
    produce_json(settings, settings.topics.interactions, events)


def records(settings: Settings, user: str) -> list[InterestDescription | None]:
    """All that was published of the user, in order."""
    return [
        None if value is None else msgspec.json.decode(value, type=InterestDescription)
        for message in read_all(settings, settings.topics.interest_descriptions)
        if message.key() == user.encode()
        for value in [message.value()]
    ]


def described(settings: Settings, user: str, word: str) -> bool:
    """Whether the latest description of the user has the word."""
    latest = next(reversed(records(settings, user)), None)
    return latest is not None and word in latest.summary


def interests(settings: Settings, user: str) -> int:
    return sum(message.key() == user.encode() for message in read_all(settings, settings.topics.interests))


def test_descriptions_follow_the_interests_and_outlast_a_restart(made: Settings) -> None:
    with running(made), served(InterestsWorker(made)):
        with served(DescribeWorker(made)):
            act(made, "ann", "birds", 0)
            act(made, "li", "boats", 0, context={"language": "zh-CN"})
            until("first descriptions", lambda: described(made, "ann", "birds"))
            until("one in Chinese", lambda: described(made, "li", "boats"))
        before = records(made, "ann")
        (latest,) = records(made, "li")[-1:]
        assert latest is not None and latest.language == "zh" and "。" in latest.summary
        act(made, "ann", "cakes", 10, 12)
        until("the interests", lambda: interests(made, "ann") > 0 and counted(made, "ann") == 18)
        with served(DescribeWorker(made)):
            until("the change to be told", lambda: described(made, "ann", "cakes"))
        after = records(made, "ann")
        assert after[: len(before)] == before, "what had been told was not told again"
        assert len({record.digest for record in after if record is not None}) == len(after)
        last = after[-1]
        assert last is not None and last.version == 18 and last.facts

        shown = penchant(made, "describe", "ann")
        assert shown.exit_code == 0 and "cakes" in shown.stdout, shown.output
        chinese = penchant(made, "describe", "ann", "--language", "zh", "--json")
        assert msgspec.json.decode(chinese.stdout, type=InterestDescription).language == "zh"
        told = penchant(made, "interests", "show", "ann", "--json")
        assert msgspec.json.decode(told.stdout, type=Facts).event_count == 18
        lines = penchant(made, "interests", "show", "ann").stdout
        assert "topic cakes" in lines and "liked cakes-" in lines
        assert penchant(made, "describe", "nobody").exit_code == 1
        assert penchant(made, "interests", "show", "nobody").exit_code == 1


def counted(settings: Settings, user: str) -> int:
    """Events in the user's latest interest."""
    values = [
        message.value()
        for message in read_all(settings, settings.topics.interests)
        if message.key() == user.encode()
    ]
    return 0 if values[-1] is None else int(msgspec.json.decode(values[-1])["event_count"])


def test_a_forgotten_user_is_not_described_and_one_who_comes_back_is(made: Settings) -> None:
    with running(made), served(InterestsWorker(made)), served(DescribeWorker(made)):
        act(made, "ann", "birds", 0)
        act(made, "bob", "boats", 0)
        until("descriptions", lambda: described(made, "ann", "birds") and described(made, "bob", "boats"))
        assert penchant(made, "user", "forget", "ann", "--wait").exit_code == 0
        assert penchant(made, "user", "merge", "bob", "eve", "--wait").exit_code == 0
        until("the null", lambda: records(made, "ann")[-1] is None)
        until("the description of who bob is now", lambda: described(made, "eve", "boats"))
        until("the other null", lambda: records(made, "bob")[-1] is None)
        act(made, "ann", "cakes", 100)
        until("a new description", lambda: described(made, "ann", "cakes"))
        latest = records(made, "ann")[-1]
        assert latest is not None and "birds" not in latest.summary and latest.tags == ["cakes"]
    assert records(made, "bob")[-1] is None


def test_who_has_not_come_for_long_is_described_no_more(made: Settings) -> None:
    expiring = replace(made, interests=replace(made.interests, expire_days=30.0))
    with running(expiring), served(DescribeWorker(expiring)):
        with served(InterestsWorker(expiring)):
            act(expiring, "ann", "birds", 0, days_ago=40)
            until("a description", lambda: described(expiring, "ann", "birds"))
            # Whichever partition is hers, somebody there is about now.
            for number in range(4):
                act(expiring, f"user-{number}", "boats", 0)
            until("the others", lambda: all(described(expiring, f"user-{n}", "boats") for n in range(4)))
        # A worker looks through its users at its start, and then every ten minutes.
        with served(InterestsWorker(expiring)):
            until("the null", lambda: records(expiring, "ann")[-1] is None)
            act(expiring, "ann", "cakes", 100)
            until("a new description", lambda: described(expiring, "ann", "cakes"))
    latest = records(expiring, "ann")[-1]
    assert latest is not None and "birds" not in latest.summary
    assert all(records(expiring, f"user-{number}")[-1] is not None for number in range(4))


def test_who_was_forgotten_while_no_worker_ran_is_not_described_again(made: Settings) -> None:
    with running(made), served(InterestsWorker(made)):
        with served(DescribeWorker(made)):
            act(made, "ann", "birds", 0)
            until("a description", lambda: described(made, "ann", "birds"))
        act(made, "ann", "cakes", 10, 12)
        until("the interests", lambda: counted(made, "ann") == 18)
        assert penchant(made, "user", "forget", "ann", "--wait").exit_code == 0
        act(made, "bob", "boats", 0)
        with served(DescribeWorker(made)):
            until("the next user", lambda: described(made, "bob", "boats"))
        assert records(made, "ann")[-1] is None


@contextmanager
def silent() -> Iterator[str]:
    """An address where connections are taken, and nothing is ever answered."""
    taken: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.2)
        ended = threading.Event()

        def accept() -> None:
            while not ended.is_set():
                try:
                    taken.append(listener.accept()[0])
                except TimeoutError:
                    continue

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        finally:
            ended.set()
            thread.join(30)
            for each in taken:
                each.close()


def test_a_model_that_never_answers_delays_no_interest(made: Settings) -> None:
    """Its thread hangs for longer than this test may last, and the template writes after a second."""
    with silent() as address:
        stalled = replace(
            made,
            describe=replace(made.describe, batch_seconds=1.0),
            language=replace(
                made.language,
                backend="http",
                endpoint=address,
                model="any",
                timeout_seconds=600.0,
                connect_timeout_seconds=600.0,
                retries=0,
            ),
        )
        with running(stalled), served(InterestsWorker(stalled)), served(DescribeWorker(stalled)):
            act(stalled, "ann", "birds", 0)
            until("the template's description", lambda: described(stalled, "ann", "birds"))
            act(stalled, "ann", "cakes", 10, 12)
            until("all interests", lambda: counted(stalled, "ann") == 18)
            until("the next description", lambda: described(stalled, "ann", "cakes"))
        latest = records(stalled, "ann")[-1]
        assert latest is not None and latest.model == "template"


def test_workers_say_what_is_missing_where_the_topic_was_not_made(
    kafka: LocalCluster, tmp_path: Path
) -> None:
    """As after an upgrade: the first user to be forgotten would stop a partition otherwise."""
    settings = fresh_settings(kafka.bootstrap_servers, tmp_path / "data", partitions=1)
    create_topics(replace(settings, describe=DescribeSettings(enabled=False)))
    for worker in (InterestsWorker(settings), DescribeWorker(settings)):
        with pytest.raises(TopicError, match=f"{settings.topics.interest_descriptions}.*topics create"):
            worker.run(threading.Event())
