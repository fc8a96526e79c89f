"""Whether an artifact learned from the events that it is measured on, as its training noted."""

from pathlib import Path

import msgspec
import numpy as np
import pytest

from state.learning.saving import REPORT, Report
from state.learning.sequential import Plan
from streams.foreknown import foreknown

TESTED = np.array([100, 200, 300], np.int64)


def trained(folder: Path, data: str, until_ms: int | None) -> str:
    report = Report(Plan("interest"), 0, data, 9, 3, 3, "", 1, 1, 0.5, [], [], [], {}, until_ms=until_ms)
    (folder / REPORT).write_bytes(msgspec.json.encode(report))
    return str(folder)


@pytest.mark.parametrize(
    ("data", "until_ms", "told"),
    [
        ("same", 200, "learned from 2 of the 3 events of the test"),
        ("same", 99, ""),
        ("same", None, "was trained on these events, up to a moment that its training.json does not tell"),
        ("other", 200, ""),
    ],
)
def test_what_training_noted_tells(tmp_path: Path, data: str, until_ms: int | None, told: str) -> None:
    found = foreknown(trained(tmp_path, data, until_ms), "same", TESTED)
    assert told in found
    assert bool(found) is bool(told)


def test_what_was_not_trained_here_tells_nothing(tmp_path: Path) -> None:
    assert foreknown(str(tmp_path), "same", TESTED) == ""
    assert foreknown("popularity", "same", TESTED) == ""
