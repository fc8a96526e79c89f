"""An alignment as a folder: `alignment.safetensors` holds the numbers, `manifest.json` says what for."""

from pathlib import Path

import msgspec
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from encoders.alignment import Alignment, ModalityMap, digest
from encoders.base import SHARED_DIM, Float32, Modality
from encoders.errors import ArtifactError
from encoders.whole_file import write_whole

FORMAT = 1
TENSORS, MANIFEST = "alignment.safetensors", "manifest.json"
CLASS_VECTORS = "class_vectors"


class Manifest(msgspec.Struct, frozen=True):
    """What the numbers are for. `figures` says what was measured or counted when they were fitted."""

    format: int
    version: str
    digest: str
    encoders: dict[Modality, str]
    figures: dict[str, float] = {}


def save_alignment(alignment: Alignment, folder: Path, figures: dict[str, float] | None = None) -> None:
    """Writes the folder; the manifest last, so that a half-written folder is not taken for a whole one."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MANIFEST).unlink(missing_ok=True)
    tensors: dict[str, Float32] = {CLASS_VECTORS: alignment.class_vectors}
    for modality, mapping in alignment.maps.items():
        tensors[f"{modality}.centre"] = mapping.centre
        tensors[f"{modality}.weights"] = mapping.weights
        optional = {"bridge": mapping.bridge, "offset": mapping.offset}
        tensors |= {f"{modality}.{name}": part for name, part in optional.items() if part is not None}
    write_whole(folder / TENSORS, lambda path: save_file(tensors, path))
    found = digest(alignment.maps, alignment.class_vectors)
    manifest = Manifest(FORMAT, alignment.version, found, alignment.encoders, figures or {})
    (folder / MANIFEST).write_bytes(msgspec.json.format(msgspec.json.encode(manifest)))


def load_alignment(folder: Path) -> Alignment:
    """Raises ArtifactError when the folder is missing, broken, or of another format."""
    try:
        manifest = msgspec.json.decode((folder / MANIFEST).read_bytes(), type=Manifest)
        tensors: dict[str, Float32] = load_file(folder / TENSORS)
    except (OSError, msgspec.MsgspecError, SafetensorError) as error:
        raise ArtifactError(
            f"no alignment can be read from {folder} ({error}): "
            "fit it again, or leave encoders.alignment empty for the built-in one"
        ) from error
    if manifest.format != FORMAT:
        raise ArtifactError(
            f"the alignment in {folder} has format {manifest.format}, not {FORMAT}: fit it again"
        )
    alignment = _assembled(manifest, tensors, folder)
    if digest(alignment.maps, alignment.class_vectors) != manifest.digest:
        raise ArtifactError(f"the numbers in {folder} are not those of its manifest: fit it again")
    return alignment


def _assembled(manifest: Manifest, tensors: dict[str, Float32], folder: Path) -> Alignment:
    try:
        maps = {
            modality: ModalityMap(
                tensors[f"{modality}.centre"],
                tensors[f"{modality}.weights"],
                tensors.get(f"{modality}.bridge"),
                tensors.get(f"{modality}.offset"),
            )
            for modality in manifest.encoders
        }
        classes = tensors[CLASS_VECTORS]
    except KeyError as error:
        raise ArtifactError(f"the alignment in {folder} lacks {error}: fit it again") from error
    if any(mapping.weights.shape != (len(mapping.centre), SHARED_DIM) for mapping in maps.values()):
        raise ArtifactError(f"the alignment in {folder} has tensors of wrong shapes: fit it again")
    return Alignment(manifest.version, maps, classes, manifest.encoders)
