"""In which numbers a model was trained, which decides what half precision it bears."""

import json
import struct
from pathlib import Path
from typing import Any

import torch

OVERFLOWING = frozenset({"t5", "mt5", "umt5", "longt5", "switch_transformers", "pix2struct"})
"""Trained in bfloat16 and published in float32: in float16 they leave its range, and give no numbers."""
LONGEST_HEADER = 100_000_000


def trained_dtype(folder: Path, config: dict[str, Any]) -> torch.dtype | None:
    """What `config.json` says or the weights have; None where neither tells."""
    if config.get("model_type") in OVERFLOWING:
        return torch.bfloat16
    parts = [config, *(part for part in config.values() if isinstance(part, dict))]
    said = {str(part.get("dtype") or part.get("torch_dtype") or "") for part in parts} - {""}
    if not said:
        said = _of_weights(folder)
    if "bfloat16" in said:
        return torch.bfloat16
    return next((found for name in sorted(said) if (found := _dtype(name)) is not None), None)


def _of_weights(folder: Path) -> set[str]:
    """What the header of the first safetensors file calls its tensors; nothing where it cannot be read."""
    try:
        with min(folder.glob("*.safetensors")).open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            header = json.loads(file.read(min(length, LONGEST_HEADER)))
        found = {str(tensor.get("dtype")) for name, tensor in header.items() if name != "__metadata__"}
    except (OSError, ValueError, AttributeError, struct.error):
        return set()
    names = {"BF16": "bfloat16", "F16": "float16", "F32": "float32"}
    return {names[each] for each in found if each in names}


def _dtype(name: str) -> torch.dtype | None:
    found = getattr(torch, name.removeprefix("torch."), None)
    return found if isinstance(found, torch.dtype) else None
