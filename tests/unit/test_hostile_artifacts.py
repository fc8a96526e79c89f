"""Artifacts that are broken, lie or are of somebody else: each is refused in a line with its file."""

import hashlib
import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import load, save

from state.artifact import MANIFEST, WEIGHTS, load_artifact, save_artifact
from state.errors import ModelError
from state.fusion import Fusion
from tests.fusion_samples import learned

Arrays = dict[str, NDArray[Any]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save_artifact(learned(), str(tmp_path))
    return tmp_path


def put(folder: Path, content: bytes) -> None:
    """Other weights, to which the manifest agrees."""
    (folder / WEIGHTS).write_bytes(content)
    told = json.loads((folder / MANIFEST).read_bytes())
    told["sha256"] = hashlib.sha256(content).hexdigest()
    (folder / MANIFEST).write_text(json.dumps(told))


def header(content: bytes, name: str, **lies: object) -> bytes:
    """The same numbers under a header that says otherwise."""
    length = struct.unpack("<Q", content[:8])[0]
    told = json.loads(content[8 : 8 + length])
    told[name] |= lies
    text = json.dumps(told).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + content[8 + length :]


def refusal(folder: Path) -> str:
    with pytest.raises(ModelError) as raised:
        load_artifact(str(folder))
    assert "\n" not in str(raised.value)
    return str(raised.value)


@pytest.mark.parametrize(
    ("lies", "told"),
    [
        ({"dtype": "BF16", "shape": [128]}, "numbers of type BF16"),
        ({"dtype": "F8_E4M3", "shape": [256]}, "numbers of type F8_E4M3"),
        ({"dtype": "F16"}, "is broken"),
        ({"shape": [2**40]}, "is broken"),
        ({"data_offsets": [0, 10**12]}, "is broken"),
        ({"shape": [1, 64]}, "weight readout_bias has shape (1, 64)"),
        ({"dtype": "I32"}, "weight readout_bias is int32, not float32"),
    ],
)
def test_a_header_that_lies(folder: Path, lies: dict[str, object], told: str) -> None:
    put(folder, header((folder / WEIGHTS).read_bytes(), "readout_bias", **lies))
    refused = refusal(folder)
    assert told in refused
    assert str(folder) in refused


def filled(name: str, number: float) -> Callable[[Arrays], Arrays]:
    return lambda arrays: {**arrays, name: np.full_like(arrays[name], number)}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (filled("readout_bias", np.nan), "weight readout_bias is not finite"),
        (filled("readout_out", 3e38), "are too large: what is made of them is not finite"),
        (filled("event_out", 3e38), "are too large: what is made of them is not finite"),
        (filled("item_project", 3e38), "are too large: what is made of them is not finite"),
        (filled("like_pair", np.inf), "weight like_pair is not finite"),
        (filled("action_weight", -1), "weight action_weight is negative"),
        (filled("asks", 0.5), "weight asks must be 0 or 1"),
        (
            lambda arrays: {**arrays, "known_keys": np.zeros((), np.uint64)},
            "missing weights: ['known_embedding']",
        ),
        (
            lambda arrays: {
                **arrays,
                "known_keys": np.zeros((), np.uint64),
                "known_embedding": np.zeros((1, 64), np.float16),
            },
            "weight known_keys is uint64 (), wanted one dimension",
        ),
        (lambda arrays: {**arrays, "else": np.zeros(3, np.float32)}, "missing or unknown weights: ['else']"),
    ],
)
def test_numbers_that_nobody_trained(folder: Path, change: Callable[[Arrays], Arrays], told: str) -> None:
    arrays = dict(load((folder / WEIGHTS).read_bytes()))
    for head in ("like", "rate"):
        for part, shape in (("pair", (64, 64)), ("user", (64,)), ("item", (64,)), ("bias", (1,))):
            arrays[f"{head}_{part}"] = np.zeros(shape, np.float32)
    put(folder, save(change(arrays)))
    refused = refusal(folder)
    assert told in refused
    assert str(folder) in refused


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"version": ""}, "version must be 1 to 200 characters that can be printed"),
        ({"version": "v" * 201}, "version must be 1 to 200 characters that can be printed"),
        ({"version": "a\n\x1b[31mb"}, "version must be 1 to 200 characters that can be printed"),
        ({"fusion": "blend"}, "unknown fusion of modalities 'blend'"),
        ({"fusion": "late"}, "late fusion: missing or unknown weights"),
    ],
)
def test_a_manifest_that_says_otherwise(folder: Path, changes: dict[str, object], told: str) -> None:
    manifest = json.loads((folder / MANIFEST).read_bytes())
    (folder / MANIFEST).write_text(json.dumps(manifest | changes))
    refused = refusal(folder)
    assert told in refused
    assert str(folder) in refused


@pytest.mark.parametrize("content", [b'{"kind": "\xff"}', b"", b"[", b"null", '{"kind"'.encode("utf-16")])
def test_a_manifest_that_is_none(folder: Path, content: bytes) -> None:
    (folder / MANIFEST).write_bytes(content)
    assert str(folder / MANIFEST) in refusal(folder)


def test_weights_that_were_written_in_half_leave_the_artifact_before_them(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = load_artifact(str(folder)).fingerprint
    write = Path.write_bytes

    def full(path: Path, content: bytes) -> int:
        write(path, content[: len(content) // 2])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space left"):
        save_artifact(learned(), str(folder))
    monkeypatch.undo()
    assert load_artifact(str(folder)).fingerprint == before


def test_what_was_trained_passes(folder: Path) -> None:
    assert Fusion(load_artifact(str(folder))).artifact.version == learned().version
