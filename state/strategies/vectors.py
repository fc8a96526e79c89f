"""Strategies that compare vectors: by the model's ranking vector, by its heads, by content alone, and by
what the model has learned of likes."""

import numpy as np

from state.judging import Judges
from state.ranking import HEADS_ASKED, queries
from state.readout import Readouts
from state.strategies.base import Ask
from state.strategies.field import NO_ROW, Float32, Int64, dots, union

FADING = 8.0
"""Events after which a past item counts half, to `Content`."""


class Interest:
    """Inner product with the ranking vector less the dislikes: the model's own order."""

    from_zero = False

    def propose(self, ask: Ask, count: int) -> Int64:
        readouts = ask.audience.readouts
        return _unless_zero(ask.field.nearest(queries(readouts), count), readouts.interest)

    def rate(self, ask: Ask, rows: Int64) -> Float32:
        readouts = ask.audience.readouts
        return _told(dots(ask.field.catalogue, rows, queries(readouts)), readouts.interest)


class Heads:
    """Largest cosine to any of the heaviest heads: one of several tastes is enough."""

    from_zero = False

    def propose(self, ask: Ask, count: int) -> Int64:
        each, heads = -(-count // HEADS_ASKED), heaviest(ask.audience.readouts)
        return union([_unless_zero(ask.field.nearest(head, each), head) for head in heads])

    def rate(self, ask: Ask, rows: Int64) -> Float32:
        heads = heaviest(ask.audience.readouts)
        told = [_told(dots(ask.field.catalogue, rows, head), head) for head in heads]
        return np.asarray(np.max(told, axis=0), np.float32)


class Content:
    """Cosine to the mean of the items that were taken lately: likeness alone, without a model."""

    from_zero = False

    def propose(self, ask: Ask, count: int) -> Int64:
        asked = self._asked(ask.audience.readouts)
        return _unless_zero(ask.field.nearest(asked, count), asked)

    def rate(self, ask: Ask, rows: Int64) -> Float32:
        asked = self._asked(ask.audience.readouts)
        return _told(dots(ask.field.catalogue, rows, asked), asked)

    def _asked(self, readouts: Readouts) -> Float32:
        taken = readouts.recent_taken & readouts.recent.any(axis=2)
        back = np.cumsum(taken, axis=1) - 1
        weights = np.where(taken, np.exp2(-back / FADING), 0.0).astype(np.float32)
        mean = np.matmul(weights[:, None, :], readouts.recent)[:, 0]
        length = np.linalg.norm(mean, axis=1, keepdims=True)
        return np.asarray(mean / np.where(length > 0, length, 1), np.float32)


class Liked:
    """Probability of a like, as training learned it; it orders what the ranking vector brings."""

    from_zero = True

    def __init__(self, judges: Judges) -> None:
        self._judges = judges

    def propose(self, ask: Ask, count: int) -> Int64:
        return Interest().propose(ask, count)

    def rate(self, ask: Ask, rows: Int64) -> Float32:
        interest = ask.audience.readouts.interest
        vectors = ask.field.catalogue.columns.vectors.take(np.maximum(rows, 0), axis=0, mode="clip")
        users = interest.repeat(rows.shape[1], axis=0)
        values = self._judges.likes(users, vectors.reshape(-1, vectors.shape[2])).reshape(rows.shape)
        values[(rows < 0) | ~np.asarray(vectors.any(axis=2))] = -np.inf
        return _told(values, interest)


def heaviest(readouts: Readouts) -> list[Float32]:
    """The heads with the most mass, HEADS_ASKED of each user, float32 [n, 64] each."""
    chosen = np.argsort(-readouts.head_weights, axis=1, kind="stable")[:, :HEADS_ASKED]
    heads = readouts.heads[np.arange(len(chosen))[:, None], chosen]
    return [heads[:, place] for place in range(heads.shape[1])]


def _told(values: Float32, asked: Float32) -> Float32:
    """Nothing is said of users without a vector."""
    values[~np.asarray(asked.any(axis=1))] = -np.inf
    return values


def _unless_zero(rows: Int64, asked: Float32) -> Int64:
    return np.where(np.asarray(asked.any(axis=1))[:, None], rows, NO_ROW)
