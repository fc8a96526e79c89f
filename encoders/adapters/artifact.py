"""An adapter as a folder: PEFT's `adapter_model.safetensors` and `adapter_config.json`, and our manifest."""

from pathlib import Path
from typing import Any

import msgspec
import torch
import xxhash
from safetensors.torch import load_file, save_file

from encoders.adapters.objectives import Figures
from encoders.adapters.settings import AdapterPlan
from encoders.errors import ArtifactError
from encoders.whole_file import write_whole

FORMAT = 1
TENSORS, CONFIG, MANIFEST = "adapter_model.safetensors", "adapter_config.json", "manifest.json"
Tensors = dict[str, torch.Tensor]


class AdapterManifest(msgspec.Struct, frozen=True):
    """What the numbers are for, and what they were seen to do on texts held out."""

    format: int
    plan: AdapterPlan
    base: str
    """Fingerprint of the model that it was trained beside: weights and files."""
    model: str
    """What the settings called that model."""
    reading: str
    """How vectors were read out of the model: pooling and prefix."""
    digest: str
    """Of the two files beside."""
    data: str
    """Fingerprint of the texts."""
    texts: int
    parameters: int
    before: Figures
    after: Figures


def save_adapter(folder: Path, tensors: Tensors, config: Any, manifest: AdapterManifest) -> AdapterManifest:
    """Writes the folder, the manifest last, so that a half-written folder is not taken for a whole one.

    `config` is PEFT's. Returns the manifest with the digest of what was written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MANIFEST).unlink(missing_ok=True)
    numbers = {name: each.contiguous() for name, each in tensors.items()}
    write_whole(folder / TENSORS, lambda path: save_file(numbers, path, {"format": "pt"}))
    config.save_pretrained(str(folder))
    manifest = msgspec.structs.replace(manifest, digest=digest_of(folder))
    (folder / MANIFEST).write_bytes(msgspec.json.format(msgspec.json.encode(manifest)))
    return manifest


def load_manifest(folder: Path) -> AdapterManifest:
    """Raises ArtifactError where the folder is missing, broken, of another format, or not what it says."""
    try:
        manifest = msgspec.json.decode((folder / MANIFEST).read_bytes(), type=AdapterManifest)
        found = digest_of(folder)
    except (OSError, msgspec.MsgspecError) as error:
        raise ArtifactError(f"{folder} cannot be read ({error})") from error
    if manifest.format != FORMAT:
        raise ArtifactError(f"{folder} has format {manifest.format}, not {FORMAT}")
    if found != manifest.digest:
        raise ArtifactError(f"the files in {folder} are not those of its manifest")
    return manifest


def load_tensors(folder: Path) -> Tensors:
    """What `save_adapter` was given. Raises OSError and SafetensorError."""
    return load_file(folder / TENSORS)


def digest_of(folder: Path) -> str:
    """Of the files beside the manifest. Raises OSError."""
    found = xxhash.xxh3_128()
    for name in (CONFIG, TENSORS):
        found.update((folder / name).read_bytes())
    return found.hexdigest()
