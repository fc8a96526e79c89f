"""Another model takes over on a real Kafka, under load: nothing lost, nothing twice, versions rise."""

from contextlib import ExitStack
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result

from streams.broker import LocalCluster
from streams.cli import cli
from streams.demo.stage import environment
from streams.interests.processor import KIND_FUSION
from streams.interests.worker import InterestsWorker
from streams.models.board import changelog_of
from streams.models.control import Control
from streams.settings import Settings
from streams.topics import create_topics
from tests.encode_harness import served, until
from tests.integration.conftest import fresh_settings, read_all
from tests.models_world import Feed, assert_states, content_prior, other_artifact, saved, seen

pytestmark = pytest.mark.timeout(400)


def penchant(settings: Settings, *arguments: str) -> Result:
    return CliRunner(env=environment(settings)).invoke(cli, arguments)


def states(settings: Settings, version: str) -> dict[bytes, bytes]:
    """As the changelog of the model has them."""
    control = Control(settings)
    entry = control.asked().named(version)
    control.close()
    kept: dict[bytes, bytes] = {}
    for message in read_all(settings, changelog_of(settings, entry)):
        key, value = message.key() or b"", message.value()
        if key.startswith(KIND_FUSION):
            kept.pop(key[1:], None)
            if value is not None:
                kept[key[1:]] = value
    return kept


def all_shown(settings: Settings, feed: Feed) -> None:
    until("all outputs", lambda: len(seen(settings).causes) >= feed.count)


def test_a_model_takes_over_and_gives_back_under_load(kafka: LocalCluster, tmp_path: Path) -> None:
    settings = fresh_settings(kafka.bootstrap_servers, tmp_path / "one", partitions=2)
    beside = msgspec.structs.replace(
        settings, app=msgspec.structs.replace(settings.app, data=str(tmp_path / "two"))
    )
    create_topics(settings)
    folder = saved(tmp_path / "model")
    feed = Feed(settings)
    feed.send(400)
    with ExitStack() as stack:
        stack.enter_context(served(InterestsWorker(settings)))
        stack.enter_context(served(InterestsWorker(beside)))
        with feed:
            before = penchant(settings, "models", "list")
            assert before.exit_code == 0 and "serves, by the settings" in before.stdout, before.output
            made = penchant(settings, "models", "promote", folder)
            assert made.exit_code == 0 and "other-1" in made.stdout, made.output
            listed = penchant(settings, "models", "list").stdout
            assert "other-1" in listed and "ndcg@10: 0.1234" in listed
            assert "rollback` goes back" in listed
        all_shown(settings, feed)
        found = seen(settings)
        found.check(feed)
        assert found.models() == ["content-prior-1", "other-1"]
        print("gap", found.gap(2))
        assert_states(states(settings, "other-1"), feed, other_artifact())
        with feed:
            back = penchant(settings, "models", "rollback")
            assert back.exit_code == 0 and "content-prior-1" in back.stdout, back.output
        all_shown(settings, feed)
    found = seen(settings)
    found.check(feed)
    assert found.models() == ["content-prior-1", "other-1"]
    assert_states(states(settings, content_prior().version), feed, content_prior())
