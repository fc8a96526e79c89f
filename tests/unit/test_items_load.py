"""`penchant items load --check`: media that the encode worker will refuse are told before any is sent."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from msgspec.structs import replace

from streams.commands.items import items
from streams.settings import Settings


def stderr(tmp_path: Path, uris: list[str], settings: Settings) -> str:
    path = tmp_path / "items.jsonl"
    lines = [{"item_id": f"i{n}", "title": "a", "media": [{"uri": uri}]} for n, uri in enumerate(uris)]
    path.write_text("\n".join(map(json.dumps, lines)))
    result = CliRunner().invoke(items, ["load", "--check", str(path)], obj=settings)
    assert result.exit_code == 0, result.output
    return result.stderr


@pytest.mark.parametrize("uri", ["ftp://x/y", "FTP://x/y.png"])
def test_a_scheme_that_is_refused_is_told_once(tmp_path: Path, uri: str) -> None:
    told = stderr(tmp_path, [uri, uri, "https://example.org/a.png"], Settings())
    assert told.count("fetch.schemes") == 1
    assert f"warning: i0: {uri}: ftp is none of fetch.schemes (file, https, data)" in told


def test_each_scheme_is_told(tmp_path: Path) -> None:
    told = stderr(tmp_path, ["ftp://x/y", "http://example.org/a.png"], Settings())
    assert "ftp is none of" in told
    assert "http is none of" in told


def test_what_the_settings_allow_is_passed_over(tmp_path: Path) -> None:
    base = Settings()
    allowing = replace(base, fetch=replace(base.fetch, schemes=("http",)))
    assert "fetch.schemes" not in stderr(tmp_path, ["http://example.org/a.png"], allowing)
