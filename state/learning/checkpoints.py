"""A training that was cut off goes on from its last epoch: one file, replaced as a whole."""

from pathlib import Path

import msgspec
import torch
import xxhash
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from state.errors import LearningError
from state.whole_file import write_whole

CHECKPOINT = "checkpoint.safetensors"


class Course(msgspec.Struct):
    """Where a training stands."""

    run: str
    """Fingerprint of the data, the model's shape and the schedule: another run does not go on from here."""
    epoch: int = 0
    """Epochs that are done."""
    best_epoch: int = 0
    best: float = -1.0
    losses: list[float] = []
    found: list[float] = []
    """Validation NDCG@10 after each epoch."""
    seconds: list[float] = []
    """Of each epoch; of CPU time on a CPU."""


def save_checkpoint(folder: Path, course: Course, tensors: dict[str, Tensor]) -> None:
    """Tensors by name, which the course goes with."""
    folder.mkdir(parents=True, exist_ok=True)
    kept = {name: each.detach().cpu().contiguous().clone() for name, each in tensors.items()}
    told = msgspec.json.encode(course).decode()
    notes = {"course": told, "digest": _digest(told, kept)}
    write_whole(folder / CHECKPOINT, lambda path: save_file(kept, path, notes))


def load_checkpoint(folder: Path, run: str) -> tuple[Course, dict[str, Tensor]] | None:
    """None where there is none. Raises LearningError for one that is broken or of another run."""
    path = folder / CHECKPOINT
    if not path.exists():
        return None
    try:
        with safe_open(path, "pt") as file:
            told = file.metadata() or {}
            tensors: dict[str, Tensor] = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        if told.get("digest") != _digest(told.get("course", ""), tensors):
            raise LearningError(f"{path} is not whole; remove it to begin anew")
        course = msgspec.json.decode(told["course"], type=Course)
    except (SafetensorError, OSError, msgspec.DecodeError) as error:
        raise LearningError(f"{path}: {error}; remove it to begin anew") from error
    if course.run != run:
        raise LearningError(
            f"{path} is of other data, another model or other settings; remove it to begin anew"
        )
    return course, tensors


def _digest(course: str, tensors: dict[str, Tensor]) -> str:
    digest = xxhash.xxh64(course.encode())
    for name, each in sorted(tensors.items()):
        digest.update(name.encode())
        digest.update(each.contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def named(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {f"{prefix}/{name}": each for name, each in tensors.items()}


def of_name(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Those that were `named` so, by their own names."""
    return {
        name.removeprefix(f"{prefix}/"): each
        for name, each in tensors.items()
        if name.startswith(f"{prefix}/")
    }


def moved(tensors: dict[str, Tensor], device: torch.device) -> dict[str, Tensor]:
    return {name: each.to(device) for name, each in tensors.items()}
