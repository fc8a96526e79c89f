"""`penchant train classics`, and `penchant train alignment` with what it learned."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from encoders.alignment_artifact import load_alignment
from encoders.base import Modality
from encoders.classics_artifact import load_classics
from streams.cli import cli


@pytest.fixture
def media(tmp_path: Path) -> Path:
    """Twelve pictures with a title beside each."""
    folder = tmp_path / "media" / "colours"
    folder.mkdir(parents=True)
    random = np.random.default_rng(1)
    for number in range(12):
        pixels = random.integers(0, 255, (30, 40, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
        (folder / f"{number}.txt").write_text(f"picture number {number} of noise")
    return folder.parent


def train(media: Path, kind: str, out: Path, **settings: str) -> Result:
    environment = {
        "PENCHANT_FETCH__FILE_ROOTS": json.dumps([str(media)]),
        "PENCHANT_APP__DATA": str(media.parent / "data"),
        "PENCHANT_ENCODERS__DEVICE": "cpu",
        **{f"PENCHANT_ENCODERS__{key.upper()}": value for key, value in settings.items()},
    }
    return CliRunner().invoke(
        cli, ["train", kind, str(media), "--out", str(out)], prog_name="penchant", env=environment
    )


def test_learns_and_then_aligns(media: Path, tmp_path: Path) -> None:
    learned, aligned = tmp_path / "learned", tmp_path / "aligned"
    result = train(media, "classics", learned)
    assert result.exit_code == 0, result.output
    assert "12 texts counted" in result.output
    assert "encoders.classics" in result.output
    assert load_classics(learned).frequency.documents == 12
    chosen = {"text": "tf-idf", "image": "hog", "audio": "mfcc", "classics": str(learned)}
    result = train(media, "alignment", aligned, **chosen)
    assert result.exit_code == 0, result.output
    versions = load_alignment(aligned).encoders
    assert versions[Modality.TEXT].startswith("tf-idf-")
    assert versions[Modality.IMAGE].startswith("hog-")


def test_a_classic_without_what_it_needs_says_the_mend(media: Path, tmp_path: Path) -> None:
    result = train(media, "alignment", tmp_path / "out", text="tf-idf")
    assert result.exit_code != 0
    assert "penchant train classics" in result.output
