"""A model artifact: every number of the interest model, as files and in memory."""

import hashlib
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
import xxhash
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from state.errors import UNREADABLE, ModelError
from state.events import ACTIONS
from state.fusions import ItemFusion, build_fusion
from state.fusions.sums import Gated
from state.judging import NAMES as JUDGING
from state.judging import Judges, judges_of
from state.known import NAMES as KNOWN
from state.known import KnownItems, known_of
from state.layout import DIM, HALF_LIVES_SECONDS, HEAD_COUNT, HEAD_DIM, RING
from state.rowwise import LayerNorm
from state.shapes import check_arrays

Float32 = NDArray[np.float32]

MANIFEST = "manifest.json"
WEIGHTS = "weights.safetensors"
KIND = "penchant-interest-model"
FORMAT = 1
LONGEST_VERSION = 200
"""Characters. It stands in every output, and people name a model by it."""

DWELL_BUCKETS = 10
"""Bucket 0 means that no dwell time is known; b holds [2^(b-2), 2^(b-1)) seconds, first and last are open."""
TIME_BUCKETS = 32
"""Bucket b holds time differences of [2^b - 1, 2^(b+1) - 1) seconds."""

_SIZES = {
    "actions": len(ACTIONS),
    "dim": DIM,
    "heads": HEAD_COUNT,
    "head_dim": HEAD_DIM,
    "ring": RING,
    "dwell": DWELL_BUCKETS,
    "time": TIME_BUCKETS,
    "gated": HEAD_COUNT * HEAD_DIM + HEAD_COUNT,
    "one": 1,
}

SHAPES: dict[str, tuple[str, ...]] = {
    "action_weight": ("actions",),
    "asks": ("actions",),
    "event_action": ("actions", "dim"),
    "event_dwell": ("dwell", "dim"),
    "event_in": ("dim", "event_hidden"),
    "event_in_bias": ("event_hidden",),
    "event_out": ("event_hidden", "dim"),
    "event_gain": ("dim",),
    "event_bias": ("dim",),
    "head_query": ("heads", "dim"),
    "head_action": ("actions", "heads"),
    "head_value": ("heads", "dim", "head_dim"),
    "head_item": ("heads", "head_dim", "dim"),
    "attention_query": ("attention", "dim", "attention_dim"),
    "attention_key": ("attention", "dim", "attention_dim"),
    "attention_value": ("attention", "dim", "dim"),
    "attention_action": ("actions", "attention"),
    "attention_rank": ("attention", "ring"),
    "attention_time": ("attention", "time"),
    "review_gain": ("dim",),
    "review_bias": ("dim",),
    "review_query": ("review", "dim", "review_dim"),
    "review_key": ("review", "dim", "review_dim"),
    "review_value": ("review", "dim", "dim"),
    "review_action": ("actions", "review"),
    "review_rank": ("review", "ring"),
    "review_time": ("review", "time"),
    "dislike_action": ("actions",),
    "readout_latest": ("one",),
    "readout_gate": ("dim", "gated"),
    "readout_gate_bias": ("gated",),
    "readout_out": ("gated", "dim"),
    "readout_in": ("dim", "readout_hidden"),
    "readout_in_bias": ("readout_hidden",),
    "readout_hidden_out": ("readout_hidden", "dim"),
    "readout_gain": ("dim",),
    "readout_bias": ("dim",),
}
"""Shape of each weight by the names of its sizes; a size not fixed must be the same wherever it stands."""

MAY_EXCLUDE = frozenset({"head_action", "attention_action", "review_action", "dislike_action"})
"""Biases by action, where minus infinity keeps an action out."""


class Norms(NamedTuple):
    """The layer normalisations of a model."""

    event: LayerNorm
    review: LayerNorm
    readout: LayerNorm


@dataclass(frozen=True)
class Weights:
    """The numbers, float32, shapes as in SHAPES.

    Item: z, unit, of its modalities by the artifact's fusion (`state.fusions`).
    Event: y = z + event_action + event_dwell, x = y + event_out silu(event_in y + event_in_bias).
    Head: s = 8 tanh(head_query . LN(x) / 8) + head_action + log weight, v = LN(x) head_value; head_item takes
    a head's mean back to item space.
    Attention: softmax over the ring of (LN(x_T) query) . (LN(x_j) key) + attention_action + attention_rank
    + attention_time + log weight, of LN(x_j) attention_value, summed over its heads.
    Readout: g = [u; nu] * silu(x_T readout_gate + readout_gate_bias);
    r = readout_latest x_T + g readout_out + attention.
    Review, where the artifact has heads for it: r' = LN(r), and r becomes r' + attention over the ring with
    r' as query, by the same formula; so it can look for what the first look left out.
    Then h = unit(LN(r + readout_hidden_out silu(readout_in r + readout_in_bias))).
    Dislikes: l = dislike_action + log weight, of z.
    `action_weight` is the weight of each action, `asks` is 1 for actions whose event may be the query x_T.
    """

    action_weight: Float32
    asks: Float32
    event_action: Float32
    event_dwell: Float32
    event_in: Float32
    event_in_bias: Float32
    event_out: Float32
    event_gain: Float32
    event_bias: Float32
    head_query: Float32
    head_action: Float32
    head_value: Float32
    head_item: Float32
    attention_query: Float32
    attention_key: Float32
    attention_value: Float32
    attention_action: Float32
    attention_rank: Float32
    attention_time: Float32
    review_gain: Float32
    review_bias: Float32
    review_query: Float32
    review_key: Float32
    review_value: Float32
    review_action: Float32
    review_rank: Float32
    review_time: Float32
    dislike_action: Float32
    readout_latest: Float32
    readout_gate: Float32
    readout_gate_bias: Float32
    readout_out: Float32
    readout_in: Float32
    readout_in_bias: Float32
    readout_hidden_out: Float32
    readout_gain: Float32
    readout_bias: Float32

    @cached_property
    def norms(self) -> Norms:
        return Norms(
            LayerNorm(self.event_gain, self.event_bias),
            LayerNorm(self.review_gain, self.review_bias),
            LayerNorm(self.readout_gain, self.readout_bias),
        )


class Manifest(msgspec.Struct, frozen=True):
    """What stands beside the weights."""

    kind: str
    format: int
    version: str
    half_lives_seconds: tuple[float | None, ...]
    """None for the head that never forgets."""
    sha256: str
    """Of the weights file."""
    notes: dict[str, str] = {}
    fusion: str = Gated.kind
    """Kind of the fusion of an item's modalities, one of `state.fusions.FUSIONS`."""
    space: str = ""
    """Version of the bank of encoders whose vectors the fusion was trained on; empty for any."""


@dataclass(frozen=True)
class Artifact:
    """A version, its weights and its fusion of an item's modalities. Raises ModelError where the weights do
    not fit together."""

    version: str
    weights: Weights
    items: ItemFusion
    space: str = ""
    """As in the manifest."""
    known: KnownItems | None = None
    """What training learned of single items, where it did."""
    judges: Judges | None = None
    """How users judge items, where training learned it. No state rests on it."""

    def __post_init__(self) -> None:
        _check(self.weights)

    @cached_property
    def fingerprint(self) -> int:
        """32 bits of the weights' content: states of different fingerprints do not mix."""
        digest = xxhash.xxh64()
        for name, array in self.arrays.items():
            digest.update(name.encode())
            digest.update(np.ascontiguousarray(array).tobytes())
        if self.items.kind != Gated.kind:
            digest.update(self.items.kind.encode())
        for name, own in self.known.arrays.items() if self.known else ():
            digest.update(name.encode())
            digest.update(np.ascontiguousarray(own).tobytes())
        return digest.intdigest() & 0xFFFFFFFF

    @property
    def arrays(self) -> dict[str, Float32]:
        """All numbers but those of `known` by name, in an order that fingerprints rest on: the fusion's after
        `asks`."""
        out: dict[str, Float32] = {}
        for name, array in tensors(self.weights).items():
            out[name] = array
            if name == "asks":
                out |= self.items.arrays
        return out


def tensors(weights: Weights) -> dict[str, Float32]:
    """The weights by name, in the order of the fields."""
    return {field.name: getattr(weights, field.name) for field in fields(weights)}


def load_artifact(path: str) -> Artifact:
    """The artifact in a folder; '' gives the content prior. Raises ModelError."""
    if not path:
        from state.prior import content_prior

        return content_prior()
    manifest = _manifest(Path(path) / MANIFEST)
    content = _read(Path(path) / WEIGHTS)
    try:
        return _artifact(manifest, content)
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from error


def _artifact(manifest: Manifest, content: bytes) -> Artifact:
    from state.trial import check_finite

    if hashlib.sha256(content).hexdigest() != manifest.sha256:
        raise ModelError(f"{WEIGHTS} is not the file that {MANIFEST} speaks of (SHA-256 differs)")
    try:
        arrays = load(content)
    except SafetensorError as error:
        raise ModelError(f"{WEIGHTS} is broken: {error}") from error
    except KeyError as error:
        raise ModelError(f"{WEIGHTS} has numbers of type {error.args[0]}, wanted is float32") from error
    if not set(SHAPES) <= set(arrays):
        raise ModelError(f"missing weights: {sorted(set(SHAPES) - set(arrays))}")
    known, judges = known_of(arrays), judges_of(arrays)
    weights = Weights(**{name: arrays.pop(name) for name in SHAPES})
    fusion = build_fusion(
        manifest.fusion, {name: array for name, array in arrays.items() if name not in (*KNOWN, *JUDGING)}
    )
    if (weights.action_weight < 0).any():
        raise ModelError("weight action_weight is negative")
    if not np.isin(weights.asks, (0, 1)).all():
        raise ModelError("weight asks must be 0 or 1")
    made = Artifact(manifest.version, weights, fusion, manifest.space, known, judges)
    check_finite(made)
    return made


def save_artifact(artifact: Artifact, path: str, notes: dict[str, str] | None = None) -> None:
    """Writes weights and manifest into the folder, which is made where it is missing."""
    folder = Path(path)
    folder.mkdir(parents=True, exist_ok=True)
    arrays: dict[str, NDArray[np.generic]] = dict(artifact.arrays)
    for more in (artifact.known, artifact.judges):
        arrays |= more.arrays if more else {}
    content = save({name: np.ascontiguousarray(array) for name, array in arrays.items()})
    manifest = Manifest(
        KIND,
        FORMAT,
        artifact.version,
        _half_lives(),
        hashlib.sha256(content).hexdigest(),
        notes or {},
        artifact.items.kind,
        artifact.space,
    )
    text = msgspec.json.format(msgspec.json.encode(manifest), indent=2)
    # Whole before either takes its place: a full disk leaves the artifact that was there.
    fresh = {name: folder / f"{name}.new" for name in (WEIGHTS, MANIFEST)}
    fresh[WEIGHTS].write_bytes(content)
    fresh[MANIFEST].write_bytes(text)
    for name, path_ in fresh.items():
        path_.replace(folder / name)


def _half_lives() -> tuple[float | None, ...]:
    return tuple(None if np.isinf(seconds) else seconds for seconds in HALF_LIVES_SECONDS)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except (OSError, ValueError) as error:
        raise ModelError(f"cannot read the model artifact: {error}") from error


def _manifest(path: Path) -> Manifest:
    try:
        manifest = msgspec.json.decode(_read(path), type=Manifest)
    except UNREADABLE as error:
        raise ModelError(f"{path}: {error}") from error
    if not (0 < len(manifest.version) <= LONGEST_VERSION and manifest.version.isprintable()):
        raise ModelError(
            f"{path}: version must be 1 to {LONGEST_VERSION} characters that can be printed, and is "
            f"{manifest.version[:40]!r}"
        )
    if manifest.kind != KIND or manifest.format != FORMAT:
        raise ModelError(f"{path}: {manifest.kind} format {manifest.format}, wanted {KIND} format {FORMAT}")
    if manifest.half_lives_seconds != _half_lives():
        raise ModelError(f"{path}: half-lives {manifest.half_lives_seconds}, this build has {_half_lives()}")
    return manifest


def _check(weights: Weights) -> None:
    check_arrays(tensors(weights), SHAPES, _SIZES, MAY_EXCLUDE)
    shut = np.isneginf(weights.head_action)
    if (shut.any(axis=1) != shut.all(axis=1)).any():
        raise ModelError("weight head_action keeps an action out of some heads only: of all or of none")
