"""`penchant train blend`: what it prints is what penchant.toml takes, and what it says where it cannot."""

import tomllib
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result

from state.settings import RecommendSettings
from state.strategies.learned import Learned
from streams import blend_training
from streams.cli import cli


def invoke(*words: str) -> Result:
    return CliRunner().invoke(cli, ["train", "blend", *words], prog_name="penchant")


@pytest.fixture
def events(tmp_path: Path) -> Path:
    path = tmp_path / "events.jsonl"
    path.write_text('{"user_id": "u", "item_id": "i", "action": "view", "timestamp": 1700000000000}\n')
    return path


def test_the_weights_are_settings(events: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    def learn(dataset: object, settings: object, names: tuple[str, ...], count: int) -> Learned:
        asked.extend([names, count])
        return Learned({"interest": 0.6, "trending": 0.4}, {"learned": 0.21, "equal": 0.2})

    monkeypatch.setattr(blend_training, "train_blend", learn)
    done = invoke("--from", str(events), "--strategies", "interest, trending", "--events", "7")
    assert done.exit_code == 0, done.output
    assert asked == [("interest", "trending"), 7]
    written = {"weights": tomllib.loads(done.output)["recommend"]["weights"]}
    assert msgspec.convert(written, RecommendSettings).weights == {"interest": 0.6, "trending": 0.4}
    assert "NDCG@10 of learned: 0.2100" in done.output


@pytest.mark.parametrize(("names", "word"), [("interest,fame", "fame"), ("interest", "two or more")])
def test_unknown_strategies_and_a_single_one_are_refused(events: Path, names: str, word: str) -> None:
    done = invoke("--from", str(events), "--strategies", names)
    assert done.exit_code != 0
    assert word in done.output
    assert "collaborative" in done.output


@pytest.mark.parametrize(
    ("figures", "told"),
    [
        ({"learned": 0.21, "equal": 0.2, "interest": 0.25, "trending": 0.22}, "interest alone"),
        ({"learned": 0.21, "equal": 0.2, "interest": 0.2, "trending": 0.21}, ""),
        ({"learned": 0.21, "equal": 0.3, "interest": 0.2}, "equal weights"),
    ],
)
def test_weights_that_something_simpler_beats_are_told(
    events: Path, monkeypatch: pytest.MonkeyPatch, figures: dict[str, float], told: str
) -> None:
    learned = Learned({"interest": 0.6, "trending": 0.4}, figures)
    monkeypatch.setattr(blend_training, "train_blend", lambda *_: learned)
    done = invoke("--from", str(events), "--strategies", "interest, trending")
    assert done.exit_code == 0, done.output
    assert (f"# {told} did better than the learned weights" in done.output) is bool(told)
    assert tomllib.loads(done.output)["recommend"]["weights"] == {"interest": 0.6, "trending": 0.4}
