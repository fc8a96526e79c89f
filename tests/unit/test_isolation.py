"""An encoder that fails: which sample is blamed, which goes on, and when the encoder itself is at fault."""

import logging
from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch

from encoders.errors import EncodersError, MediumError
from encoders.isolation import LONG_ROW, SAY_SECONDS, Isolated
from encoders.native import NativeBatch, split
from encoders.observer import Observer

CANARIES = ("small canary", "large canary")


class Notes(Observer):
    def __init__(self) -> None:
        self.failures: list[tuple[str, str]] = []

    def failed(self, encoder: str, reason: str) -> None:
        self.failures.append((encoder, reason))


class Upper:
    """Makes capitals; raises on a batch that holds what it cannot take."""

    def __init__(self, *bad: str, error: Exception | None = None) -> None:
        self.bad = set(bad)
        self.error = error or ValueError("cannot take it")
        self.calls: list[int] = []

    def __call__(self, samples: Sequence[str]) -> list[str | MediumError]:
        self.calls.append(len(samples))
        if not self.bad.isdisjoint(samples):
            raise self.error
        return [each.upper() for each in samples]


def isolated(run: Upper, clock: Callable[[], float] = lambda: 0.0) -> tuple[Isolated[str, str], Notes]:
    notes = Notes()
    return Isolated("upper", run, CANARIES, notes, clock), notes


def words(count: int) -> list[str]:
    return [f"word {number}" for number in range(count)]


def test_what_goes_well_is_one_call() -> None:
    upper = Upper()
    run, notes = isolated(upper)
    assert run(words(5)) == [each.upper() for each in words(5)]
    assert upper.calls == [5]
    assert notes.failures == []


@pytest.mark.parametrize("bad", [{0}, {4}, {8}, {2, 3}, {0, 8}])
def test_only_what_it_fails_on_is_blamed(bad: set[int]) -> None:
    run, notes = isolated(Upper(*(f"word {number}" for number in bad)))
    made = run(words(9))
    for number, (word, one) in enumerate(zip(words(9), made, strict=True)):
        if number in bad:
            assert isinstance(one, MediumError)
            assert (one.reason, one.detail) == ("encoder_failed", "ValueError: cannot take it")
        else:
            assert one == word.upper()
    assert notes.failures == [("upper", "encoder_failed")] * len(bad)


def test_a_batch_too_large_for_the_memory_is_made_in_parts() -> None:
    class Small(Upper):
        def __call__(self, samples: Sequence[str]) -> list[str | MediumError]:
            if len(samples) > 2:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
            return super().__call__(samples)

    run, notes = isolated(Small())
    assert run(words(7)) == [each.upper() for each in words(7)]
    assert notes.failures == []


@pytest.mark.parametrize(
    "error", [MemoryError(), torch.OutOfMemoryError("no more"), RuntimeError("CUBLAS_STATUS_ALLOC_FAILED")]
)
def test_what_fits_no_memory_alone_has_a_reason_of_its_own(error: Exception) -> None:
    run, _ = isolated(Upper("word 1", error=error))
    one = run(words(3))[1]
    assert isinstance(one, MediumError)
    assert one.reason == "out_of_memory"


def test_what_fails_once_is_tried_again_before_it_is_blamed() -> None:
    class Once(Upper):
        def __call__(self, samples: Sequence[str]) -> list[str | MediumError]:
            if "word 0" in samples and not self.calls:
                self.calls.append(0)
                raise RuntimeError("CUDNN_STATUS_EXECUTION_FAILED")
            return super().__call__(samples)

    run, notes = isolated(Once())
    assert run(["word 0"]) == ["WORD 0"]
    assert notes.failures == []


def test_an_encoder_that_fails_on_its_canaries_too_is_broken() -> None:
    run, notes = isolated(Upper(*words(3), *CANARIES, error=RuntimeError("no kernel image")))
    with pytest.raises(EncodersError, match=r"upper is broken: .*no kernel image"):
        run(words(3))
    assert notes.failures == []


def test_one_canary_that_fails_is_forgiven_until_many_media_fail_in_a_row() -> None:
    upper = Upper("long text", CANARIES[1])
    run, notes = isolated(upper)
    for _ in range(LONG_ROW - 1):
        run(["long text"])
    run(["word", "long text"])
    for _ in range(LONG_ROW - 1):
        run(["long text"])
    assert len(notes.failures) == 2 * LONG_ROW - 1
    with pytest.raises(EncodersError, match="upper is broken"):
        run(["long text"])


def test_bad_media_in_a_row_are_masked_as_long_as_the_canaries_go_well() -> None:
    run, notes = isolated(Upper("bad"))
    for _ in range(3 * LONG_ROW):
        run(["bad"])
    assert len(notes.failures) == 3 * LONG_ROW


def test_it_is_said_once_in_a_while_and_louder_when_nothing_goes_well(
    caplog: pytest.LogCaptureFixture,
) -> None:
    now = [0.0]
    run, _ = isolated(Upper("bad"), lambda: now[0])
    for _ in range(LONG_ROW + 5):
        run(["bad"])
    now[0] += SAY_SECONDS
    run(["bad"])
    said = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert [record.levelno for record in said] == [logging.WARNING, logging.ERROR]
    assert f"failed on {LONG_ROW + 5} media" in said[1].getMessage()


def test_rows_that_are_not_finite_fail_alone() -> None:
    vectors = np.ones((5, 4), np.float32)
    vectors[1, 2], vectors[3, 0], vectors[4, 1] = np.nan, -np.inf, 70_000.0
    found = split(NativeBatch(vectors))
    assert [isinstance(one, MediumError) for one in found] == [False, True, False, True, True]
