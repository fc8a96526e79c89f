"""`penchant train fusion` and `penchant train alignment --measure` on a folder of media."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from encoders import alignment_figures
from encoders.alignment_artifact import MANIFEST
from state.artifact import load_artifact
from state.fusions import FUSIONS
from state.prior import content_prior
from streams.cli import cli
from streams.commands.train import KINDS


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures of a plain colour with its number beside."""
    folder = tmp_path_factory.mktemp("catalogue") / "media"
    folder.mkdir()
    random = np.random.default_rng(1)
    for number in range(40):
        colour = random.integers(0, 255, 3)
        Image.fromarray(np.tile(colour, (30, 40, 1)).astype(np.uint8)).save(folder / f"{number}.png")
        (folder / f"{number}.txt").write_text(f"a colour with number {number}")
    return folder


def train(media: Path, *words: str) -> Result:
    environment = {
        "PENCHANT_FETCH__FILE_ROOTS": json.dumps([str(media)]),
        "PENCHANT_APP__DATA": str(media.parent / "data"),
        "PENCHANT_ENCODERS__DEVICE": "cpu",
    }
    return CliRunner().invoke(cli, ["train", *words], prog_name="penchant", env=environment)


def test_the_command_knows_all_kinds() -> None:
    assert sorted(KINDS) == sorted(FUSIONS)


def test_alignment_tells_and_keeps_its_figures(
    media: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alignment_figures, "SPLITS", 2)
    aligned = tmp_path / "aligned"
    result = train(media, "alignment", str(media), "--out", str(aligned), "--measure")
    assert result.exit_code == 0, result.output
    assert "text to image R@1" in result.output
    figures = json.loads((aligned / MANIFEST).read_bytes())["figures"]
    assert (figures["items"], figures["image"], figures["audio"]) == (40, 40, 0)
    assert 0 <= figures["image to text R@1"] <= figures["image to text R@5"] <= 1
    assert "text to image R@5 deviation" in figures


def test_trains_a_fusion_of_any_kind(media: Path, tmp_path: Path) -> None:
    model = tmp_path / "model"
    result = train(media, "fusion", str(media), "--out", str(model), "--kind", "cross-attention")
    assert result.exit_code == 0, result.output
    assert "mean inverse rank" in result.output
    artifact = load_artifact(str(model))
    assert artifact.items.kind == "cross-attention"
    assert artifact.version.startswith(f"{content_prior().version}-cross-attention-")
    assert "+builtin-" in artifact.space


def test_too_few_items_are_refused_with_a_word(media: Path, tmp_path: Path) -> None:
    few = media.parent / "few"
    few.mkdir(exist_ok=True)
    for number in range(10):
        for suffix in (".png", ".txt"):
            (few / f"{number}{suffix}").write_bytes((media / f"{number}{suffix}").read_bytes())
    result = train(few, "fusion", str(few), "--out", str(tmp_path / "model"))
    assert result.exit_code != 0
    assert "10 items have more than one modality" in str(result.output) + str(result.exception)
    assert not (tmp_path / "model").exists()
