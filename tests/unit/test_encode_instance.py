"""Data folders of encode workers: one worker each, the same id after a restart."""

import subprocess
import sys
from pathlib import Path

import pytest

from streams.encode.instance import Instance
from streams.errors import EngineError


def test_each_worker_has_its_own_slot(tmp_path: Path) -> None:
    with Instance(tmp_path) as first, Instance(tmp_path) as second:
        assert [first.folder, second.folder] == [tmp_path / "encode" / "0", tmp_path / "encode" / "1"]
        assert first.id != second.id


def test_a_free_slot_is_taken_again_with_its_id(tmp_path: Path) -> None:
    first = Instance(tmp_path)
    with Instance(tmp_path):
        first.release()
        with Instance(tmp_path) as again:
            assert (again.folder, again.id) == (first.folder, first.id)


def test_a_killed_worker_leaves_its_slot(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys; from pathlib import Path; from streams.encode.instance import Instance\n"
        "print(Instance(Path(sys.argv[1])).id, flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    )
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", code, str(tmp_path)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, cwd=root, timeout=60)
    assert ended.returncode == -9
    with Instance(tmp_path) as again:
        assert again.id == ended.stdout.strip()


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "encode").write_text("in the way")
    with pytest.raises(EngineError, match=r"set app\.data"):
        Instance(tmp_path)
