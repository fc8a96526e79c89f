"""Interactions as sequences of one user each, and batches of them as tensors: what sequential models read."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from state.events import ACTIONS, Action
from state.layout import RING
from state.learning.interactions import Bool, Float32, Int32, Int64, Interactions, UInt8
from state.prior import content_prior
from state.signals import REJECTING, dwell_buckets, factors, judged
from state.slots import WEIGHT_LIMIT

NO_ITEM = -1
KEPT = np.iinfo(np.int32).max
"""Stands for: never taken back."""
_LIKES = (Action.LIKE, Action.SAVE, Action.SHARE, Action.PURCHASE)
_IS_LIKE = np.array([action in _LIKES for action in ACTIONS])
_LIKE, _UNLIKE = ACTIONS.index(Action.LIKE), ACTIONS.index(Action.UNLIKE)
UNJUDGED = -1
EARLIER = 1_024
"""Events before a sequence that are known of, at most."""
_POOL = 16
"""Batches that are sorted by length together, so that little is padded."""


@dataclass(frozen=True)
class Events:
    """n events in the order of `Interactions`, as a model takes them.

    item: int32, NO_ITEM for none. action: uint8. weight: float32, rounded as states keep it. dwell: uint8,
    bucket. until: int32, how many events later an `unlike` takes it back while it is in the ring; 0 for an
    `unlike` that does so; KEPT for all others. liked: int8, 1 or 0 as the user judged, UNJUDGED where not.
    rating: float32, 0 to 1, NaN where there is none. again: whether the user had taken the item before.
    """

    item: Int32
    time: Int64
    action: UInt8
    weight: Float32
    dwell: UInt8
    until: Int32
    liked: NDArray[np.int8]
    rating: Float32
    again: Bool


def events_of(source: Interactions) -> Events:
    """What serving makes of the same events, by the content prior's weights of actions."""
    values, dwell = source.value.astype(np.float64), source.dwell.astype(np.float64)
    actions, sounds = judged(source.action.astype(np.int64), source.sentiment.astype(np.float64))
    factor = factors(actions, values, dwell, source.watched.astype(np.float64))
    weights = content_prior().weights.action_weight[actions] * factor * sounds
    kept = np.minimum(np.maximum(weights, 0), WEIGHT_LIMIT).astype(np.float16)
    liked = np.full(len(source), UNJUDGED, np.int8)
    liked[_IS_LIKE[actions]] = 1
    liked[REJECTING[actions]] = 0
    top = float(np.nanmax(source.value)) if np.isfinite(source.value).any() else 1.0
    return Events(
        source.item,
        source.time_ms,
        actions.astype(np.uint8),
        kept.astype(np.float32),
        dwell_buckets(dwell),
        _until(source),
        liked,
        (source.value / np.float32(max(top, 1.0))).astype(np.float32),
        _again(source),
    )


def _again(source: Interactions) -> Bool:
    pairs = source.user.astype(np.int64) * len(source.item_ids) + source.item
    out = np.ones(len(source), np.bool_)
    out[np.unique(pairs, return_index=True)[1]] = False
    return out


def _until(source: Interactions) -> Int32:
    out = np.full(len(source), KEPT, np.int32)
    for place in np.flatnonzero(source.action == _UNLIKE).tolist():
        first = max(int(source.starts[source.user[place]]), place - RING + 1)
        earlier = np.arange(first, place)
        likes = earlier[
            (source.action[first:place] == _LIKE) & (source.item[first:place] == source.item[place])
        ]
        if len(likes):
            out[likes] = np.minimum(out[likes], place - likes)
            out[place] = 0
    return out


class Batch(NamedTuple):
    """b sequences of l events, which begin at the left; shorter ones are filled with NO_ITEM and weight 0.

    All [b, l]: item, time (int64, epoch milliseconds; the fill repeats the last), action, weight, dwell and
    until as in `Events`. wanted: the item to foretell after each event, NO_ITEM for none; rejected: whether
    it is one that the user turned away; again: whether the user had taken it before; liked, rating: how the
    user judged it.
    earlier: items [b, k] that the user took before the sequence begins, the latest ones, filled with NO_ITEM.
    `unlikes` tells whether anything is taken back, `rejects` whether any event rejects.
    """

    item: Tensor
    time: Tensor
    action: Tensor
    weight: Tensor
    dwell: Tensor
    until: Tensor
    wanted: Tensor
    rejected: Tensor
    again: Tensor
    liked: Tensor
    rating: Tensor
    earlier: Tensor
    unlikes: bool
    rejects: bool

    def to(self, device: torch.device) -> "Batch":
        return self._replace(
            item=self.item.to(device),
            time=self.time.to(device),
            action=self.action.to(device),
            weight=self.weight.to(device),
            dwell=self.dwell.to(device),
            until=self.until.to(device),
            wanted=self.wanted.to(device),
            rejected=self.rejected.to(device),
            again=self.again.to(device),
            liked=self.liked.to(device),
            rating=self.rating.to(device),
            earlier=self.earlier.to(device),
        )


@dataclass(frozen=True)
class Pieces:
    """Runs of events of one user each, [first, end), and which events are foretold from what is before them,
    bool [events]; one behind the end of a run may be, if it is of the same user. `since`: where the user's
    events begin."""

    events: Events
    first: Int64
    end: Int64
    foretold: Bool
    since: Int64

    def __len__(self) -> int:
        return len(self.first)

    def batch(self, chosen: Int64, multiple: int = 1) -> Batch:
        """The chosen pieces, filled to a length that is a multiple of `multiple`."""
        first, end = self.first[chosen], self.end[chosen]
        length = -(-int((end - first).max()) // multiple) * multiple
        places = first[:, None] + np.arange(length)
        inside = places < end[:, None]
        places = np.minimum(places, end[:, None] - 1)
        after = np.minimum(places + 1, len(self.events.item) - 1)
        asked = inside & self.foretold[after]
        events = self.events
        action = np.where(inside, events.action[places], 0)
        until = np.where(inside, events.until[places], KEPT)
        return Batch(
            _tensor(np.where(inside, events.item[places], NO_ITEM), torch.int64),
            _tensor(events.time[places], torch.int64),
            _tensor(action, torch.int64),
            _tensor(np.where(inside, events.weight[places], 0), torch.float32),
            _tensor(np.where(inside, events.dwell[places], 0), torch.int64),
            _tensor(until, torch.int64),
            _tensor(np.where(asked, events.item[after], NO_ITEM), torch.int64),
            _tensor(REJECTING[events.action[after]] & asked, torch.bool),
            _tensor(events.again[after] & asked, torch.bool),
            _tensor(np.where(asked, events.liked[after], UNJUDGED), torch.int64),
            _tensor(np.where(asked, events.rating[after], np.nan), torch.float32),
            _tensor(self._earlier(chosen), torch.int64),
            bool((until != KEPT).any()),
            bool(REJECTING[action].any()),
        )

    def _earlier(self, chosen: Int64) -> Int32:
        since, first = self.since[chosen], self.first[chosen]
        most = min(int((first - since).max()), EARLIER)
        places = first[:, None] - 1 - np.arange(most)
        inside = places >= since[:, None]
        return np.where(inside, self.events.item[np.where(inside, places, 0)], np.int32(NO_ITEM))

    def longest_first(self, cells: int, multiple: int = 1) -> Iterator[Int64]:
        """Which pieces go together where all are read once: of at most so many events, the fill to `multiple`
        among them, or one."""
        lengths = -(-(self.end - self.first) // multiple) * multiple
        order = np.argsort(-lengths, kind="stable")
        at = 0
        while at < len(order):
            size = max(1, cells // int(lengths[order[at]]))
            yield order[at : at + size]
            at += size

    def batches(self, size: int, seed: int) -> Iterator[Int64]:
        """Which pieces go together in training: of like length, in an order by the seed."""
        lengths = self.end - self.first
        rng = np.random.default_rng(seed)
        order = rng.permutation(len(self))
        cuts = []
        for at in range(0, len(order), size * _POOL):
            pool = order[at : at + size * _POOL]
            pool = pool[np.argsort(-lengths[pool], kind="stable")]
            cuts += [pool[start : start + size] for start in range(0, len(pool), size)]
        for place in rng.permutation(len(cuts)).tolist():
            yield cuts[place]


def _tensor(array: NDArray[np.generic], dtype: torch.dtype) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array)).to(dtype)


def training_pieces(source: Interactions, events: Events, length: int, seed: int) -> Pieces:
    """All events of all users that have another one behind them, in pieces of at most `length`.

    Where a user has more, the first cut falls by chance, so that every epoch cuts elsewhere.
    """
    rng = np.random.default_rng(seed)
    firsts, ends = [], []
    for start, stop in zip(source.starts[:-1].tolist(), (source.starts[1:] - 1).tolist(), strict=True):
        cut = start + (int(rng.integers(1, length + 1)) if stop - start > length else length)
        first = start
        while first < stop:
            firsts.append(first)
            ends.append(min(cut, stop))
            first, cut = cut, cut + length
    begins = np.array(firsts, np.int64)
    since = source.starts[source.user[begins]]
    return Pieces(events, begins, np.array(ends, np.int64), np.ones(len(source), np.bool_), since)
