"""Long-term heads: online-softmax sums of the events that left the ring, one per time scale.

A sum (m, n, v) at reference time t stands for weights w_j = exp(l_j - (t - t_j) / tau):
m is the largest logit, n = sum w_j / e^m, v = sum w_j v_j / e^m (Milakov and Gimelshein 2018, with decay).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from state.artifact import Artifact, Float32, Weights
from state.codec import Records
from state.layout import (
    DISLIKE_HALF_LIFE_SECONDS,
    FARTHEST,
    HALF_LIVES_SECONDS,
    MODALITY_HEAD,
    NEVER,
)
from state.rowwise import product, silu
from state.slots import Slots, directions

Times = NDArray[np.int64]
Index = NDArray[np.int64]

RATES: Float32 = (np.log(2) / 1000 / np.array(HALF_LIVES_SECONDS)).astype(np.float32)
"""Loss of logit per millisecond of age, by head."""
DISLIKE_RATE: Float32 = np.array([np.log(2) / 1000 / DISLIKE_HALF_LIFE_SECONDS], np.float32)
SCORE_LIMIT = np.float32(8)


@dataclass(slots=True, frozen=True)
class Bank:
    """Sums at reference times, [w] users by [k] heads: time [w], mass m [w, k], norm n [w, k]."""

    time: Times
    mass: Float32
    norm: Float32


@dataclass(slots=True, frozen=True)
class Step:
    """A bank after one more event, and the factors of its sums v and of the event's value, [w, k]."""

    bank: Bank
    old: Float32
    new: Float32


def ages(since: Times, until: Times, rates: Float32) -> Float32:
    """Loss of logit (until - since) / tau, [..., k]; zero where `since` is NEVER."""
    gap = np.where(since == NEVER, 0, until - np.maximum(since, -FARTHEST))
    return gap.astype(np.float32)[..., None] * rates


def add(bank: Bank, time: Times, logits: Float32, rates: Float32) -> Step:
    """Adds an event with time [w] and logits [w, k], all finite, to every user's bank."""
    latest = np.maximum(bank.time, time)
    held = bank.mass - ages(bank.time, latest, rates)
    fresh = logits - ages(time, latest, rates)
    top = np.maximum(held, fresh)
    old, new = np.exp(held - top), np.exp(fresh - top)
    return Step(Bank(latest, top, bank.norm * old + new), old, new)


def log_weights(slots: Slots) -> Float32:
    """Logarithm of the slots' weights; 0 for no weight, because such slots are left out elsewhere."""
    weights = slots["weight"].astype(np.float32)
    return np.asarray(np.log(np.where(weights > 0, weights, np.float32(1))), np.float32)


def events(weights: Weights, slots: Slots) -> Float32:
    """x of each slot [n]: [n, DIM]. Formula in `artifact.Weights`."""
    x = directions(slots)
    x = x + weights.event_action[slots["action"]] + weights.event_dwell[slots["dwell"]]
    if weights.event_in.shape[1]:
        hidden = silu(product(x, weights.event_in) + weights.event_in_bias)
        x = x + product(hidden, weights.event_out)
    return np.asarray(x, np.float32)


def normed(weights: Weights, x: Float32) -> Float32:
    """LayerNorm of x, from which scores, values and attention are made."""
    return weights.norms.event(x)


def scores(weights: Weights, asked: Float32, slots: Slots) -> Float32:
    """Logits [..., HEAD_COUNT] but for age and weight, given q . LN(x) in `asked`."""
    bounded = SCORE_LIMIT * np.tanh(asked / SCORE_LIMIT)
    return np.asarray(bounded + weights.head_action[slots["action"]], np.float32)


def absorb(artifact: Artifact, records: Records, users: Index, slots: Slots) -> None:
    """Adds slots [d] to the sums of their users [d], in the order given."""
    if len(users) == 0:
        return
    weights = artifact.weights
    x = normed(weights, events(weights, slots))
    weight = log_weights(slots)[:, None]
    logits = scores(weights, product(x, np.ascontiguousarray(weights.head_query.T)), slots) + weight
    values = product(x[:, None], weights.head_value)
    shares = slots["shares"].astype(np.float32) * np.float32(1 / 255)
    rejected = weights.dislike_action[slots["action"]][:, None] + weight
    vectors = directions(slots)
    for rows in waves(users, np.isfinite(logits[:, 0])):
        parts = (logits[rows], values[rows], shares[rows])
        _add_interest(records, users[rows], slots["time"][rows], parts)
    for rows in waves(users, np.isfinite(rejected[:, 0])):
        _add_dislike(records, users[rows], slots["time"][rows], (rejected[rows], vectors[rows]))


def waves(users: Index, chosen: NDArray[np.bool_] | None = None) -> list[Index]:
    """Indices of each user's first (chosen) entry, of each one's second, and so on."""
    entries = np.arange(len(users)) if chosen is None else np.flatnonzero(chosen)
    order = entries[np.argsort(users[entries], kind="stable")]
    again = users[order[1:]] == users[order[:-1]]
    if not again.any():
        return [order] if len(order) else []
    place = np.arange(len(order))
    starts = np.concatenate(([True], ~again))
    turn = place - np.maximum.accumulate(np.where(starts, place, 0))
    return np.split(order[np.argsort(turn, kind="stable")], np.cumsum(np.bincount(turn))[:-1])


def _add_interest(
    records: Records, users: Index, time: Times, parts: tuple[Float32, Float32, Float32]
) -> None:
    logits, values, shares = parts
    bank = Bank(records["sum_time"][users], records["mass"][users], records["norm"][users])
    step = add(bank, time, logits, RATES)
    records["sum_time"][users] = step.bank.time
    records["mass"][users] = step.bank.mass
    records["norm"][users] = step.bank.norm
    held = records["value"][users]
    records["value"][users] = held * step.old[..., None] + values * step.new[..., None]
    old, new = step.old[:, MODALITY_HEAD, None], step.new[:, MODALITY_HEAD, None]
    records["modalities"][users] = records["modalities"][users] * old + shares * new


def _add_dislike(records: Records, users: Index, time: Times, parts: tuple[Float32, Float32]) -> None:
    logits, vectors = parts
    bank = Bank(
        records["dislike_time"][users],
        records["dislike_mass"][users][:, None],
        records["dislike_norm"][users][:, None],
    )
    step = add(bank, time, logits, DISLIKE_RATE)
    records["dislike_time"][users] = step.bank.time
    records["dislike_mass"][users] = step.bank.mass[:, 0]
    records["dislike_norm"][users] = step.bank.norm[:, 0]
    records["dislike_value"][users] = records["dislike_value"][users] * step.old + vectors * step.new
