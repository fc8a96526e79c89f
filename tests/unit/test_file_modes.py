"""Files that are written once are for whoever the umask says: a worker may run under another account."""

import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

import encoders.whole_file
import state.whole_file
from encoders.adapters.artifact import CONFIG, FORMAT, AdapterManifest, save_adapter
from encoders.adapters.settings import AdapterPlan
from encoders.alignment_artifact import save_alignment
from encoders.base import Modality
from encoders.classics_artifact import save_classics
from encoders.classics_fit import ClassicsFit
from encoders.media.decoded import Decoded
from state.learning.checkpoints import Course, save_checkpoint
from streams.broker.jars import Jar, ensure_jars
from tests.alignment_samples import builtin


class FakeSource:
    def fetch(self, jar: Jar, target: Path) -> None:
        target.write_bytes(b"jar")


class FakeConfig:
    """In the place of PEFT's, which takes long to import."""

    def save_pretrained(self, folder: str) -> None:
        (Path(folder) / CONFIG).write_text("{}")


def adapter(folder: Path) -> None:
    manifest = AdapterManifest(FORMAT, AdapterPlan(), "", "own", "", "", "", 0, 0, {}, {})
    save_adapter(folder, {"a": torch.zeros(2)}, FakeConfig(), manifest)


def alignment(folder: Path) -> None:
    save_alignment(builtin(), folder)


def classics(folder: Path) -> None:
    fit = ClassicsFit()
    fit.add([Decoded(Modality.TEXT, text="fresh bread")])
    save_classics(fit.finished(), folder)


def checkpoint(folder: Path) -> None:
    save_checkpoint(folder, Course("run"), {"a": torch.zeros(2)})


def jars(folder: Path) -> None:
    ensure_jars(folder, FakeSource(), [Jar("org.example:a:1.0", hashlib.sha256(b"jar").hexdigest())])


@pytest.fixture
def for_the_group() -> Iterator[int]:
    """The mode that files have under a umask that no machine of ours is set to."""
    former = os.umask(0o037)
    yield 0o640
    os.umask(former)


@pytest.mark.parametrize("write", [adapter, alignment, classics, checkpoint, jars])
def test_the_umask_says_who_may_read(
    write: Callable[[Path], None], for_the_group: int, tmp_path: Path
) -> None:
    for _ in ("new", "in the place of the former one"):
        write(tmp_path / "made")
        modes = {path.name: oct(path.stat().st_mode & 0o777) for path in (tmp_path / "made").iterdir()}
        assert modes
        assert set(modes.values()) == {oct(for_the_group)}, modes


@pytest.mark.parametrize("write_whole", [encoders.whole_file.write_whole, state.whole_file.write_whole])
def test_where_writing_fails_the_former_file_stays_alone(
    write_whole: Callable[[Path, Callable[[Path], None]], None], tmp_path: Path
) -> None:
    def fill_the_disk(path: Path) -> None:
        path.write_text("half")
        raise OSError("no space left on device")

    (tmp_path / "made").write_text("former")
    with pytest.raises(OSError, match="no space"):
        write_whole(tmp_path / "made", fill_the_disk)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("made", "former")]
