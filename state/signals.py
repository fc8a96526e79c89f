"""How much one event says: its weight, from the action and what is known of rating and watching."""

import numpy as np
from numpy.typing import NDArray

from state.artifact import DWELL_BUCKETS
from state.events import ACTIONS, Action, Row

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Codes = NDArray[np.int64]

NEUTRAL_DWELL_SECONDS = 10.0
"""A dwell time that neither raises nor lowers a weight."""


def _mask(*actions: Action) -> NDArray[np.bool_]:
    return np.array([action in actions for action in ACTIONS])


REJECTING = _mask(Action.UNLIKE, Action.DISLIKE, Action.SKIP)
"""By action code: whether the user turned away."""

WELCOMING = ~(REJECTING | _mask(Action.SEARCH))
"""By action code: whether the user took the item of the event."""

AGAINST = -0.25
"""A comment that sounds like this or worse speaks against its item."""
_COMMENT, _DISLIKE = ACTIONS.index(Action.COMMENT), ACTIONS.index(Action.DISLIKE)

_IS_PASSIVE = _mask(Action.VIEW, Action.CLICK)
_IS_SKIP = _mask(Action.SKIP)


def factors(actions: Codes, values: Float64, dwell: Float64, watched: Float64) -> Float32:
    """Factors of the weight of the action, [n], 0 to 2 for each signal; NaN is a signal that is not known.

    A rating counts unless the action rejects: 0 to 1 is read as a share (0.5 is neutral), above 1 to 5
    as stars (3 is neutral); 1 itself could be either and is neutral. Of views and clicks the watched
    fraction (half is neutral) counts, else the dwell time (10 seconds are neutral). A skip weighs less
    the more was watched before.
    """
    values = np.minimum(np.maximum(values, 0), 5)
    rating = np.where(values < 1, 2 * values, np.where(values > 1, (values - 1) / 2, 1.0))
    rating = np.where(np.isnan(values) | REJECTING[actions], 1.0, rating)
    share = np.minimum(np.maximum(watched, 0), 1)
    seconds = np.minimum(np.maximum(dwell, 0), 1e9)
    by_dwell = np.where(np.isnan(dwell), 1.0, 2 * seconds / (seconds + NEUTRAL_DWELL_SECONDS))
    attention = np.where(np.isnan(watched), by_dwell, 2 * share)
    unwatched = np.where(np.isnan(watched), 1.0, 1 - share)
    factor = rating * np.where(_IS_PASSIVE[actions], attention, 1.0)
    return np.asarray(np.where(_IS_SKIP[actions], unwatched, factor), np.float32)


def judged(actions: Codes, sentiments: Float64) -> tuple[Codes, Float32]:
    """Actions as they count, and a further factor of their weight, [n] each, given how comments sound.

    A comment against its item counts as a dislike of weight |s|, any other as a comment of weight 1 + s; NaN
    is one that nobody judged.
    """
    told = (actions == _COMMENT) & ~np.isnan(sentiments)
    if not told.any():
        return actions, np.ones(len(actions), np.float32)
    sounds = np.minimum(np.maximum(np.where(told, sentiments, 0.0), -1.0), 1.0)
    against = told & (sounds <= AGAINST)
    factor = np.where(against, -sounds, 1.0 + sounds)
    return np.where(against, _DISLIKE, actions), np.asarray(factor, np.float32)


def judged_row(row: Row) -> tuple[int, float]:
    """`judged` for one row."""
    sounds = row.sentiment
    if sounds is None or row.action != _COMMENT:
        return row.action, 1.0
    sounds = min(max(sounds, -1.0), 1.0)
    return (_DISLIKE, -sounds) if sounds <= AGAINST else (_COMMENT, 1.0 + sounds)


def dwell_buckets(dwell: Float64) -> NDArray[np.uint8]:
    """Bucket of each dwell time in seconds, 0 where it is NaN (see `artifact.DWELL_BUCKETS`)."""
    known = ~np.isnan(dwell)
    exponents = np.frexp(np.where(known, np.minimum(np.maximum(dwell, 0), 1e9), 0.0))[1]
    return np.where(known, np.minimum(np.maximum(exponents + 1, 1), DWELL_BUCKETS - 1), 0).astype(np.uint8)
