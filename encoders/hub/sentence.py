"""What the files of a sentence-transformers model say of its pooling, and of the layers on top."""

from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import torch
import xxhash
from safetensors import SafetensorError
from safetensors.torch import load_file

from encoders.hub.files import ModelFiles
from encoders.hub.pooling import Pool

POOLINGS: dict[str, Pool] = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_lasttoken": "last",
}
BY_NAME: dict[str, Pool] = {"cls": "cls", "mean": "mean", "max": "max", "lasttoken": "last"}
ACTIVATIONS = {"Identity": torch.nn.Identity, "Tanh": torch.nn.Tanh, "ReLU": torch.nn.ReLU,
               "GELU": torch.nn.GELU}  # fmt: skip


class SentenceShape(NamedTuple):
    """How token vectors become the sentence's."""

    pooling: Pool
    dense: torch.nn.Sequential
    """Layers behind the pooling; often none."""

    def reading_with(self, prefix: str) -> str:
        """What an adapter is trained for, and belongs to: all of it, and what texts begin with."""
        return f"{self.reading} {prefix}".strip()

    @property
    def reading(self) -> str:
        """Names all of it; a model without layers on top has the name of its pooling."""
        return f"{self.pooling} {self.digest}".strip()

    @property
    def digest(self) -> str:
        """Of the layers' kinds and numbers; empty where there are none."""
        if not len(self.dense):
            return ""
        found = xxhash.xxh3_64(" ".join(type(layer).__name__ for layer in self.dense).encode())
        for name, tensor in sorted(self.dense.state_dict().items()):
            found.update(f" {name} {tuple(tensor.shape)} ".encode())
            found.update(tensor.contiguous().numpy().tobytes())
        return found.hexdigest()


def sentence_shape(files: ModelFiles) -> SentenceShape:
    """By the settings, else by the model's files, else the mean. Raises ArtifactError for unknown modules."""
    modules = _modules(files)
    configured = files.hub.pooling
    pooling: Pool = "mean"
    layers: list[torch.nn.Module] = []
    for kind, folder in modules:
        if kind == "Pooling":
            pooling = _pooling(files, folder)
        elif kind == "Dense":
            layers.extend(_dense(files, folder))
        elif kind not in ("Transformer", "Normalize"):
            raise files.problem(f"it has a module {kind}, which is not known", "name a model without it")
    return SentenceShape(pooling if configured == "auto" else configured, torch.nn.Sequential(*layers).eval())


def longest_text(files: ModelFiles) -> int:
    """Tokens that the model's files allow; 0 where they say nothing."""
    found = files.json("sentence_bert_config.json").get("max_seq_length")
    return found if isinstance(found, int) else 0


def _modules(files: ModelFiles) -> list[tuple[str, str]]:
    if not (files.folder / "modules.json").is_file():
        return []
    try:
        listed = msgspec.json.decode((files.folder / "modules.json").read_bytes(), type=list[dict[str, Any]])
        return [(str(one["type"]).rpartition(".")[2], str(one["path"])) for one in listed]
    except (OSError, msgspec.MsgspecError, KeyError) as error:
        raise files.problem(f"modules.json cannot be read ({error})", "save or fetch it again") from error


def _pooling(files: ModelFiles, folder: str) -> Pool:
    saved = files.json(f"{folder}/config.json")
    chosen = [how for key, how in POOLINGS.items() if saved.get(key)]
    named = BY_NAME.get(str(saved.get("pooling_mode")))
    if named is not None:
        chosen = [named]
    if len(chosen) != 1:
        raise files.problem(f"{folder}/config.json names no single pooling that is known", "set `pooling`")
    return chosen[0]


def _dense(files: ModelFiles, folder: str) -> list[torch.nn.Module]:
    saved = files.json(f"{folder}/config.json")
    activation = ACTIVATIONS.get(str(saved.get("activation_function")).rpartition(".")[2])
    if activation is None:
        raise files.problem(
            f"{folder} has the activation {saved.get('activation_function')}",
            f"name a model with one of {', '.join(ACTIVATIONS)}",
        )
    try:
        tensors = load_file(_inside(files.folder, folder) / "model.safetensors")
        weight, bias = tensors["linear.weight"], tensors.get("linear.bias")
    except (OSError, KeyError, SafetensorError) as error:
        raise files.problem(f"the weights of {folder} cannot be read ({error})", "save them again") from error
    linear = torch.nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None)
    linear.load_state_dict({key.removeprefix("linear."): value for key, value in tensors.items()})
    return [linear.float(), activation()]


def _inside(folder: Path, name: str) -> Path:
    path = (folder / name).resolve()
    return path if path.is_relative_to(folder.resolve()) else folder
