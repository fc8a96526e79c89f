"""Artifacts, rows and readings for the tests of the fusion."""

from collections.abc import Sequence
from functools import cache

import numpy as np
from hypothesis import strategies as st

from state.artifact import SHAPES, Artifact, Weights
from state.events import ACTIONS, Row, RowKind
from state.fusion import Fusion, Readouts
from state.fusions import ItemFusion, build_fusion
from state.fusions.untrained import untrained
from state.modalities import fuse
from state.prior import content_prior
from tests.fusion_reference import Reference

NOW = 1_750_000_000_000
YEAR = 365 * 86_400_000
SIZES = {
    "actions": 11,
    "dim": 64,
    "heads": 8,
    "head_dim": 32,
    "ring": 32,
    "dwell": 10,
    "time": 32,
    "gated": 264,
    "one": 1,
    "event_hidden": 24,
    "readout_hidden": 40,
    "attention": 3,
    "review": 2,
    "review_dim": 8,
    "attention_dim": 16,
}


@cache
def learned() -> Artifact:
    """An artifact with every weight at work, as training would leave it, with numbers by chance."""
    rng = np.random.default_rng(5)
    arrays = {}
    for name, sizes in SHAPES.items():
        shape = tuple(SIZES[size] for size in sizes)
        scale = (
            shape[-2] ** -0.5
            if len(shape) > 1
            and name not in ("attention_rank", "attention_time", "review_rank", "review_time")
            else 0.3
        )
        arrays[name] = (rng.normal(size=shape) * scale).astype(np.float32)
    arrays["action_weight"] = rng.uniform(0.5, 4, 11).astype(np.float32)
    arrays["asks"] = (np.arange(11) % 4 != 3).astype(np.float32)
    for name in ("event_gain", "review_gain", "readout_gain"):
        arrays[name] = (1 + arrays[name] * 0.1).astype(np.float32)
    arrays["head_action"][4] = -np.inf
    arrays["attention_action"][4] = -np.inf
    arrays["dislike_action"][[0, 1, 2, 6]] = -np.inf
    return Artifact("by-chance", Weights(**arrays), by_chance("gated"))


@cache
def by_chance(kind: str) -> ItemFusion:
    """A fusion of modalities with every number at work, as training would leave it, by chance."""
    rng = np.random.default_rng(6)
    arrays = {}
    for name, start in untrained(kind).arrays.items():
        scale = start.shape[-2] ** -0.5 if start.ndim > 1 and name != "item_kinds" else 0.3
        arrays[name] = (rng.normal(size=start.shape) * scale).astype(np.float32)
    arrays["item_gain"] = (1 + arrays["item_gain"] * 0.1).astype(np.float32)
    if kind == "gated":
        arrays["item_gate"] *= np.float32(0.2)
    if kind == "late":
        arrays["item_sharpness"] = np.array([9.0], np.float32)
        arrays["item_concept_share"] = (abs(arrays["item_concept_share"]) / 40).astype(np.float32)
    return build_fusion(kind, arrays)


FUSIONS = {"prior": Fusion(content_prior()), "learned": Fusion(learned())}


@cache
def media(seed: int) -> dict[int, bytes]:
    """Vectors by modality, as a row carries them; none at all for a negative seed."""
    if seed < 0:
        return {}
    rng = np.random.default_rng(seed)
    present = [code for code in range(4) if rng.random() < 0.5] or [0]
    return {code: shared_vector(rng) for code in present}


def shared_vector(rng: np.random.Generator) -> bytes:
    vector = rng.normal(size=128)
    return (vector / np.linalg.norm(vector)).astype("<f2").tobytes()


def event(number: int, **fields: object) -> Row:
    base: dict[str, object] = {
        "user_id": "ann",
        "event_id": f"event-{number}",
        "action": 0,
        "time": NOW + number * 60_000,
        "offset": number,
        "broker_time": NOW + number * 60_000,
        "item_id": f"item-{number}",
        "vectors": media(number % 50),
    }
    return Row(**(base | fields))


def correction(number: int, kind: RowKind, sequence: int, **fields: object) -> Row:
    return event(number, kind=int(kind), sequence=sequence, offset=-1, **fields)


GAPS = st.sampled_from([0, 0, 1, 900, 1_000, 60_000, 3_600_000, 40 * 86_400_000, 6 * YEAR])


class History(list[Row]):
    """Rows that print short where a test fails."""

    def __repr__(self) -> str:
        return "\n".join(
            f"{RowKind(row.kind).name} {row.event_id} #{row.sequence} {ACTIONS[row.action]} {row.item_id}"
            f" at {row.time} {sorted(row.vectors)} {row.value} {row.dwell_seconds} {row.watched_fraction}"
            f" {row.sentiment}"
            for row in self
        )


@st.composite
def events(draw: st.DrawFn, max_size: int = 60) -> History:
    """Distinct events in order of time, with all that may be odd: equal times, gaps of years, no weight."""
    count = draw(st.integers(1, max_size))
    time, out = NOW, []
    for number in range(count):
        time += draw(GAPS)
        item = draw(st.integers(-1, 11))
        out.append(
            event(
                number,
                time=time,
                action=draw(st.integers(0, len(ACTIONS) - 1)),
                item_id=f"item-{item}" if item >= 0 else None,
                vectors=media(draw(st.integers(-1, 30))),
                value=draw(st.sampled_from([None, None, 0.0, 0.7, 1.0, 4.0, 99.0, -3.0])),
                dwell_seconds=draw(st.sampled_from([None, None, 0.0, 0.4, 8.0, 3_600.0])),
                watched_fraction=draw(st.sampled_from([None, None, 0.0, 0.9])),
                sentiment=draw(st.sampled_from([None, None, -2.0, -0.25, -0.24, 0.0, 0.5, 1.0])),
            )
        )
    return History(out)


@st.composite
def histories(draw: st.DrawFn) -> History:
    """Rows as they may arrive: out of order, repeated, amended, retracted, or correcting the unknown."""
    before = [
        event(1_000 + number, time=NOW - YEAR + number)
        for number in range(draw(st.sampled_from([0, 3, 33, 135])))
    ]
    rows = draw(events())
    if draw(st.booleans()):
        rows = draw(st.permutations(rows))
    out: list[Row] = list(before)
    for row in rows:
        out.append(row)
        kind = draw(st.sampled_from([None, None, None, RowKind.EVENT, RowKind.AMEND, RowKind.RETRACT]))
        if kind is not None:
            known = [*out, event(9_999)]
            target = known[draw(st.integers(max(len(known) - 50, 0), len(known) - 1))]
            fields = {name: getattr(target, name) for name in target.__struct_fields__}
            change = {"kind": int(kind), "sequence": draw(st.integers(0, 3))}
            if kind == RowKind.AMEND:
                change["vectors"] = media(draw(st.integers(-1, 30)))
            out.append(Row(**(fields | change)))
    return History(out)


def reference(fusion: Fusion) -> Reference:
    """A reference user who rounds item vectors as they are stored."""
    return Reference(fusion.artifact, lambda vectors: _item(fusion, tuple(vectors.items())))


@cache
def _item(fusion: Fusion, vectors: tuple[tuple[int, bytes], ...]) -> tuple[np.ndarray, np.ndarray] | None:
    fused = fuse(fusion.artifact.items, [dict(vectors)])
    if not fused.usable[0]:
        return None
    vector = fused.vectors[0]
    levels = np.rint(vector * (np.float32(127) / np.abs(vector).max())).astype(np.float64)
    return levels / np.linalg.norm(levels), np.rint(fused.shares[0] * np.float32(255)) / 255


def fold(fusion: Fusion, rows: Sequence[Row], state: bytes | None = None) -> bytes:
    """The state of one user after these rows."""
    return fusion.fold([state], [rows]).states[0]


VECTORS = ("interest", "heads", "head_weights", "modalities", "dislike")


def assert_close(mine: Readouts, other: Readouts, limit: float) -> None:
    """The first user's readouts agree, masses by ratio."""
    for name in VECTORS:
        np.testing.assert_allclose(
            getattr(mine, name), getattr(other, name), rtol=0, atol=limit, err_msg=name
        )
    np.testing.assert_allclose(mine.dislike_mass, other.dislike_mass, rtol=10 * limit, atol=1e-30)
    for name in ("version", "event_count", "time_ms", "recent_mask", "recent_items"):
        np.testing.assert_array_equal(getattr(mine, name), getattr(other, name), err_msg=name)
