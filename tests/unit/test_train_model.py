"""`penchant train model`: from events in a file to an artifact, and what it says where it cannot."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from state.artifact import load_artifact
from state.errors import LearningError
from state.learning import sequential
from state.learning.saving import REPORT, load_report
from state.learning.start import NUMBERS
from streams.cli import cli
from streams.commands import train_model


@pytest.fixture(scope="module")
def events(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("events") / "events.jsonl"
    rng = np.random.default_rng(0)
    lines = []
    for user in range(30):
        first = int(rng.integers(0, 24))
        for step in range(10):
            event = {
                "user_id": f"user-{user}",
                "item_id": f"item-{first // 8 * 8 + (first + step) % 8}",
                "action": "like" if step % 3 else "view",
                "timestamp": 1_600_000_000_000 + 60_000 * (step * 30 + user),
            }
            lines.append(json.dumps(event))
    path.write_text("\n".join(lines))
    return path


def train(data: Path, *words: str) -> Result:
    environment = {"PENCHANT_APP__DATA": str(data), "PENCHANT_ENCODERS__DEVICE": "cpu"}
    words = ("train", "model", "--device", "cpu", "--epochs", "2", *words)
    return CliRunner().invoke(cli, words, prog_name="penchant", env=environment)


def evaluate(data: Path, *words: str) -> Result:
    environment = {"PENCHANT_APP__DATA": str(data), "PENCHANT_ENCODERS__DEVICE": "cpu"}
    return CliRunner().invoke(cli, ("evaluate", *words), prog_name="penchant", env=environment)


def test_the_command_knows_all_models() -> None:
    assert sorted(train_model.KINDS) == sorted(sequential.KINDS)


def test_an_artifact_comes_of_events_and_says_what_of(events: Path, tmp_path: Path) -> None:
    result = train(tmp_path, "--from", str(events), "--into", str(tmp_path / "model"))
    assert result.exit_code == 0, result.output
    assert "300 events of 30 users and 24 items, of which 0 are described (" in result.output
    assert "milliseconds a step" in result.output
    artifact = load_artifact(str(tmp_path / "model"))
    assert artifact.version in result.output
    assert artifact.known is not None
    assert len(artifact.known.keys) <= 24
    report = load_report(tmp_path / "model")
    assert (report.events, report.epochs, report.version) == (300, 2, artifact.version)
    assert len(report.losses) == len(report.found) == 2
    # Nine tenths were learnt from, and the test is the last fifth: half of it is known.
    words = ("--from", str(events), "--protocol", "temporal", "--models", f"{tmp_path / 'model'}")
    page = tmp_path / "report.html"
    measured = evaluate(tmp_path, *words, "--seeds", "1", "--report", str(page))
    assert measured.exit_code == 0, measured.output
    told = "model: learned from 30 of the 60 events of the test"
    assert told in " ".join(measured.output.split())
    assert told in page.read_text()


def test_it_is_told_of_how_many_items_something_is_known(events: Path, tmp_path: Path) -> None:
    beside = tmp_path / "told"
    beside.mkdir()
    (beside / "events.jsonl").write_bytes(events.read_bytes())
    items = [{"item_id": f"item-{number}", "title": f"the title {number}"} for number in range(5)]
    (beside / "items.jsonl").write_text("\n".join(map(json.dumps, items)))
    result = train(tmp_path, "--from", str(beside / "events.jsonl"), "--into", str(tmp_path / "model"))
    assert result.exit_code == 0, result.output
    assert "300 events of 30 users and 24 items, of which 5 are described; validation" in result.output


def test_a_baseline_is_kept_for_comparison(events: Path, tmp_path: Path) -> None:
    result = train(tmp_path, "--from", str(events), "--into", str(tmp_path / "model"), "--model", "sasrec")
    assert result.exit_code == 0, result.output
    assert "it does not serve" in result.output
    assert load_report(tmp_path / "model").plan.kind == "sasrec"
    modes = {path.name: path.stat().st_mode for path in (tmp_path / "model").iterdir() if path.is_file()}
    assert {NUMBERS, REPORT} <= modes.keys()
    assert len(set(modes.values())) == 1, "who may read one may read all"


def test_a_search_tells_what_it_tried(events: Path, tmp_path: Path) -> None:
    pytest.importorskip("optuna")
    words = ("--from", str(events), "--into", str(tmp_path / "model"), "--model", "gru4rec", "--search", "2")
    result = train(tmp_path, *words)
    assert result.exit_code == 0, result.output
    assert result.output.count("dropout") == 2
    plan = load_report(tmp_path / "model").plan
    assert f"dropout {plan.gru4rec.dropout:.4g}" in result.output


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--into", "x"), "one of --from and --from-topics"),
        (("--from", "nowhere.jsonl", "--into", "x"), "nowhere.jsonl"),
        (("--from", "y", "--into", "x", "--search", "1", "--resume"), "cannot be resumed"),
    ],
)
def test_what_cannot_be_is_told(words: tuple[str, ...], told: str, tmp_path: Path) -> None:
    result = train(tmp_path, *words)
    assert result.exit_code != 0
    assert told in result.output or told in str(result.exception)


def test_a_device_that_is_not_there_is_named(events: Path, tmp_path: Path) -> None:
    result = train(tmp_path, "--from", str(events), "--into", str(tmp_path / "x"), "--device", "nonsense")
    assert result.exit_code != 0
    assert "nonsense" in result.output or "nonsense" in str(result.exception)


def test_a_folder_without_a_report_is_named(tmp_path: Path) -> None:
    with pytest.raises(LearningError, match=REPORT):
        load_report(tmp_path)
