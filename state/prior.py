"""The content prior: an artifact made of chosen numbers, useful before any training.

It has the form of a trained artifact (see `artifact.Weights`), with these choices:

- Item space is the first CONTENT_DIM numbers of the shared space, carried by an orthonormal basis of
  the vectors of mean zero, so that layer normalisation changes no cosine. An item is the normalised
  mean of its modalities.
- The heads ask nothing (zero queries): each is a mean over the past, weighted by action and age. Even
  heads carry one half of the basis and odd heads the other, so that neighbouring time scales lose
  nothing together.
- Attention has two heads: one asks for events like the latest, the other knows recency alone.
- The ranking vector is a blend, constants below; they were chosen by `tests/bench/bench_tastes.py`.
- What a user rejects stays out of heads and attention and goes to the dislike bank.
"""

from functools import cache

import numpy as np

from state.artifact import DWELL_BUCKETS, TIME_BUCKETS, Artifact, Float32, Weights
from state.events import ACTIONS, Action
from state.layout import DIM, HEAD_COUNT, HEAD_DIM, MODALITY_COUNT, RING, SHARED_DIM

VERSION = "content-prior-1"

CONTENT_DIM = DIM - 1
"""Leading numbers of the shared space that are used; the encoders order it by variance."""

WEIGHTS_BY_ACTION: dict[Action, float] = {
    Action.VIEW: 1.0,
    Action.CLICK: 1.5,
    Action.SEARCH: 2.0,
    Action.LIKE: 3.0,
    Action.COMMENT: 3.0,
    Action.SHARE: 4.0,
    Action.SAVE: 4.0,
    Action.PURCHASE: 6.0,
    Action.DISLIKE: 1.0,
    Action.SKIP: 0.25,
    Action.UNLIKE: 0.5,
}
"""The last three are masses in the dislike bank."""

REJECTING = (Action.UNLIKE, Action.DISLIKE, Action.SKIP)

LATEST = 0.2
"""Share of the latest event itself."""
SIMILAR = 0.6
"""Share of the attention that asks for events like the latest."""
RECENT = 1.0
"""Share of the recency mean over the ring."""
BY_HEAD = (0.0, 0.0, 0.1, 0.1, 0.2, 0.2, 0.1, 0.1)
"""Share of each long-term head."""

SHARPNESS = 4.0
"""Of the attention: logit of an event in the very direction of the latest."""
RANK_DECAY = (0.05, 0.08)
"""Loss of logit with each rank in the ring, for either attention head."""
TIME_DECAY = (0.03, 0.03)
"""Loss of logit with each doubling of the age."""


@cache
def content_prior() -> Artifact:
    """The artifact that serves where none is configured."""
    zero = np.zeros(DIM, np.float32)
    basis = _basis()
    halves = _halves(basis)
    return Artifact(
        VERSION,
        Weights(
            action_weight=_by_action(WEIGHTS_BY_ACTION),
            asks=_by_action({action: float(action not in REJECTING) for action in Action}),
            item_project=np.tile(_projection(basis), (MODALITY_COUNT, 1, 1)),
            item_gain=np.full((MODALITY_COUNT, DIM), DIM**-0.5, np.float32),
            item_bias=np.zeros((MODALITY_COUNT, DIM), np.float32),
            item_gate=np.zeros((MODALITY_COUNT, DIM), np.float32),
            item_gate_bias=np.zeros(MODALITY_COUNT, np.float32),
            event_action=np.zeros((len(ACTIONS), DIM), np.float32),
            event_dwell=np.zeros((DWELL_BUCKETS, DIM), np.float32),
            event_in=np.zeros((DIM, 0), np.float32),
            event_in_bias=np.zeros(0, np.float32),
            event_out=np.zeros((0, DIM), np.float32),
            event_gain=np.full(DIM, DIM**-0.5, np.float32),
            event_bias=zero,
            head_query=np.zeros((HEAD_COUNT, DIM), np.float32),
            head_action=np.repeat(_admit(rejecting=False)[:, None], HEAD_COUNT, 1),
            head_value=halves,
            head_item=np.ascontiguousarray(halves.transpose(0, 2, 1)),
            attention_query=_stack(np.eye(DIM) * SHARPNESS, np.zeros((DIM, DIM))),
            attention_key=_stack(np.eye(DIM), np.zeros((DIM, DIM))),
            attention_value=_stack(np.eye(DIM) * SIMILAR, np.eye(DIM) * RECENT),
            attention_action=np.repeat(_admit(rejecting=False)[:, None], 2, 1),
            attention_rank=-np.outer(RANK_DECAY, np.arange(RING)).astype(np.float32),
            attention_time=-np.outer(TIME_DECAY, np.arange(TIME_BUCKETS)).astype(np.float32),
            dislike_action=_admit(rejecting=True),
            readout_latest=np.array([LATEST], np.float32),
            readout_gate=np.zeros((DIM, HEAD_COUNT * HEAD_DIM + HEAD_COUNT), np.float32),
            readout_gate_bias=np.full(HEAD_COUNT * HEAD_DIM + HEAD_COUNT, OPEN_GATE, np.float32),
            readout_out=_readout(halves),
            readout_in=np.zeros((DIM, 0), np.float32),
            readout_in_bias=np.zeros(0, np.float32),
            readout_hidden_out=np.zeros((0, DIM), np.float32),
            readout_gain=np.full(DIM, DIM**-0.5, np.float32),
            readout_bias=zero,
        ),
    )


OPEN_GATE = 1.2784645
"""Where silu is one."""


def _by_action(numbers: dict[Action, float]) -> Float32:
    return np.array([numbers[action] for action in ACTIONS], np.float32)


def _admit(rejecting: bool) -> Float32:
    kept = [(action in REJECTING) == rejecting for action in ACTIONS]
    return np.where(kept, 0.0, -np.inf).astype(np.float32)


def _basis() -> Float32:
    """[CONTENT_DIM, DIM]: the cosines of the DCT-II but the constant one, orthonormal and of mean zero.

    They spread every direction over all the numbers, which rounding to eight bits likes.
    """
    place = (np.arange(DIM) + 0.5) * np.pi / DIM
    rows: Float32 = (np.cos(np.outer(np.arange(1, DIM), place)) * np.sqrt(2 / DIM)).astype(np.float32)
    return rows[:CONTENT_DIM]


def _projection(basis: Float32) -> Float32:
    projection = np.zeros((SHARED_DIM, DIM), np.float32)
    projection[:CONTENT_DIM] = basis
    return projection


def _halves(basis: Float32) -> Float32:
    """[HEAD_COUNT, DIM, HEAD_DIM]: every other direction of the basis for even heads, the rest for odd."""
    halves = np.zeros((HEAD_COUNT, DIM, HEAD_DIM), np.float32)
    for head in range(HEAD_COUNT):
        rows = basis[head % 2 :: 2]
        halves[head, :, : len(rows)] = rows.T
    return halves


def _stack(*matrices: np.ndarray[tuple[int, int], np.dtype[np.float64]]) -> Float32:
    return np.stack(matrices).astype(np.float32)


def _readout(halves: Float32) -> Float32:
    out = np.zeros((HEAD_COUNT * HEAD_DIM + HEAD_COUNT, DIM), np.float32)
    for head, share in enumerate(BY_HEAD):
        out[head * HEAD_DIM : (head + 1) * HEAD_DIM] = halves[head].T * share
    return out
