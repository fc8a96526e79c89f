"""Trainings told to a tracker: what is in TensorBoard's event file, and what is said where it cannot be."""

import struct
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from state.errors import LearningError
from state.learning.saving import load_report
from state.learning.tracking import tracked
from streams.cli import cli
from tests.learning_samples import write_likes


def records(folder: Path) -> Iterator[Any]:
    """The events of the one file in the folder: length, its checksum, the event, its checksum, each time."""
    from tensorboardX.proto.event_pb2 import Event

    (path,) = folder.glob("events.out.tfevents.*")
    content, at = path.read_bytes(), 0
    while at < len(content):
        (length,) = struct.unpack_from("<Q", content, at)
        yield Event.FromString(content[at + 12 : at + 12 + length])
        at += 12 + length + 4


def told(folder: Path) -> tuple[dict[str, dict[int, float]], str]:
    """Scalars by name and step, and whatever stands in the pages of settings."""
    scalars: dict[str, dict[int, float]] = defaultdict(dict)
    pages = ""
    for event in records(folder):
        for value in event.summary.value:
            if value.HasField("simple_value"):
                scalars[value.tag][event.step] = value.simple_value
            pages += str(value.metadata.plugin_data.content)
    return scalars, pages


def train(data: Path, *words: str, **environment: str) -> Result:
    path = data / "events.jsonl"
    write_likes(path)
    environment |= {"PENCHANT_APP__DATA": str(data), "PENCHANT_ENCODERS__DEVICE": "cpu"}
    words = ("train", "model", "--from", str(path), "--into", str(data / "model"), "--device", "cpu", *words)
    words = (*words, "--model", "gru4rec", "--epochs", "2")
    return CliRunner().invoke(cli, words, prog_name="penchant", env=environment)


def test_every_epoch_is_told_to_tensorboard(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    result = train(tmp_path, "--seed", "11", "--track", f"tensorboard:{runs}")
    assert result.exit_code == 0, result.output
    report = load_report(tmp_path / "model")
    scalars, pages = told(runs)
    assert scalars["loss"] == pytest.approx(dict(enumerate(report.losses, 1)))
    assert scalars["validation/ndcg_10"] == pytest.approx(dict(enumerate(report.found, 1)))
    assert set(scalars["seconds"]) == {1, 2}
    assert scalars["last/ndcg_10"][0] == pytest.approx(report.validation)
    assert "schedule.optimiser.rate" in pages
    assert "seed" in pages


def test_the_setting_tracks_as_the_option_does(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    result = train(tmp_path, PENCHANT_TRAIN__TRACK=f"tensorboard:{runs}")
    assert result.exit_code == 0, result.output
    assert set(told(runs)[0]["loss"]) == {1, 2}


@pytest.mark.parametrize("kind", ["tensorboard", "wandb"])
def test_a_missing_package_is_named_with_its_extra(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(LearningError, match=rf'install "penchant\[{kind}\]"'), tracked(f"{kind}:here"):
        pass


@pytest.mark.parametrize("where", ["tensorboard", "tensorboard:", "mlflow:here"])
def test_another_form_is_told(where: str, tmp_path: Path) -> None:
    result = train(tmp_path, "--track", where)
    assert result.exit_code != 0
    assert "tensorboard:FOLDER or wandb:PROJECT" in result.output + str(result.exception)


def test_a_folder_that_cannot_be_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LearningError, match="file"), tracked(f"tensorboard:{tmp_path / 'file' / 'runs'}"):
        pass


def test_what_fails_in_a_training_is_not_laid_to_the_tracker(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"^disk full$"), tracked(f"tensorboard:{tmp_path}"):
        raise OSError("disk full")


def test_a_run_is_kept_by_weights_and_biases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the package is installed; without a network, by its offline mode."""
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_DIR", str(tmp_path))
    monkeypatch.setenv("WANDB_SILENT", "true")
    with tracked("wandb:penchant-test") as tracker:
        tracker.told(1, {"loss": 1.5})
        tracker.ended({"rate": 0.1}, {"ndcg_10": 0.25})
    (run,) = tmp_path.glob("wandb/offline-run-*/run-*.wandb")
    assert run.stat().st_size > 0
