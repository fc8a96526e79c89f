"""Progress: a bar on a terminal, lines where there is none."""

import io
import sys

import pytest

from streams import progress as module
from streams.progress import progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_lines_where_there_is_no_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = iter([0.0, 1.0, 6.0, 6.0, 7.0])
    monkeypatch.setattr(module.time, "monotonic", lambda: next(clock))
    with progress("reading", 8) as tell:
        tell(1)
        tell(4)
        tell(5)
    assert capsys.readouterr().err == "reading: 50%\n"


def test_nothing_to_do_is_no_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(module, "LINE_SECONDS", 0.0)
    with progress("reading", 0) as tell:
        tell(0)
    assert capsys.readouterr().err == "reading: 0%\n"


def test_a_bar_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    with progress("reading", 2) as tell:
        tell(2)
    assert "reading" in terminal.getvalue()
    assert "100%" in terminal.getvalue()
