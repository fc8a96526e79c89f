"""Another model takes over on a real Kafka, under load: nothing lost, nothing twice, versions rise."""

from dataclasses import replace
from pathlib import Path

import pytest

from state.artifact import save_artifact
from state.codec import empty, encode
from streams.broker import LocalCluster
from streams.interests.processor import KIND_FUSION
from streams.interests.worker import InterestsWorker
from streams.kafka import TopicPartition, admin_client, producer
from streams.models import artifacts
from streams.models.board import changelog_of
from streams.models.control import Control
from streams.settings import Settings
from streams.topic_plans import user_state_changelog
from streams.topics import create_topics
from tests.command_line import penchant
from tests.encode_harness import served
from tests.integration.conftest import fresh_settings, read_all
from tests.models_world import Feed, all_shown, assert_states, content_prior, other_artifact, saved, seen

pytestmark = pytest.mark.timeout(400)


def states(settings: Settings, version: str) -> dict[bytes, bytes]:
    """As the changelog of the model has them."""
    control = Control(settings)
    entry = control.soon().named(version)
    control.close()
    kept: dict[bytes, bytes] = {}
    for message in read_all(settings, changelog_of(settings, entry)):
        key, value = message.key() or b"", message.value()
        if key.startswith(KIND_FUSION):
            kept.pop(key[1:], None)
            if value is not None:
                kept[key[1:]] = value
    return kept


def test_a_model_takes_over_and_gives_back_under_load(
    kafka: LocalCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(artifacts, "CHUNK_BYTES", 50_000)
    settings = fresh_settings(kafka.bootstrap_servers, tmp_path / "one", partitions=2)
    create_topics(settings)
    folder = saved(tmp_path / "model")
    feed = Feed(settings, interval=0.02)
    feed.send(200)
    with served(InterestsWorker(settings)):
        with feed:
            before = penchant(settings, "models", "list")
            assert before.exit_code == 0 and "serves, by the settings" in before.stdout, before.output
            made = penchant(settings, "models", "promote", folder)
            assert made.exit_code == 0 and "other-1" in made.stdout, made.output
            again = penchant(settings, "models", "promote", "other-1")
            assert again.exit_code == 0 and "serves now" in again.stdout, again.output
        listed = penchant(settings, "models", "list").stdout
        assert "other-1" in listed and "ndcg@10: 0.1234" in listed
        assert "rollback` goes back" in listed
        all_shown(settings, feed)
        found = seen(settings)
        found.check(feed)
        assert found.models() == ["content-prior-1", "other-1"]
        assert_states(states(settings, "other-1"), feed, other_artifact())
        shown = penchant(settings, "user", "show", "user-1")
        assert shown.exit_code == 0 and f"{len(feed.rows['user-1'])} events" in shown.stdout, shown.output
        with feed:
            back = penchant(settings, "models", "rollback")
            assert back.exit_code == 0 and "content-prior-1" in back.stdout, back.output
        all_shown(settings, feed)
    found = seen(settings)
    found.check(feed)
    assert found.models() == ["content-prior-1", "other-1"]
    assert_states(states(settings, content_prior().version), feed, content_prior())


def test_a_trimmed_log_is_refused_with_the_first_offset_that_is_gone(
    kafka: LocalCluster, tmp_path: Path
) -> None:
    settings = fresh_settings(kafka.bootstrap_servers, tmp_path / "data", partitions=1)
    create_topics(settings)
    Feed(settings).send(20)
    source, admin = settings.topics.interactions_encoded, admin_client(settings.kafka)
    for answer in admin.delete_records([TopicPartition(source, 0, 7)]).values():
        answer.result(30)
    refused = penchant(settings, "models", "promote", saved(tmp_path / "model"))
    assert refused.exit_code == 1
    assert f"{source}-0: offsets 0 to 6 are gone" in refused.output
    assert "topics.retention_hours" in refused.output
    cancelled = penchant(settings, "models", "cancel")
    assert "other-1 is not built any more" in cancelled.stdout
    assert "idle" in penchant(settings, "models", "list").stdout
    unknown = penchant(settings, "models", "promote", "nobody")
    assert unknown.exit_code == 1 and "known: content-prior-1" in unknown.output


def test_states_of_another_model_than_the_settings_name_are_refused(
    kafka: LocalCluster, tmp_path: Path
) -> None:
    """The command may run with other settings than the workers."""
    settings = fresh_settings(kafka.bootstrap_servers, tmp_path / "data", partitions=1)
    create_topics(settings)
    made = empty(1, 0xABCD)
    client = producer(settings.kafka)
    client.produce(user_state_changelog(settings), encode(made)[0], KIND_FUSION + b"u", partition=0)
    assert client.flush(30) == 0
    refused = penchant(settings, "models", "promote", saved(tmp_path / "model"))
    assert refused.exit_code == 1
    assert "has states of model 0000abcd" in refused.output and "model.artifact" in refused.output


def test_numbers_that_are_here_already_keep_their_name_and_their_states(
    kafka: LocalCluster, tmp_path: Path
) -> None:
    """The entry says where the states lie: another one for the same numbers would lose them."""
    settings = fresh_settings(kafka.bootstrap_servers, tmp_path / "data", partitions=1)
    create_topics(settings)
    save_artifact(replace(content_prior(), version="renamed"), str(tmp_path / "model"))
    refused = penchant(settings, "models", "promote", str(tmp_path / "model"))
    assert refused.exit_code == 1
    assert "renamed has the numbers of content-prior-1" in refused.output
    control = Control(settings)
    (entry,) = control.soon().entries.values()
    control.close()
    assert entry.first and changelog_of(settings, entry) == user_state_changelog(settings)
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "manifest.json").write_bytes(b'{"kind": "\xff"}')
    broken = penchant(settings, "models", "promote", str(tmp_path / "broken"))
    assert broken.exit_code == 1 and "manifest.json" in broken.output and "--debug" not in broken.output
    long = penchant(settings, "models", "promote", "x" * 5_000)
    assert long.exit_code == 1 and "--debug" not in long.output
    nothing = penchant(settings, "models", "rollback")
    assert nothing.exit_code == 1 and "no former model" in nothing.output
    serving = penchant(settings, "models", "remove", "content-prior-1", "--yes")
    assert serving.exit_code == 1 and "serves: promote another model first" in serving.output
