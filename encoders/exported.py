"""Models as ONNX Runtime runs them: on a CPU several times faster than torch's own kernels, where installed.

Measured in docs/decisions/0012-hub-encoders.md and 0017-encoding-in-bulk.md. The graph is exported once and
kept in the cache folder; whatever goes wrong with it, torch serves.
"""

import logging
import os
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
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

Run = Callable[..., list[Float32]]
Inputs = tuple[torch.Tensor, ...]


def exported(
    model: torch.nn.Module, name: str, example: Inputs, threads: int, free: Sequence[str] = ("rows",)
) -> Run | None:
    """What runs the model on arrays like the example's, one for each input; None where torch has to serve.

    `free` names the leading dimensions, the same of all inputs, that may have any size; the example has 2 or
    more of each. `name` has to change with the weights. The model is in evaluation mode, on the CPU, and
    gives a tuple of tensors.
    """
    if any(find_spec(package) is None for package in PACKAGES):
        return None
    path = cache_folder() / f"{name}-torch{torch.__version__}.onnx"
    try:
        if not path.exists():
            _export(model, path, example, free)
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
def _export(model: torch.nn.Module, path: Path, example: Inputs, free: Sequence[str]) -> None:
    """Writes the graph whole or not at all: several workers may start at once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder, warnings.catch_warnings(), _hushed():
        warnings.simplefilter("ignore")
        fresh = Path(folder) / path.name
        sizes = {place: torch.export.Dim(each) for place, each in enumerate(free)}
        torch.onnx.export(
            model, example, fresh, dynamo=True, verbose=False,
            dynamic_shapes=(sizes,) * len(example), external_data=False,
        )  # fmt: skip
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
    names = [each.name for each in session.get_inputs()]

    def run(*arrays: NDArray[Any]) -> list[Float32]:
        found: list[Float32] = session.run(
            None, {name: np.ascontiguousarray(each) for name, each in zip(names, arrays, strict=True)}
        )
        return found

    return run


@torch.inference_mode()
def _checked(run: Run, model: torch.nn.Module, example: Inputs) -> Run:
    """The same, once it was seen to give what torch gives. Raises ValueError."""
    expected = [tensor.numpy() for tensor in model(*example)]
    for found, wanted in zip(run(*(each.numpy() for each in example)), expected, strict=True):
        if np.abs(found - wanted).max() > TOLERANCE * np.abs(wanted).max():
            raise ValueError("the exported graph gives other numbers than the model")
    return run
