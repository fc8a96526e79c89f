"""From records to what ranking and describing need: ring and sums merged, attention, one vector."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from state.artifact import TIME_BUCKETS, Artifact, Float32
from state.attention import Attention, Biases, Ring
from state.codec import Records
from state.heads import (
    DISLIKE_RATE,
    RATES,
    Times,
    ages,
    log_weights,
    normed,
    scores,
)
from state.layout import DIM, FLAG_RETRACTED, HEAD_COUNT, HEAD_DIM, MODALITY_HEAD, NEVER
from state.ring import cancelled, contributing, newest_first
from state.rowwise import divisor, finite, product, silu, unit
from state.signals import WELCOMING
from state.slots import Slots, directions

Bool = NDArray[np.bool_]


@dataclass(slots=True, frozen=True)
class Readouts:
    """What is known of n users, at the time of each one's latest event.

    version, event_count: int64 [n]; time_ms: int64 [n], of the latest event, 0 where there was none.
    interest: float32 [n, 64], unit ranking vector, zero where nothing was fused yet.
    heads: float32 [n, 8, 64], mean of each time scale in item space, unit or zero.
    head_weights: float32 [n, 8], share of the mass by head, sums to 1 or 0.
    modalities: float32 [n, 4], share of attention by modality (over a week's half-life), sums to 1 or 0.
    dislike: float32 [n, 64], weighted mean of what was rejected; dislike_mass: float32 [n], its decayed
    weight.
    recent: float32 [n, 32, 64], unit vectors of the ring, newest first; recent_mask: bool [n, 32], those
    that feed the interest; recent_items: uint64 [n, 32], hash of the item, 0 where there is none;
    recent_events: uint64 [n, 32], hash of the event's id; recent_taken: bool [n, 32], events that welcome an
    item, whether it has a vector or not.
    """

    version: NDArray[np.int64]
    event_count: NDArray[np.int64]
    time_ms: NDArray[np.int64]
    interest: Float32
    heads: Float32
    head_weights: Float32
    modalities: Float32
    dislike: Float32
    dislike_mass: Float32
    recent: Float32
    recent_mask: Bool
    recent_items: NDArray[np.uint64]
    recent_events: NDArray[np.uint64]
    recent_taken: Bool


@dataclass(slots=True, frozen=True)
class Merged:
    """A bank with ring and sums merged: weights of ring [n, k, RING] and sums [n, k], their total [n, k]."""

    ring: Float32
    held: Float32
    total: Float32
    log_mass: Float32
    """Logarithm of the mass at the time of the read; -inf where there is none."""


class Reader:
    """Reads records under one artifact; what can be worked out of the weights alone is worked out once."""

    def __init__(self, artifact: Artifact) -> None:
        weights = artifact.weights
        self._weights = weights
        self._asks_heads = bool(weights.head_query.any())
        self._queries = np.ascontiguousarray(weights.head_query.T)
        self._admitted = np.isfinite(weights.head_action[:, 0])
        self._gates = bool(weights.readout_gate.any())
        self._open = silu(weights.readout_gate_bias)
        self._refines = bool(weights.event_action.any() or weights.event_dwell.any())
        self._look = Attention(
            weights.attention_query,
            weights.attention_key,
            weights.attention_value,
            Biases(weights.attention_action, weights.attention_rank, weights.attention_time),
        )
        self._review = Attention(
            weights.review_query,
            weights.review_key,
            weights.review_value,
            Biases(weights.review_action, weights.review_rank, weights.review_time),
        )

    def read(self, records: Records) -> Readouts:
        ring = self._ring(records)
        latest = ring.slots["time"][:, 0]
        merged, means = self._heads(records, ring, latest)
        dislike, mass = self._dislike(records, ring, latest)
        exists = merged.total[:, -1] > 0
        return Readouts(
            version=records["version"].copy(),
            event_count=records["event_count"].copy(),
            time_ms=np.where(latest == NEVER, 0, latest),
            interest=np.where(exists[:, None], self._interest(ring, merged, means), np.float32(0)),
            heads=unit(product(means, self._weights.head_item)),
            head_weights=_shares(merged.log_mass),
            modalities=_modalities(records, ring, merged),
            dislike=dislike,
            dislike_mass=mass,
            recent=ring.vectors,
            recent_mask=ring.feeds,
            recent_items=ring.slots["item"].copy(),
            recent_events=ring.slots["event"].copy(),
            recent_taken=takes_item(ring.slots),
        )

    def _ring(self, records: Records) -> Ring:
        slots = newest_first(records["ring"])
        present = contributing(slots) & ~cancelled(slots)
        vectors = directions(slots)
        x = self._events(slots, vectors)
        times = slots["time"]
        gap = np.where(present, times[:, :1] - np.where(present, times, 0), 0)
        bucket = np.minimum(np.maximum(np.frexp(gap / 1000 + 1)[1] - 1, 0), TIME_BUCKETS - 1)
        feeds = present & self._admitted[slots["action"]]
        keys, weight = normed(self._weights, x), log_weights(slots)
        return Ring(slots, present, feeds, vectors, x, keys, weight, bucket)

    def _events(self, slots: Slots, vectors: Float32) -> Float32:
        """As `heads.events`, user by user: [n, RING, DIM]."""
        weights, x = self._weights, vectors
        if self._refines:
            x = x + weights.event_action[slots["action"]] + weights.event_dwell[slots["dwell"]]
        if weights.event_in.shape[1]:
            hidden = silu(np.matmul(x, weights.event_in) + weights.event_in_bias)
            x = x + np.matmul(hidden, weights.event_out)
        return x

    def _heads(self, records: Records, ring: Ring, latest: Times) -> tuple[Merged, Float32]:
        """Weights of the long-term heads, and their means u [n, HEAD_COUNT, HEAD_DIM]."""
        weights = self._weights
        logits = np.ascontiguousarray(self._logits(ring).transpose(0, 2, 1))
        held = (records["sum_time"], records["mass"], records["norm"])
        merged = merge(held, ring, (ring.feeds, logits), (latest, RATES))
        sums = product(np.matmul(merged.ring, ring.keys), weights.head_value)
        sums += records["value"] * merged.held[..., None]
        sums /= divisor(merged.total)[..., None]
        return merged, sums

    def _logits(self, ring: Ring) -> Float32:
        """As `heads.scores`, user by user: [n, RING, HEAD_COUNT]; zero where an event is kept out."""
        weights = self._weights
        if self._asks_heads:
            out = scores(weights, np.matmul(ring.keys, self._queries), ring.slots)
        else:
            out = weights.head_action[ring.slots["action"]]
        return finite(out)

    def _dislike(self, records: Records, ring: Ring, latest: Times) -> tuple[Float32, Float32]:
        logits = self._weights.dislike_action[ring.slots["action"]]
        counts = ring.present & np.isfinite(logits)
        if not counts.any() and not records["dislike_norm"].any():
            return np.zeros((len(records), DIM), np.float32), np.zeros(len(records), np.float32)
        held = (records["dislike_time"], records["dislike_mass"][:, None], records["dislike_norm"][:, None])
        merged = merge(held, ring, (counts, finite(logits)[:, None]), (latest, DISLIKE_RATE))
        sums = np.matmul(merged.ring, ring.vectors)[:, 0]
        sums = sums + records["dislike_value"] * merged.held
        return sums / divisor(merged.total), np.exp(merged.log_mass[:, 0])

    def _interest(self, ring: Ring, merged: Merged, means: Float32) -> Float32:
        weights = self._weights
        query, key = self._query(ring)
        facts = np.concatenate([means.reshape(-1, HEAD_COUNT * HEAD_DIM), log_masses(merged)], axis=1)
        if self._gates:
            facts *= silu(product(query, weights.readout_gate) + weights.readout_gate_bias)
        else:
            facts *= self._open
        out = weights.readout_latest * query + product(facts, weights.readout_out)
        out += self._look(ring, key)
        if self._review.heads:
            out = weights.norms.review(out)
            out += self._review(ring, out)
        if weights.readout_in.shape[1]:
            hidden = silu(product(out, weights.readout_in) + weights.readout_in_bias)
            out = out + product(hidden, weights.readout_hidden_out)
        return unit(weights.norms.readout(out))

    def _query(self, ring: Ring) -> tuple[Float32, Float32]:
        """x_T and LN(x_T) of the latest event that may ask; zero where the ring has none."""
        asks = ring.present & (self._weights.asks[ring.slots["action"]] > 0)
        rows, first = np.arange(len(asks)), asks.argmax(axis=1)
        any_asks = asks.any(axis=1)[:, None]
        zero = np.float32(0)
        return np.where(any_asks, ring.x[rows, first], zero), np.where(any_asks, ring.keys[rows, first], zero)


def merge(
    held: tuple[Times, Float32, Float32],
    ring: Ring,
    fresh: tuple[Bool, Float32],
    clock: tuple[Times, Float32],
) -> Merged:
    """Merges sums (time [n], m [n, k], n [n, k]) with the events of the ring that count [n, RING], whose
    logits [n, k, RING] are still without age and weight.

    `clock` is the time of the read [n] and the heads' rates. Weights are formed against the latest event
    that counts, not against the time of the read: so an old past keeps its digits behind a latest event
    that adds nothing.
    """
    (time, mass, norm), (counts, logits), (latest, rates) = held, fresh, clock
    times = np.where(counts, ring.slots["time"], NEVER)
    reference = np.maximum(times.max(axis=1), time)
    base = np.where(counts, ring.weight, np.float32(-np.inf))
    aged = logits + base[:, None] - ages(times, reference[:, None], rates).transpose(0, 2, 1)
    old = mass - ages(time, reference, rates)
    top = finite(np.maximum(aged.max(axis=2), old))
    aged -= top[..., None]
    by_ring, by_sum = np.exp(aged, out=aged), np.exp(old - top)
    total = norm * by_sum + by_ring.sum(axis=2)
    gone = ages(reference, latest, rates)
    log_mass = np.where(total > 0, top + np.log(divisor(total)) - gone, np.float32(-np.inf))
    return Merged(by_ring, by_sum, total, np.asarray(log_mass, np.float32))


def log_masses(merged: Merged) -> Float32:
    """nu as the readout takes it: log(1 + mass), zero where there is none."""
    return np.log1p(np.exp(np.minimum(merged.log_mass, np.float32(60))))


def takes_item(slots: Slots) -> Bool:
    """Which events welcome an item, and were not taken back."""
    kept = (slots["flags"] & FLAG_RETRACTED) == 0
    return np.asarray(WELCOMING[slots["action"]] & kept & (slots["item"] != 0), np.bool_)


def _shares(log_mass: Float32) -> Float32:
    """Softmax [n, k] of log masses; zero where there is no mass at all."""
    share = np.exp(log_mass - finite(log_mass.max(axis=1, keepdims=True)))
    return np.asarray(share / divisor(share.sum(axis=1, keepdims=True)), np.float32)


def _modalities(records: Records, ring: Ring, merged: Merged) -> Float32:
    shares = ring.slots["shares"].astype(np.float32) * np.float32(1 / 255)
    sums = np.einsum("nr,nrm->nm", merged.ring[:, MODALITY_HEAD], shares)
    sums = sums + records["modalities"] * merged.held[:, MODALITY_HEAD, None]
    return np.asarray(sums / divisor(sums.sum(axis=1, keepdims=True)), np.float32)
