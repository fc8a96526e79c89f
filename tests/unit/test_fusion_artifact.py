"""Saving, loading and refusing model artifacts."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from state.artifact import SHAPES, Artifact, load_artifact, save_artifact, tensors
from state.errors import ModelError
from state.fusion import Fusion
from state.fusions import FUSIONS, build_fusion
from state.fusions.untrained import untrained
from state.prior import Blend, content_prior
from tests.fusion_samples import by_chance, event, fold, learned


def test_no_path_gives_the_content_prior() -> None:
    assert load_artifact("") is content_prior()
    assert load_artifact("").version


def test_round_trip(tmp_path: Path) -> None:
    save_artifact(learned(), str(tmp_path / "model"), {"data": "none"})
    back = load_artifact(str(tmp_path / "model"))
    assert back.version == learned().version
    assert back.fingerprint == learned().fingerprint
    rows = [event(number) for number in range(50)]
    assert fold(Fusion(back), rows) == fold(Fusion(learned()), rows)


def test_a_fingerprint_follows_every_weight() -> None:
    weights = content_prior().weights
    names = [name for name, array in tensors(weights).items() if array.size and name != "head_action"]
    seen = {content_prior().fingerprint}
    for name in names:
        changed = getattr(weights, name).copy()
        changed.flat[0] = 0.123
        seen.add(Artifact("x", replace(weights, **{name: changed}), content_prior().items).fingerprint)
    for name, array in content_prior().items.arrays.items():
        changed = array.copy()
        changed.flat[0] = 0.123
        arrays = content_prior().items.arrays | {name: changed}
        seen.add(Artifact("x", weights, build_fusion("gated", arrays)).fingerprint)
    assert len(seen) == 1 + len(names) + len(content_prior().items.arrays)


def test_the_prior_reads_the_states_of_earlier_builds() -> None:
    assert content_prior().fingerprint == 1_593_732_246


@pytest.mark.parametrize("kind", FUSIONS)
def test_the_manifest_names_the_fusion_and_any_is_loaded(kind: str, tmp_path: Path) -> None:
    made = replace(learned(), items=by_chance(kind), space="encoders-7")
    save_artifact(made, str(tmp_path))
    assert json.loads((tmp_path / "manifest.json").read_bytes())["fusion"] == kind
    back = load_artifact(str(tmp_path))
    assert (back.items.kind, back.space, back.fingerprint) == (kind, "encoders-7", made.fingerprint)
    rows = [event(number) for number in range(50)]
    assert fold(Fusion(back), rows) == fold(Fusion(made), rows)


def test_kinds_of_fusion_are_other_artifacts_even_with_equal_numbers() -> None:
    arrays = untrained("self-attention").arrays
    kinds = [
        Artifact("x", content_prior().weights, build_fusion(kind, arrays)).fingerprint
        for kind in ("self-attention", "cross-attention")
    ]
    assert len({*kinds, content_prior().fingerprint}) == 3


def test_manifests_of_before_there_were_kinds_are_gated(tmp_path: Path) -> None:
    save_artifact(learned(), str(tmp_path))
    path = tmp_path / "manifest.json"
    manifest = json.loads(path.read_bytes())
    del manifest["fusion"], manifest["space"]
    path.write_text(json.dumps(manifest))
    back = load_artifact(str(tmp_path))
    assert (back.items.kind, back.fingerprint) == ("gated", learned().fingerprint)


def test_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot read"):
        load_artifact(str(tmp_path / "nothing"))


@pytest.mark.parametrize(
    ("name", "change", "word"),
    [
        ("manifest.json", lambda content: b"{", "manifest.json"),
        ("manifest.json", lambda content: with_key(content, "kind", "other"), "other"),
        ("manifest.json", lambda content: with_key(content, "format", 9), "format 9"),
        ("manifest.json", lambda content: with_key(content, "half_lives_seconds", [1.0]), "half-lives"),
        ("manifest.json", lambda content: with_key(content, "fusion", "magic"), "known are: concatenation"),
        ("manifest.json", lambda content: with_key(content, "fusion", "late"), "late fusion: missing"),
        ("weights.safetensors", lambda content: content[:-1] + b"!", "SHA-256"),
    ],
)
def test_broken_files(tmp_path: Path, name: str, change: object, word: str) -> None:
    save_artifact(content_prior(), str(tmp_path))
    path = tmp_path / name
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(ModelError, match=word):
        load_artifact(str(tmp_path))


def with_key(content: bytes, key: str, value: object) -> bytes:
    return json.dumps(json.loads(content) | {key: value}).encode()


@pytest.mark.parametrize(
    ("name", "array", "word"),
    [
        ("event_gain", np.ones(63, np.float32), "event_gain has shape"),
        ("event_gain", np.ones(64), "float64"),
        ("event_gain", np.full(64, np.nan, np.float32), "not finite"),
        ("event_gain", np.full(64, -np.inf, np.float32), "not finite"),
        ("event_in", np.zeros((64, 3), np.float32), "event_in_bias"),
        ("attention_rank", np.zeros((5, 32), np.float32), "attention_rank"),
        ("head_action", np.where(np.eye(11, 8) > 0, -np.inf, 0).astype(np.float32), "all or of none"),
    ],
)
def test_weights_that_do_not_fit(name: str, array: np.ndarray, word: str) -> None:
    with pytest.raises(ModelError, match=word):
        Artifact("x", replace(content_prior().weights, **{name: array}), content_prior().items)


def test_every_weight_has_a_shape() -> None:
    assert list(tensors(content_prior().weights)) == list(SHAPES)


def test_blends_are_other_artifacts() -> None:
    assert content_prior(Blend(latest=0.7)).fingerprint != content_prior().fingerprint
