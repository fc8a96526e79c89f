"""Choosing the device."""

import pytest
import torch

from encoders.device import fixed_batch, limit_threads, on_device, resolve_device, working_dtype
from encoders.errors import ArtifactError


def test_auto_takes_what_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert resolve_device("auto") == torch.device("cpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert resolve_device("auto") == torch.device("cuda")


def test_a_missing_device_is_said_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ArtifactError, match="no CUDA device"):
        resolve_device("cuda")


def test_a_name_that_is_no_device_is_refused() -> None:
    with pytest.raises(ArtifactError, match="'gpu'"):
        resolve_device("gpu")


def test_half_precision_and_fixed_batches_are_for_cuda_alone() -> None:
    assert working_dtype(torch.device("cpu")) is torch.float32
    assert fixed_batch(torch.device("cpu")) is None
    assert working_dtype(torch.device("cuda")) is torch.float16
    assert fixed_batch(torch.device("cuda:0")) == 32


@pytest.mark.parametrize(("able", "expected"), [(True, torch.bfloat16), (False, torch.float32)])
def test_what_was_trained_in_bfloat16_keeps_its_range(
    monkeypatch: pytest.MonkeyPatch, able: bool, expected: torch.dtype
) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: able)
    cuda = torch.device("cuda")
    assert working_dtype(cuda, torch.bfloat16) is expected
    assert working_dtype(cuda, torch.float16) is working_dtype(cuda, torch.float32) is torch.float16
    assert working_dtype(torch.device("cpu"), torch.bfloat16) is torch.float32


def test_a_batch_for_the_cpu_is_the_same() -> None:
    batch = torch.arange(6.0).reshape(2, 3)
    assert on_device(batch, torch.device("cpu")) is batch
    assert on_device(batch, torch.device("cpu"), torch.float16).dtype is torch.float16


def test_threads_are_limited() -> None:
    before = torch.get_num_threads()
    try:
        limit_threads(2)
        assert torch.get_num_threads() == 2
        limit_threads(0)
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)
