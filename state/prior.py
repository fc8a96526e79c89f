"""The content prior: an artifact made of chosen numbers, useful before any training.

It has the form of a trained artifact (see `artifact.Weights`), with these choices:

- Item space is the first CONTENT_DIM numbers of the shared space, carried by an orthonormal basis of
  the vectors of mean zero, so that layer normalisation changes no cosine. An item is the normalised
  mean of its modalities.
- The heads ask nothing (zero queries): each is a mean over the past, weighted by action and age. Even
  heads carry one half of the basis and odd heads the other, so that neighbouring time scales lose
  nothing together.
- Attention has two heads: one asks for events like the latest, the other knows recency alone. They
  make out what the user follows now, from about the last four events. The review then asks for events
  of the ring that are unlike it, which brings back the other things that the user follows.
- The ranking vector is a blend, `Blend`; its constants were chosen by `tests/bench/bench_tastes.py`.
- What a user rejects stays out of heads and attention and goes to the dislike bank.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np

from state.artifact import DWELL_BUCKETS, TIME_BUCKETS, Artifact, Weights
from state.content import basis
from state.events import ACTIONS, Action
from state.fusions.untrained import untrained
from state.layout import DIM, HEAD_COUNT, HEAD_DIM, RING
from state.shapes import Float32

VERSION = "content-prior-1"

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


@dataclass(frozen=True, slots=True)
class Asking:
    """One head of the attention over the ring."""

    share: float
    """Of its answer in the ranking vector."""
    sharpness: float
    """Logit of an event in the very direction of the query; below zero it asks for the rest."""
    rank_decay: float
    """Loss of logit with each rank in the ring."""
    time_decay: float
    """Loss of logit with each doubling of the age."""
    latest: float = 0.0
    """Further logit of the latest event itself, which is always the most similar."""


@dataclass(frozen=True, slots=True)
class Blend:
    """What the ranking vector is made of. Only the ratios of the shares count."""

    latest: float = 0.2
    """Share of the latest event itself."""
    attention: tuple[Asking, ...] = (Asking(1.0, 2.0, 0.3, 0.03, -2.0), Asking(1.0, 0.0, 0.4, 0.03))
    """Events like the latest, and recency alone."""
    review: tuple[Asking, ...] = (Asking(1.2, -5.5, 0.12, 0.03),)
    """What the blend so far, brought to unit length, leaves out: the other taste of a viewer who has two."""
    heads: tuple[float, ...] = (0.0, 0.0, 0.1, 0.1, 0.2, 0.2, 0.1, 0.1)
    """Share of each long-term head."""


DEFAULT = Blend()


@cache
def content_prior(blend: Blend = DEFAULT) -> Artifact:
    """The artifact that serves where none is configured."""
    zero = np.zeros(DIM, np.float32)
    halves = _halves(basis())
    return Artifact(
        VERSION,
        Weights(
            action_weight=_by_action(WEIGHTS_BY_ACTION),
            asks=_by_action({action: float(action not in REJECTING) for action in Action}),
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
            review_gain=np.full(DIM, DIM**-0.5, np.float32),
            review_bias=zero,
            **_block("attention", blend.attention),
            **_block("review", blend.review),
            dislike_action=_admit(rejecting=True),
            readout_latest=np.array([blend.latest], np.float32),
            readout_gate=np.zeros((DIM, HEAD_COUNT * HEAD_DIM + HEAD_COUNT), np.float32),
            readout_gate_bias=np.full(HEAD_COUNT * HEAD_DIM + HEAD_COUNT, OPEN_GATE, np.float32),
            readout_out=_readout(halves, blend.heads),
            readout_in=np.zeros((DIM, 0), np.float32),
            readout_in_bias=np.zeros(0, np.float32),
            readout_hidden_out=np.zeros((0, DIM), np.float32),
            readout_gain=np.full(DIM, DIM**-0.5, np.float32),
            readout_bias=zero,
        ),
        untrained("gated"),
    )


OPEN_GATE = 1.2784645
"""Where silu is one."""


def _by_action(numbers: dict[Action, float]) -> Float32:
    return np.array([numbers[action] for action in ACTIONS], np.float32)


def _admit(rejecting: bool) -> Float32:
    kept = [(action in REJECTING) == rejecting for action in ACTIONS]
    return np.where(kept, 0.0, -np.inf).astype(np.float32)


def _halves(directions: Float32) -> Float32:
    """[HEAD_COUNT, DIM, HEAD_DIM]: every other direction of the basis for even heads, the rest for odd."""
    halves = np.zeros((HEAD_COUNT, DIM, HEAD_DIM), np.float32)
    for head in range(HEAD_COUNT):
        rows = directions[head % 2 :: 2]
        halves[head, :, : len(rows)] = rows.T
    return halves


def _block(name: str, heads: tuple[Asking, ...]) -> dict[str, Float32]:
    ranks = _slopes([head.rank_decay for head in heads], RING)
    ranks[:, 0] += [head.latest for head in heads]
    return {
        f"{name}_query": _scaled([head.sharpness for head in heads]),
        f"{name}_key": _scaled([1.0] * len(heads)),
        f"{name}_value": _scaled([head.share for head in heads]),
        f"{name}_action": np.repeat(_admit(rejecting=False)[:, None], len(heads), 1),
        f"{name}_rank": ranks,
        f"{name}_time": _slopes([head.time_decay for head in heads], TIME_BUCKETS),
    }


def _scaled(factors: list[float]) -> Float32:
    """[heads, DIM, DIM]: the identity, multiplied."""
    return (np.array(factors)[:, None, None] * np.eye(DIM)).astype(np.float32)


def _slopes(decays: list[float], length: int) -> Float32:
    """[heads, length]: a loss that grows with each place."""
    return -np.outer(decays, np.arange(length)).astype(np.float32)


def _readout(halves: Float32, shares: tuple[float, ...]) -> Float32:
    out = np.zeros((HEAD_COUNT * HEAD_DIM + HEAD_COUNT, DIM), np.float32)
    for head, share in enumerate(shares):
        out[head * HEAD_DIM : (head + 1) * HEAD_DIM] = halves[head].T * share
    return out
