"""How a restore tells how far it is."""

import logging
import sys

import pytest

from streams.engine import restoring
from streams.engine.journal import Chunk
from streams.engine.restoring import Restoring
from streams.metrics import RECOVERY, RESTORED


def chunk(records: int, end: int) -> Chunk:
    return Chunk({}, records, end)


def test_the_metrics_follow() -> None:
    before = RESTORED._value.get()
    told = Restoring("metrics-0", 100, 300)
    told.tell(chunk(40, 150))
    assert RECOVERY.labels("metrics-0")._value.get() == 0.25
    told.tell(chunk(60, 290))
    told.finish()
    told.close()
    assert RECOVERY.labels("metrics-0")._value.get() == 1.0
    assert RESTORED._value.get() - before == 100


def test_lines_come_now_and_then_where_there_is_no_terminal(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    told = Restoring("lines-0", 0, 200)
    with caplog.at_level(logging.INFO):
        told.tell(chunk(10, 20))
        assert caplog.messages == []
        monkeypatch.setattr(restoring, "LINE_SECONDS", -1.0)
        told.tell(chunk(40, 100))
        told.finish()
    told.close()
    assert len(caplog.messages) == 2
    assert caplog.messages[0].startswith("lines-0: 50 % restored, 50 records in")
    assert caplog.messages[1].startswith("lines-0: restored, 50 records in")


def test_nothing_to_restore_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        told = Restoring("none-0", 7, 7)
        told.finish()
        told.close()
    assert caplog.messages == []
    assert RECOVERY.labels("none-0")._value.get() == 1.0


def test_a_terminal_shows_one_display_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    first, second = Restoring("bar-0", 0, 100), Restoring("bar-1", 0, 100)
    display = restoring._Bar._display
    assert display is not None
    first.tell(chunk(5, 50))
    second.tell(chunk(5, 25))
    assert [(task.description, task.completed) for task in display.tasks] == [("bar-0", 50), ("bar-1", 25)]
    first.close()
    assert restoring._Bar._display is display
    second.close()
    assert restoring._Bar._display is None
    assert display.finished
