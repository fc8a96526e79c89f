"""`penchant send`, as far as it goes without a broker."""

from pathlib import Path

from click.testing import CliRunner

from streams.cli import cli


def test_a_file_that_is_not_there_is_named_and_nothing_is_counted(tmp_path: Path) -> None:
    result = CliRunner().invoke(cli, ["send", str(tmp_path / "nothere.jsonl")])
    assert "nothere.jsonl: No such file or directory" in (result.output + str(result.exception))
    assert "events sent" not in result.output
