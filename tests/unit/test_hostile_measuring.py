"""`penchant evaluate` and `penchant features`, asked for what cannot be: told in one line, and early."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from streams.cli import cli

HEADER = "user_id:token\titem_id:token\trating:float\ttimestamp:float\n"


@pytest.fixture(scope="module")
def events(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("events")
    rows = (
        f"u{user}\ti{(user + step) % 7}\t{1 + step % 5}\t{100 + step}\n"
        for user in range(8)
        for step in range(6)
    )
    (folder / "films.inter").write_text(HEADER + "".join(rows))
    return folder


def command(*words: object) -> Result:
    return CliRunner().invoke(cli, [str(word) for word in words], prog_name="penchant")


def evaluated(events: Path, *words: object) -> Result:
    return command(
        "evaluate", "--from", events, "--protocol", "leave-one-out", "--models", "popularity", *words
    )


def test_a_model_to_compare_with_must_be_measured(events: Path) -> None:
    made = evaluated(events, "--against", "populrity")
    assert made.exit_code == 2
    assert made.stderr == "penchant: --against populrity: is not among --models: popularity\n"


@pytest.mark.parametrize("option", ["--json", "--report"])
def test_a_file_that_cannot_be_written(events: Path, tmp_path: Path, option: str) -> None:
    (tmp_path / "file").write_text("")
    made = evaluated(events, option, tmp_path / "file" / "told")
    assert made.exit_code == 2
    assert f"{option} {tmp_path / 'file' / 'told'}: " in made.stderr


def test_a_file_of_features_that_cannot_be_written(events: Path, tmp_path: Path) -> None:
    items = (f"i{item}\tc{item % 2}\n" for item in range(7))
    (events / "films.item").write_text("item_id:token\tclass:token_seq\n" + "".join(items))
    made = command("features", "--from", events, "--json", tmp_path / "none" / "told.json")
    (events / "films.item").unlink()
    assert made.exit_code == 2
    assert f"--json {tmp_path / 'none' / 'told.json'}: there is no folder" in made.stderr


def test_features_of_items_of_which_nothing_is_told(events: Path) -> None:
    made = command("features", "--from", events)
    assert made.exit_code == 2
    assert "nothing is told of the items" in made.stderr
