"""kill -9 at each step of both halves of a merge between two partitions: the same as one user's events."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from streams.broker import LocalCluster
from streams.broker.ports import free_ports
from streams.topics import create_topics
from tests.integration.conftest import fresh_settings
from tests.merge_trial import assert_same_picture, merged_under_fire

pytestmark = [pytest.mark.soak, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    with LocalCluster(tmp_path_factory.mktemp("kafka")) as made:
        yield made


@pytest.mark.parametrize("half", [1, 2])
@pytest.mark.parametrize("step", range(1, 7))
def test_a_kill_at_any_step_of_a_merge_changes_nothing(
    cluster: LocalCluster, tmp_path: Path, step: int, half: int
) -> None:
    settings = fresh_settings(cluster.bootstrap_servers, tmp_path)
    create_topics(settings)
    state, folded = merged_under_fire(settings, tmp_path, f"{step}x{half}", free_ports(1)[0])
    assert_same_picture(state, folded)
