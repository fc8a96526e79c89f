"""Items of which little is known get some places, drawn with a known chance: else nothing is ever learnt of
them, and what they would have earned cannot be told.

An item i of which few events are known has for a user with query q the optimistic value

    v_i = q . z_i + BONUS sqrt(ln(1 + N) / (1 + n_i)),

n_i being how often it stood in a slate for this, and N the sum of these (an upper confidence bound, whose
mean is what the model expects). Places are drawn one after another without replacement with chances
exp(v_i / TEMPERATURE) / sum (Plackett and Luce), by adding Gumbel noise and taking the largest. The noise is
a hash of the user's state and the item, so that a replay draws the same, and nobody's draw hangs on others.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from state.catalogue import Catalogue
from state.ranking import queries
from state.readout import Readouts
from state.strategies.base import Ask
from state.strategies.field import NO_ROW, Float32, Int64, dots

BONUS = 0.3
TEMPERATURE = 0.1
FRONT = 256
"""Items that are drawn from: those that were shown least for exploration."""

UInt64 = NDArray[np.uint64]


@dataclass(slots=True, frozen=True)
class Drawn:
    """What n users are to explore, in the order of drawing: rows int64 [n, k], NO_ROW for none, inner
    products with the query, and the chance that each had when it was drawn, float64 [n, k]."""

    rows: Int64
    values: NDArray[np.float64]
    propensities: NDArray[np.float64]


class Explorer:
    """Draws items of which fewer than `events` events are known."""

    def __init__(self, catalogue: Catalogue, events: int) -> None:
        self._catalogue = catalogue
        self._events = events
        self._version = (-1, -1)
        self._front: Int64 = np.zeros(0, np.int64)
        self._total = 0

    def draw(self, ask: Ask, count: int) -> Drawn:
        """`count` for each user that has an interest, of items that may be shown to the user."""
        front = self._latest_front()
        users = len(ask.audience)
        rows = np.tile(front, (users, 1))
        asked = queries(ask.audience.readouts)
        values = dots(self._catalogue, rows, asked)
        values[~ask.field.open(rows)] = -np.inf
        values[~ask.audience.readouts.interest.any(axis=1)] = -np.inf
        shown = self._catalogue.columns.explored.take(rows)
        bonus = BONUS * np.sqrt(np.log1p(self._total) / (1 + shown))
        logits = (values.astype(np.float64) + bonus) / TEMPERATURE
        noisy = logits + _gumbel(_seeds(ask.audience.readouts)[:, None], self._catalogue.columns.hashes[rows])
        order = np.argsort(-noisy, axis=1, kind="stable")[:, :count]
        return _drawn(rows, values, logits, order)

    def _latest_front(self) -> Int64:
        catalogue = self._catalogue
        if self._version != (catalogue.version, catalogue.ratings):
            columns, count = catalogue.columns, catalogue.rows
            new = np.flatnonzero(columns.live[:count] & (columns.events[:count] < self._events))
            keys = (columns.hashes[new], -columns.published[new], columns.explored[new])
            self._front = new[np.lexsort(keys)][:FRONT]
            self._total = int(columns.explored[self._front].sum())
            self._version = (catalogue.version, catalogue.ratings)
        return self._front


def _drawn(rows: Int64, values: Float32, logits: NDArray[np.float64], order: Int64) -> Drawn:
    """Chances are those of each draw among what the draws before it had left."""
    if not order.shape[1]:
        nothing = np.zeros(order.shape)
        return Drawn(order, nothing, nothing)
    logits = logits.copy()
    chances = np.zeros(order.shape)
    users = np.arange(len(rows))
    for draw in range(order.shape[1]):
        top = logits.max(axis=1, keepdims=True)
        weights = np.exp(logits - np.where(top > -np.inf, top, 0))
        total = weights.sum(axis=1)
        chances[:, draw] = weights[users, order[:, draw]] / np.where(total > 0, total, 1)
        logits[users, order[:, draw]] = -np.inf
    taken = np.take_along_axis(values, order, axis=1).astype(np.float64)
    some = taken > -np.inf
    return Drawn(
        np.where(some, np.take_along_axis(rows, order, axis=1), NO_ROW), np.where(some, taken, 0), chances
    )


def _seeds(readouts: Readouts) -> UInt64:
    """One number for each user, of the state alone."""
    mixed = np.bitwise_xor.reduce(_mixed(readouts.recent_items), axis=1)
    for numbers, salt in ((readouts.time_ms, 1), (readouts.version, 2)):
        mixed ^= _mixed(_mixed(numbers.astype(np.uint64)) + np.uint64(salt))
    return np.asarray(mixed, np.uint64)


def _gumbel(seeds: UInt64, hashes: UInt64) -> NDArray[np.float64]:
    uniform = (_mixed(seeds ^ _mixed(hashes)) >> np.uint64(11)).astype(np.float64) * 2.0**-53
    return np.asarray(-np.log(-np.log(uniform + 2.0**-54)))


def _mixed(numbers: UInt64) -> UInt64:
    """The finaliser of splitmix64 (Steele, Lea and Flood, 2014)."""
    mixed = numbers + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(mixed ^ (mixed >> np.uint64(31)))
