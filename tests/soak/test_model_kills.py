"""kill -9 of the command or of a worker at each point of a promotion under load: one model or the other."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from streams.broker import LocalCluster
from streams.models.faults import COMMAND_POINTS, WORKER_POINTS
from streams.topics import create_topics
from tests.integration.conftest import fresh_settings
from tests.model_trial import promoted_under_fire

pytestmark = [pytest.mark.soak, pytest.mark.timeout(400)]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    with LocalCluster(tmp_path_factory.mktemp("kafka")) as made:
        yield made


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("point", [*COMMAND_POINTS, *WORKER_POINTS])
def test_a_kill_at_any_point_loses_nothing_and_doubles_nothing(
    cluster: LocalCluster, tmp_path: Path, point: str, workers: int
) -> None:
    settings = fresh_settings(cluster.bootstrap_servers, tmp_path, partitions=2)
    create_topics(settings)
    feed, found = promoted_under_fire(settings, tmp_path, point, workers)
    found.check(feed)
    assert found.models() == ["content-prior-1", "other-1"]
    print(f"{point}, {workers} workers: {found.passage():.2f} s between the models")
