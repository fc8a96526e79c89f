"""`make bench`: each benchmark that needs no arguments is run, whatever became of those before it."""

from pathlib import Path

import pytest

from tests.bench import suite


def test_a_failure_does_not_keep_the_others_from_running(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bench_a.py").write_text("raise SystemExit(3)")
    (tmp_path / "bench_b.py").write_text("print('measured')")
    (tmp_path / "bench_c.py").write_text("import argparse\nargparse.ArgumentParser().add_argument('folder')")
    (tmp_path / "other.py").write_text("print('no benchmark')")
    assert suite.run(tmp_path) == 1
    out = capfd.readouterr().out
    assert "measured" in out
    assert "no benchmark" not in out
    assert out.splitlines()[-2:] == [
        "left out, since they need arguments: bench_c.py (folder)",
        "failed: bench_a.py (3)",
    ]


def test_all_is_well_where_none_fails(tmp_path: Path) -> None:
    (tmp_path / "bench_b.py").write_text("")
    assert suite.run(tmp_path) == 0


@pytest.mark.parametrize(
    ("line", "needed"),
    [
        ("p.add_argument('step', choices=('a', 'b'))", ["step"]),
        ("p.add_argument('--cache', type=Path, required=True)", ["--cache"]),
        ("p.add_argument('--cache', type=Path)", []),
        ("p.add_argument('files', nargs='*')", []),
        ("p.add_argument('file', nargs='?')", []),
        ("p.add_argument('files', nargs='+')", ["files"]),
    ],
)
def test_what_a_benchmark_needs(tmp_path: Path, line: str, needed: list[str]) -> None:
    file = tmp_path / "bench_x.py"
    file.write_text(line)
    assert suite.needed(file) == needed


def test_those_of_the_repository_that_need_something() -> None:
    assert suite.needed(suite.FOLDER / "bench_soft_prompts.py") == ["step", "folder"]
    assert suite.needed(suite.FOLDER / "bench_engines.py") == []
