"""Aborted transactions are done again after growing pauses, and end the worker where they do not end."""

import pytest

from streams.encode import aborts
from streams.encode.aborts import ABORT_PAUSES, MAX_ABORTS, Aborts
from streams.encode.sink import TransactionAborted
from streams.errors import EngineError


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    pauses: list[float] = []
    monkeypatch.setattr(aborts.time, "sleep", pauses.append)
    return pauses


def test_pauses_grow_and_begin_anew_behind_a_commit(slept: list[float]) -> None:
    row = Aborts()
    for _ in range(len(ABORT_PAUSES) + 2):
        row.pause(TransactionAborted("the coordinator moved"))
    row.end()
    row.pause(TransactionAborted("again"))
    assert slept == [*ABORT_PAUSES, ABORT_PAUSES[-1], ABORT_PAUSES[-1], ABORT_PAUSES[0]]


def test_too_many_in_a_row_end_the_worker(slept: list[float]) -> None:
    row = Aborts()
    for _ in range(MAX_ABORTS - 1):
        row.pause(TransactionAborted("the coordinator moved"))
    with pytest.raises(EngineError, match=f"{MAX_ABORTS} transactions in a row were aborted: the"):
        row.pause(TransactionAborted("the coordinator moved"))
    assert len(slept) == MAX_ABORTS - 1
