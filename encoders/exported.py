"""Models as ONNX Runtime runs them: on a CPU several times faster than torch's own kernels, where installed.

Measured in docs/decisions/0012-hub-encoders.md. The graph is exported once and kept in the cache folder;
whatever goes wrong with it, torch serves.
"""

import logging
import os
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from encoders.base import Float32

LOGGER = logging.getLogger(__name__)

PACKAGES = ("onnx", "onnxruntime", "onnxscript")
TOLERANCE = 1e-3
"""Largest difference to torch, as a share of the largest number; kernels differ by some 1e-5."""

Run = Callable[[NDArray[Any]], list[Float32]]


def exported(model: torch.nn.Module, name: str, example: torch.Tensor, threads: int) -> Run | None:
    """What runs the model on arrays [n, ...] like the example [2, ...], any n; None where torch has to serve.

    `name` has to change with the weights. The model is in evaluation mode, on the CPU.
    """
    if any(find_spec(package) is None for package in PACKAGES):
        return None
    path = cache_folder() / f"{name}-torch{torch.__version__}.onnx"
    try:
        if not path.exists():
            _export(model, path, example)
        return _checked(_session(path, threads), model, example)
    except Exception as error:
        # A cache that cannot be written, a graph that cannot be exported or read: each has its own errors.
        LOGGER.warning("%s runs without ONNX Runtime: %s: %s", name, type(error).__name__, error)
        path.unlink(missing_ok=True)
        return None


def cache_folder() -> Path:
    """Where exported graphs are kept."""
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "penchant" / "exported"


@torch.inference_mode()
def _export(model: torch.nn.Module, path: Path, example: torch.Tensor) -> None:
    """Writes the graph whole or not at all: several workers may start at once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder, warnings.catch_warnings(), _hushed():
        warnings.simplefilter("ignore")
        fresh = Path(folder) / path.name
        rows = ({0: torch.export.Dim("rows")},)
        torch.onnx.export(
            model, (example,), fresh, dynamo=True, verbose=False, dynamic_shapes=rows, external_data=False
        )
        fresh.replace(path)


@contextmanager
def _hushed() -> Iterator[None]:
    """The exporter warns of packages that this model has no use for."""
    exporter = logging.getLogger("torch.onnx")
    level = exporter.level
    exporter.setLevel(logging.ERROR)
    try:
        yield
    finally:
        exporter.setLevel(level)


def _session(path: Path, threads: int) -> Run:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = max(1, threads)
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    (wanted,) = [each.name for each in session.get_inputs()]
    return lambda array: session.run(None, {wanted: np.ascontiguousarray(array)})


@torch.inference_mode()
def _checked(run: Run, model: torch.nn.Module, example: torch.Tensor) -> Run:
    """The same, once it was seen to give what torch gives. Raises ValueError."""
    expected = [tensor.numpy() for tensor in model(example)]
    for found, wanted in zip(run(example.numpy()), expected, strict=True):
        if np.abs(found - wanted).max() > TOLERANCE * np.abs(wanted).max():
            raise ValueError("the exported graph gives other numbers than the model")
    return run
