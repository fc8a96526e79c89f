"""Users are described while another model takes over: once per version, never of an earlier one, and by the
model that serves in the end."""

from collections.abc import Iterator
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from streams.broker import LocalCluster
from streams.describe.worker import DescribeWorker
from streams.interests.worker import InterestsWorker
from streams.kafka import producer
from streams.records import InterestDescription
from streams.settings import DescribeSettings, Settings
from streams.topics import create_topics
from tests.command_line import penchant
from tests.encode_harness import served, until
from tests.integration.conftest import fresh_settings, read_all
from tests.models_world import STOCK, Feed, all_shown, saved, seen

pytestmark = [pytest.mark.soak, pytest.mark.timeout(400)]

USERS = 12


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    with LocalCluster(tmp_path_factory.mktemp("kafka")) as made:
        yield made


def descriptions(settings: Settings) -> dict[str, list[InterestDescription]]:
    """Of each user, in order."""
    told: dict[str, list[InterestDescription]] = {}
    for message in read_all(settings, settings.topics.interest_descriptions):
        one = msgspec.json.decode(message.value() or b"", type=InterestDescription)
        told.setdefault(one.user_id, []).append(one)
    return told


def by_model(settings: Settings, version: str) -> set[str]:
    """Users whose latest description is of this model."""
    return {user for user, each in descriptions(settings).items() if each[-1].interest_model == version}


@pytest.mark.parametrize("writers", [1, 2])
def test_users_are_described_while_a_model_takes_over_and_back(
    cluster: LocalCluster, tmp_path: Path, writers: int
) -> None:
    base = fresh_settings(cluster.bootstrap_servers, tmp_path / "data", partitions=2)
    settings = replace(base, describe=DescribeSettings(interval_seconds=0.0, per_minute=0))
    create_topics(settings)
    client = producer(settings.kafka)
    for each in STOCK:
        client.produce(settings.topics.items_encoded, msgspec.msgpack.encode(each), each.item_id.encode())
    assert client.flush(30) == 0
    feed = Feed(settings, users=USERS, interval=0.02)
    feed.send(10 * USERS)
    users = {f"user-{number}" for number in range(USERS)}

    def goes_over(version: str, *words: str) -> None:
        with feed:
            made = penchant(settings, "models", *words)
            assert made.exit_code == 0 and version in made.stdout, made.output
        feed.shift += 1
        with feed:
            until(f"descriptions of {version}", lambda: by_model(settings, version) == users, 60)

    with ExitStack() as stack:
        stack.enter_context(served(InterestsWorker(settings)))
        for _ in range(writers):
            stack.enter_context(served(DescribeWorker(settings)))
        until("first descriptions", lambda: by_model(settings, "content-prior-1") == users)
        goes_over("other-1", "promote", saved(tmp_path / "model"))
        goes_over("content-prior-1", "rollback")
        all_shown(settings, feed)
    shown = {user: {version for version, *_ in each} for user, each in seen(settings).shown.items()}
    for user, told in descriptions(settings).items():
        assert all(before.version < after.version for before, after in pairwise(told)), user
        assert {each.version for each in told} <= shown[user]
        models = [each.interest_model for each in told]
        changes = [model for place, model in enumerate(models) if place == 0 or models[place - 1] != model]
        assert changes == ["content-prior-1", "other-1", "content-prior-1"]
