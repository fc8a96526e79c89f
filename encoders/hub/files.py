"""Where a model's files are: a local folder, or a snapshot of a hub repository in the local cache."""

import re
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import httpx
import msgspec
import torch

from encoders.device import resolve_device, working_dtype
from encoders.errors import ArtifactError
from encoders.hub.precision import trained_dtype
from encoders.hub.settings import HubModel

FILES = ("*.json", "*.txt", "*.model", "*.safetensors")
"""What is taken of a repository: settings, vocabularies, weights. Nothing that could run."""
PICKLED = ("pytorch_model*.bin",)
"""Taken where a repository has no other weights; only tensors are read of it, never objects."""
LEFT_OUT = ("onnx/*", "openvino/*", "flax/*", "tf/*")
HUB_NAME = re.compile(r"[\w.-]+(/[\w.-]+)?", re.ASCII)


class InHub(Protocol):
    """Settings that may name a model of the hub."""

    @property
    def model(self) -> str: ...

    @property
    def revision(self) -> str: ...

    @property
    def local_files_only(self) -> bool: ...


@dataclass(frozen=True)
class ModelFiles:
    """One configured model, its files at hand."""

    name: str
    hub: HubModel
    folder: Path
    device: torch.device
    dtype: torch.dtype

    @property
    def where(self) -> str:
        """The section of the settings, for messages."""
        return section(self.name)

    @cached_property
    def config(self) -> dict[str, Any]:
        """`config.json` as it lies there."""
        return self.json("config.json")

    def json(self, name: str) -> dict[str, Any]:
        """A JSON object of the folder; empty where the file is not there. Raises ArtifactError."""
        try:
            return msgspec.json.decode((self.folder / name).read_bytes(), type=dict[str, Any])
        except FileNotFoundError:
            return {}
        except (OSError, msgspec.MsgspecError) as error:
            raise ArtifactError(
                f"{self.where}.model: {self.folder / name} cannot be read ({error}): save or fetch it again"
            ) from error

    def problem(self, what: str, mend: str) -> ArtifactError:
        """The error that names the setting, what is wrong with the model, and the mend."""
        return ArtifactError(f"{self.where}.model is {self.hub.model}: {what}; {mend}")


def section(name: str) -> str:
    """Where the settings speak of a model."""
    return f"encoders.models.{name}"


def find_model(name: str, hub: HubModel, device: torch.device) -> ModelFiles:
    """The files of a configured model; those of the hub are fetched where the cache lacks them.

    Raises ArtifactError for a folder that holds no model, and for a hub model that cannot be had.
    """
    device = resolve_device(hub.device) if hub.device else device
    folder = Path(hub.model).expanduser() if is_path(hub.model) else snapshot(hub, section(name))
    if not (folder / "config.json").is_file():
        raise ArtifactError(
            f"{section(name)}.model: {folder} holds no config.json; "
            "name a folder that `save_pretrained` wrote, or a model of the hub"
        )
    files = ModelFiles(name, hub, folder, device, torch.float32)
    trained = trained_dtype(folder, files.config)
    dtype = working_dtype(device, trained) if hub.dtype == "auto" else getattr(torch, hub.dtype)
    return replace(files, dtype=dtype)


def is_path(model: str) -> bool:
    """Whether a model's name is a folder's, there or not, and no repository's."""
    return model.startswith(("/", ".", "~")) or Path(model).is_dir() or HUB_NAME.fullmatch(model) is None


def snapshot(hub: InHub, where: str) -> Path:
    """The folder of a hub model in the local cache, fetched where it is not there: nothing that could run.

    `where` is the section of the settings, for messages. Raises ArtifactError for one that cannot be had.
    """
    folder = _download(hub, where, FILES)
    if not any(folder.glob("*.safetensors")):
        folder = _download(hub, where, FILES + PICKLED)
    return folder


def _download(hub: InHub, where: str, patterns: tuple[str, ...]) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    try:
        return Path(
            snapshot_download(
                hub.model, revision=hub.revision, local_files_only=hub.local_files_only,
                allow_patterns=list(patterns), ignore_patterns=list(LEFT_OUT),
            )
        )  # fmt: skip
    except (HfHubHTTPError, HFValidationError, httpx.HTTPError, OSError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        mend = "set local_files_only = false" if hub.local_files_only else "check the name and the network"
        raise ArtifactError(
            f"{where}.model: {hub.model} at {hub.revision} cannot be had ({reason}): "
            f"{mend}, or name a local folder"
        ) from error
