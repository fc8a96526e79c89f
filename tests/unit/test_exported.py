"""Models that ONNX Runtime runs: the same numbers as torch gives, or torch itself."""

import logging
from pathlib import Path

import numpy as np
import pytest
import torch

from encoders import exported as module
from encoders.exported import cache_folder, exported
from encoders.image.efficientnet import EfficientNetLite0
from encoders.text.minilm import MiniLm
from tests.encoder_samples import picture


class Small(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.layer = torch.nn.Linear(4, 3)

    def forward(self, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        hidden = self.layer(rows)
        return hidden, hidden.relu()


EXAMPLE = torch.linspace(-1, 1, 8).reshape(2, 4)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return cache_folder()


def test_without_the_packages_torch_serves(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setattr(module, "PACKAGES", ("no_such_package",))
    assert exported(Small().eval(), "small", (EXAMPLE,), 1) is None
    assert not folder.exists()


def test_a_graph_that_cannot_be_made_leaves_torch(
    monkeypatch: pytest.MonkeyPatch, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("no such operator")

    monkeypatch.setattr(module, "PACKAGES", ())
    monkeypatch.setattr(module, "_export", fail)
    with caplog.at_level(logging.WARNING):
        assert exported(Small().eval(), "small", (EXAMPLE,), 1) is None
    assert "small runs without ONNX Runtime: RuntimeError: no such operator" in caplog.text


def test_a_graph_that_gives_other_numbers_is_thrown_away(
    monkeypatch: pytest.MonkeyPatch, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model = Small().eval()
    right = [tensor.detach().numpy() for tensor in model(EXAMPLE)]
    monkeypatch.setattr(module, "PACKAGES", ())
    monkeypatch.setattr(module, "_export", lambda model, path, *_: path.touch())
    folder.mkdir(parents=True)
    for wrong, serves in ((0.0, True), (0.01, False)):
        monkeypatch.setattr(
            module, "_session", lambda path, threads, off=wrong: lambda array: [one + off for one in right]
        )
        with caplog.at_level(logging.WARNING):
            assert (exported(model, "small", (EXAMPLE,), 1) is not None) is serves
    assert "other numbers" in caplog.text
    assert not list(folder.iterdir())


@pytest.fixture
def runtime() -> None:
    for package in module.PACKAGES:
        pytest.importorskip(package)


@pytest.mark.usefixtures("runtime")
def test_any_number_of_rows_and_a_second_start(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = Small().eval()
    rows = torch.randn(7, 4)
    for _ in range(2):
        run = exported(model, "small", (EXAMPLE,), 1)
        assert run is not None
        for count in (1, 2, 7):
            for found, wanted in zip(run(rows[:count].numpy()), model(rows[:count]), strict=True):
                np.testing.assert_allclose(found, wanted.detach().numpy(), atol=1e-5)
        # The second start finds the graph.
        monkeypatch.setattr(module, "_export", None)
    assert len(list(folder.iterdir())) == 1


@pytest.mark.usefixtures("runtime")
def test_a_broken_graph_is_thrown_away(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / f"small-torch{torch.__version__}.onnx").write_bytes(b"broken")
    assert exported(Small().eval(), "small", (EXAMPLE,), 1) is None
    assert exported(Small().eval(), "small", (EXAMPLE,), 1) is not None


# Exporting the real models takes ten seconds of CPU: their graphs stay in the cache of whoever runs this.


@pytest.mark.usefixtures("runtime")
def test_efficientnet_gives_what_torch_gives() -> None:
    cpu = torch.device("cpu")
    images = [picture(seed) for seed in range(5)]
    features, shares = EfficientNetLite0(cpu, 1).encode_with_probabilities(images)
    expected, expected_shares = EfficientNetLite0(cpu).encode_with_probabilities(images)
    np.testing.assert_allclose(features, expected, atol=1e-3)
    np.testing.assert_allclose(shares, expected_shares, atol=1e-4)


@pytest.mark.usefixtures("runtime")
def test_minilm_gives_what_torch_gives_whatever_shares_a_batch() -> None:
    cpu = torch.device("cpu")
    texts = ["", "bread", "a red bicycle leans on a wall", "word " * 400, *("short words" for _ in range(90))]
    runtime = MiniLm(cpu, 1)
    assert runtime._exported is not None
    found, expected = runtime.encode(texts), MiniLm(cpu).encode(texts)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    np.testing.assert_allclose(runtime.encode(texts[2:3]), expected[2:3], atol=1e-5)
    assert runtime.encode([]).shape == (0, 384)
