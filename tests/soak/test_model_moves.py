"""What moves states knows which model serves: another name and more partitions after a promotion."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from state.settings import ModelSettings
from streams.broker import LocalCluster
from streams.interests.worker import InterestsWorker
from streams.topics import create_topics
from tests.command_line import penchant
from tests.encode_harness import served, until
from tests.integration.conftest import fresh_settings
from tests.models_world import Feed, all_shown, saved, seen

pytestmark = [pytest.mark.soak, pytest.mark.timeout(400)]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    with LocalCluster(tmp_path_factory.mktemp("kafka")) as made:
        yield made


def test_states_go_along_with_the_model_that_serves(cluster: LocalCluster, tmp_path: Path) -> None:
    settings = fresh_settings(cluster.bootstrap_servers, tmp_path / "data", partitions=2)
    create_topics(settings)
    feed, folder = Feed(settings), saved(tmp_path / "model")
    feed.send(200)
    with served(InterestsWorker(settings)):
        all_shown(settings, feed)
    made = penchant(settings, "models", "promote", folder)
    assert made.exit_code == 0 and "no interests worker runs" in made.stdout, made.output
    early = penchant(settings, "app", "rename", settings.app.name, "moved")
    assert early.exit_code == 1 and "still taking over" in early.output
    with served(InterestsWorker(settings)):
        until("the passage", lambda: "takes over" not in penchant(settings, "models", "list").stdout)
        feed.send(100)
        all_shown(settings, feed)

    grown = penchant(settings, "topics", "grow", "--partitions", "3")
    assert grown.exit_code == 0, grown.output
    back = penchant(settings, "models", "rollback")
    assert back.exit_code == 1 and "no former model" in back.output
    wider = msgspec.structs.replace(settings, topics=msgspec.structs.replace(settings.topics, partitions=3))
    more = Feed(wider, rows=feed.rows, raw=feed.raw, start=feed.count)
    with served(InterestsWorker(wider)):
        more.send(100)
        all_shown(wider, more)
    seen(wider).check(more)
    refused = penchant(wider, "models", "promote", saved(tmp_path / "third", "third-1", 0.25))
    assert refused.exit_code == 1 and "penchant topics grow" in refused.output
    assert penchant(wider, "models", "cancel").exit_code == 0

    name = f"{settings.app.name}-moved"
    renamed = penchant(wider, "app", "rename", settings.app.name, name)
    assert renamed.exit_code == 0 and "model other-1" in renamed.stdout, renamed.output
    moved = msgspec.structs.replace(
        wider, app=msgspec.structs.replace(wider.app, name=name), model=ModelSettings(folder)
    )
    last = Feed(moved, rows=more.rows, raw=more.raw, start=more.count)
    with served(InterestsWorker(moved)):
        last.send(100)
        all_shown(moved, last)
    seen(moved).check(last)
    assert {model for each in seen(moved).shown.values() for _, model, *_ in each[-1:]} == {"other-1"}
    removed = penchant(moved, "app", "remove", settings.app.name)
    assert removed.exit_code == 0 and f"penchant-{settings.app.name}-models" in removed.stdout
