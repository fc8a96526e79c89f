"""`penchant models` without a broker: what a person reads of it."""

import pytest
from click.testing import CliRunner

from streams.commands.models import models
from streams.errors import PenchantError
from streams.models import control
from streams.settings import Settings
from streams.topics import SilentCluster


def test_a_cluster_that_does_not_answer_is_told_without_names_of_ours(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def silent(*_: object) -> None:
        raise SilentCluster("penchant-penchant-models: Kafka does not answer")

    monkeypatch.setattr(control, "partition_counts", silent)
    monkeypatch.setattr(control, "_READ_SECONDS", 0.0)
    error = CliRunner().invoke(models, ["list"], obj=Settings()).exception
    assert isinstance(error, PenchantError)
    assert str(error).startswith("no broker answers at 127.0.0.1:9092; check kafka.bootstrap_servers, or")
