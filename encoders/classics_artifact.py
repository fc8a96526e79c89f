"""What the classic encoders learn of a catalogue, as a folder: `classics.safetensors`, `manifest.json`."""

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import xxhash
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from encoders.base import Float32
from encoders.errors import ArtifactError
from encoders.text.tf_idf import SLOTS, DocumentFrequency
from encoders.whole_file import write_whole

FORMAT = 1
TENSORS, MANIFEST = "classics.safetensors", "manifest.json"
COUNTS, DOCUMENTS, AXES, WORDS = "document_counts", "documents", "document_axes", "visual_words."
Tensors = dict[str, NDArray[Any]]


class Classics(msgspec.Struct, frozen=True, eq=False):
    """What was fitted."""

    frequency: DocumentFrequency
    axes: Float32
    """Axes of document vectors, float32 [d, k]; k is 0 where the catalogue has no text."""
    words: dict[str, Float32]
    """Visual words by kind of descriptor, float32 [words, d] each."""


class Manifest(msgspec.Struct, frozen=True):
    """What the numbers are."""

    format: int
    digest: str
    documents: int


def save_classics(classics: Classics, folder: Path) -> None:
    """Writes the folder; the manifest last, so that a half-written folder is not taken for a whole one."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MANIFEST).unlink(missing_ok=True)
    tensors: Tensors = {
        COUNTS: classics.frequency.counts,
        DOCUMENTS: np.array([classics.frequency.documents], np.int64),
        AXES: np.ascontiguousarray(classics.axes),
    }
    tensors |= {f"{WORDS}{kind}": np.ascontiguousarray(words) for kind, words in classics.words.items()}
    write_whole(folder / TENSORS, lambda path: save_file(tensors, path))
    manifest = Manifest(FORMAT, _digest(tensors), classics.frequency.documents)
    (folder / MANIFEST).write_bytes(msgspec.json.format(msgspec.json.encode(manifest)))


def load_classics(folder: Path) -> Classics:
    """Raises ArtifactError when the folder is missing, broken, or of another format."""
    try:
        manifest = msgspec.json.decode((folder / MANIFEST).read_bytes(), type=Manifest)
        tensors: Tensors = load_file(folder / TENSORS)
    except (OSError, msgspec.MsgspecError, SafetensorError) as error:
        raise _unusable(folder, str(error)) from error
    if manifest.format != FORMAT:
        raise _unusable(folder, f"its format is {manifest.format}, not {FORMAT}")
    if _digest(tensors) != manifest.digest:
        raise _unusable(folder, "the numbers are not those of its manifest")
    if not {COUNTS, DOCUMENTS, AXES} <= tensors.keys() or tensors[COUNTS].shape != (SLOTS,):
        raise _unusable(folder, "it lacks tensors")
    frequency = DocumentFrequency(tensors[COUNTS], int(tensors[DOCUMENTS][0]))
    words = {name.removeprefix(WORDS): rows for name, rows in tensors.items() if name.startswith(WORDS)}
    return Classics(frequency, tensors[AXES], words)


def _unusable(folder: Path, why: str) -> ArtifactError:
    return ArtifactError(
        f"encoders.classics: {folder} cannot be used ({why}): run `penchant train classics` again"
    )


def _digest(tensors: Tensors) -> str:
    found = xxhash.xxh3_64()
    for name in sorted(tensors):
        found.update(f"{name} {tensors[name].dtype} {tensors[name].shape}".encode())
        found.update(np.ascontiguousarray(tensors[name]).tobytes())
    return found.hexdigest()
