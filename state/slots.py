"""Rows of events to slots of the ring: the only place where rows are looked at one by one."""

from collections.abc import Sequence

import numpy as np
import xxhash
from numpy.typing import NDArray

from state.artifact import Artifact, Float32
from state.events import ACTIONS, Action, Row, RowKind
from state.layout import FARTHEST, FLAG_USABLE, SLOT
from state.modalities import Fused, fuse
from state.rowwise import to_unit
from state.signals import REJECTING, dwell_buckets, factors, judged

Slots = NDArray[np.void]
"""Structured array of `layout.SLOT`."""

LIKE = ACTIONS.index(Action.LIKE)
UNLIKE = ACTIONS.index(Action.UNLIKE)

_LEVELS = 127
WEIGHT_LIMIT = 60_000.0
"""Below the largest float16."""


def item_hash(item_id: str) -> int:
    """64-bit xxHash of an item id; never 0, which stands for no item."""
    return _hash(item_id)


def event_hash(event_id: str) -> int:
    """64-bit xxHash of an event id; never 0, which stands for no event."""
    return _hash(event_id)


def answer_hash(event_id: str) -> int:
    """The id under which the answer to a retraction is remembered."""
    return _hash(event_id, seed=1)


def _hash(identifier: str, seed: int = 0) -> int:
    return xxhash.xxh64_intdigest(identifier.encode("utf-8", "surrogatepass"), seed) or 1


def slots_of(artifact: Artifact, rows: Sequence[Row]) -> Slots:
    """One slot per row, vectors rounded as they are stored.

    The slot of a retraction weighs what its answer would weigh: as an `unlike`, or nothing where the
    event gave nothing or itself rejected.
    """
    slots = np.zeros(len(rows), SLOT)
    slots["time"] = _within([row.time for row in rows])
    slots["event"] = [event_hash(row.event_id) for row in rows]
    slots["item"] = [item_hash(row.item_id) if row.item_id is not None else 0 for row in rows]
    slots["sequence"] = [row.sequence if row.kind else 0 for row in rows]
    actions = np.array([row.action for row in rows], np.int64)
    actions, sounds = judged(actions, _numbers([row.sentiment for row in rows]))
    dwell = _numbers([row.dwell_seconds for row in rows])
    watched = _numbers([row.watched_fraction for row in rows])
    factor = factors(actions, _numbers([row.value for row in rows]), dwell, watched)
    weights = artifact.weights.action_weight[actions] * factor * sounds
    retracts = np.array([row.kind == RowKind.RETRACT for row in rows], bool)
    answer = artifact.weights.action_weight[UNLIKE] * (~REJECTING[actions] & (weights > 0))
    slots["weight"] = np.minimum(np.maximum(np.where(retracts, answer, weights), 0), WEIGHT_LIMIT)
    slots["action"] = actions
    slots["dwell"] = dwell_buckets(dwell)
    fused = fuse(artifact.items, [row.vectors for row in rows])
    if artifact.known is None:
        _fill(slots, fused, fused.usable)
    else:
        fused = artifact.known.added(fused, slots["item"], [row.topics for row in rows])
        _fill(slots, fused, np.asarray(fused.vectors.any(axis=1)))
    return slots


def directions(slots: Slots) -> Float32:
    """Unit vectors [..., DIM] of the slots; zero where a slot has none."""
    return to_unit(slots["vector"].astype(np.float32))


def _fill(slots: Slots, fused: Fused, usable: NDArray[np.bool_]) -> None:
    peak = np.abs(fused.vectors).max(axis=1, keepdims=True)
    scale = np.float32(_LEVELS) / np.where(peak > 0, peak, np.float32(1))
    slots["vector"] = np.rint(fused.vectors * scale)
    slots["shares"] = np.rint(fused.shares * np.float32(255))
    slots["flags"] = np.where(usable, FLAG_USABLE, 0)


def _within(times: Sequence[int]) -> NDArray[np.int64]:
    return np.minimum(np.maximum(np.array(times, np.int64), -FARTHEST), FARTHEST)


def _numbers(values: Sequence[float | None]) -> NDArray[np.float64]:
    """NaN for None."""
    return np.array(values, np.float64)
