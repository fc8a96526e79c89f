"""What can be told of a user: facts from both records and the catalogue, each of them checkable.

Nothing here guesses: topics and shares are those of the published interest, trends are held against chance
(`state.trends`), and items are told only where the user did something with them.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence, Set
from datetime import UTC, datetime, tzinfo
from typing import NamedTuple, Protocol

import msgspec

from state.codec import Records, decode
from state.events import ACTIONS, Action
from state.fusion import Fusion
from state.layout import FLAG_ANSWERED, FLAG_RETRACTED, MODALITY_NAMES, NEVER
from state.profile import (
    TIME_STAMP,
    TOPIC_HALF_LIFE_MS,
    TOPIC_WEIGHTS,
    Profile,
    decode_profile,
    topic_shares,
)
from state.recency import entries_of, mark_of
from state.ring import cancelled, newest_first
from state.trends import Older, Scale, Touch, Trend, scale_shares, scales, trends

TOPICS = 16
EXAMPLES = 6
"""Liked, and disliked, items that are told."""
LEAST_MASS = 0.5
"""Less than half a view is what rounding leaves of a topic."""
DAYS = 3
WEEKS_MS = 14 * 86_400_000
LEAST_EVENTS = 12
"""Fewer events, on fewer days, say nothing of when a user is about."""

LEAST_SENTIMENT = 0.1
WHOLE = 0.999
"""A dislike that weighs less is a comment (`state.signals.judged`)."""

LIKING = (Action.LIKE, Action.SAVE, Action.SHARE, Action.PURCHASE)
"""What says that an item is liked; views and clicks say that it was met."""

_LATEST = 253_000_000_000_000
"""Calendars end soon after, in the year 9999."""
_UNLIKE = ACTIONS.index(Action.UNLIKE)


class Shown(msgspec.Struct, frozen=True, gc=False):
    """An item as it can be told."""

    item_id: str
    title: str = ""
    topics: tuple[str, ...] = ()
    seen: tuple[str, ...] = ()
    """Labels of what is seen and heard in its media."""
    said: tuple[str, ...] = ()
    """What its media were put into words as: captions and transcripts."""


class Shelf(Protocol):
    """The catalogue, by what the records know of an item."""

    @property
    def topic_names(self) -> Mapping[str, str]:
        """Lower case to the name of a topic, as `state.profile.topic_shares` wants it."""
        ...

    def of_hash(self, hashed: int) -> Shown | None: ...

    def of_mark(self, mark: bytes) -> Shown | None:
        """None where no item has the mark, or more than one."""
        ...


class TopicFact(msgspec.Struct, frozen=True, omit_defaults=True):
    """A topic of the interest."""

    name: str
    share: float
    """Of all liking, 0 to 1; of a topic that is turned down, its share of all disliking."""
    events: int = 0
    """Of the latest 32, how many speak for it (against it, where it is turned down)."""
    trend: Trend = Trend.NONE
    scale: Scale = Scale.NONE
    scales: dict[Scale, float] = {}
    """Its share at each time scale."""


class ItemFact(msgspec.Struct, frozen=True, omit_defaults=True):
    """An item, and what the user did with it; the latest time in epoch milliseconds."""

    item_id: str
    title: str
    time: int
    actions: tuple[Action, ...] = ()
    """None of an item that was disliked longer ago than the latest events reach."""
    topics: tuple[str, ...] = ()
    seen: tuple[str, ...] = ()
    said: tuple[str, ...] = ()


class SearchFact(msgspec.Struct, frozen=True):
    """What was searched for, as it was typed."""

    words: str
    time: int


class CommentFact(msgspec.Struct, frozen=True, omit_defaults=True):
    """A comment, by what it was about; its words are not kept."""

    item_id: str
    title: str
    time: int
    topics: tuple[str, ...] = ()
    sentiment: float | None = None
    """-1 to 1; none where nobody judged it, or it sounds neutral."""


class Facts(msgspec.Struct, frozen=True, omit_defaults=True):
    """All that can be told of a user at the time of the latest event, weightiest or latest first."""

    version: int
    time: int
    event_count: int
    topics: tuple[TopicFact, ...] = ()
    avoided: tuple[TopicFact, ...] = ()
    """Topics with more disliking than liking."""
    modalities: dict[str, float] = {}
    """Share of attention by modality."""
    liked: tuple[ItemFact, ...] = ()
    disliked: tuple[ItemFact, ...] = ()
    searches: tuple[SearchFact, ...] = ()
    comments: tuple[CommentFact, ...] = ()
    day_parts: dict[str, float] = {}
    """Share of the latest events by part of the day, and of the week, where there are enough of them."""


class _Past(NamedTuple):
    """An event of the ring that still stands."""

    time: int
    action: Action
    mark: bytes
    item: Shown | None
    factor: float
    """By how much it weighs more or less than others of its action (`state.signals`)."""


def read_facts(
    fusion: Fusion, held: Sequence[tuple[bytes, bytes | None]], shelf: Shelf, zone: tzinfo = UTC
) -> list[Facts]:
    """Facts of users, given the fusion record and the second record of each. Raises CodecError.

    They depend on the records, the shelf and the zone alone.
    """
    if not held:
        return []
    states = [state for state, _ in held]
    readouts = fusion.read(states)
    weights = fusion.artifact.weights.action_weight.tolist()
    pasts = _pasts(decode(states, fusion.artifact.fingerprint), weights, shelf)
    return [
        _facts(
            Facts(
                int(readouts.version[place]),
                int(readouts.time_ms[place]),
                int(readouts.event_count[place]),
                modalities=_modalities(readouts.modalities[place].tolist()),
            ),
            (pasts[place], decode_profile(profile)),
            shelf,
            zone,
        )
        for place, (_, profile) in enumerate(held)
    ]


def _facts(bare: Facts, known: tuple[list[_Past], Profile], shelf: Shelf, zone: tzinfo) -> Facts:
    past, profile = known
    disliked = {
        mark: int.from_bytes(stamp, "big") for stamp, mark in entries_of(profile.disliked, TIME_STAMP)
    }
    searches = sorted(profile.searches, reverse=True)
    return msgspec.structs.replace(
        bare,
        topics=_topics(bare.time, past, profile, shelf),
        avoided=_avoided(past, profile),
        liked=_liked(past, disliked.keys()),
        disliked=_disliked(past, disliked, shelf),
        searches=tuple(SearchFact(words, time) for time, words in searches),
        comments=_comments(past, disliked.keys()),
        day_parts=_day_parts([event.time for event in past], zone),
    )


def _pasts(records: Records, weights: Sequence[float], shelf: Shelf) -> list[list[_Past]]:
    """The rings' events, newest first, without those that were taken back."""
    slots = newest_first(records["ring"])
    spent = (slots["flags"] & FLAG_ANSWERED != 0) & (slots["action"] == _UNLIKE)
    stands = (slots["time"] != NEVER) & (slots["flags"] & FLAG_RETRACTED == 0) & ~cancelled(slots) & ~spent
    return [
        [
            _Past(
                int(slot["time"]),
                ACTIONS[int(slot["action"])],
                mark_of(int(slot["item"])) if slot["item"] else b"",
                shelf.of_hash(int(slot["item"])) if slot["item"] else None,
                float(slot["weight"]) / weight if (weight := weights[int(slot["action"])]) > 0 else 1.0,
            )
            for slot in ring[kept]
        ]
        for ring, kept in zip(slots, stands, strict=True)
    ]


def _topics(now: int, past: Sequence[_Past], profile: Profile, shelf: Shelf) -> tuple[TopicFact, ...]:
    touches = [
        Touch(now - event.time, TOPIC_WEIGHTS[event.action], event.item.topics)
        for event in past
        if event.item is not None and event.item.topics and TOPIC_WEIGHTS[event.action] > 0
    ]
    older = _older(now, touches, profile)
    moves, times, shares = trends(touches, older), scales(touches, older), scale_shares(touches, older)
    support = Counter(name for touch in touches for name in set(touch.topics))
    return tuple(
        TopicFact(
            name,
            round(share, 3),
            support[name],
            moves.get(name, Trend.NONE),
            times.get(name, Scale.NONE),
            {scale: of_all[name] for scale, of_all in shares.items() if of_all.get(name, 0) > 0},
        )
        for name, share in topic_shares(profile, TOPICS, shelf.topic_names).items()
    )


def _older(now: int, touches: Sequence[Touch], profile: Profile) -> Older:
    """What the second record has of topics beyond what the ring's events gave."""
    within: dict[str, float] = defaultdict(float)
    for touch in touches:
        fade = 2.0 ** -min(touch.age_ms / TOPIC_HALF_LIFE_MS, 1_000.0)
        for name in touch.topics:
            within[name] += touch.weight * fade
    masses = {}
    for name, (liking, _) in profile.topics.items():
        mass = _mass(liking, now) - within[name]
        if mass >= LEAST_MASS:
            masses[name] = mass
    return Older(masses, max((touch.age_ms for touch in touches), default=0))


def _avoided(past: Sequence[_Past], profile: Profile) -> tuple[TopicFact, ...]:
    against = Counter(
        name
        for event in past
        if event.item is not None and TOPIC_WEIGHTS[event.action] < 0
        for name in set(event.item.topics)
    )
    top = max((disliking for _, disliking in profile.topics.values()), default=0.0)
    weights = {
        name: 2.0 ** (disliking - top) - 2.0 ** (liking - top)
        for name, (liking, disliking) in profile.topics.items()
        if disliking > liking
    }
    total = sum(weights.values())
    ordered = sorted(weights, key=lambda name: (-weights[name], name))
    return tuple(TopicFact(name, round(weights[name] / total, 3), against[name]) for name in ordered)


def _liked(past: Sequence[_Past], disliked: Set[bytes]) -> tuple[ItemFact, ...]:
    """Those that were liked latest come first; an item that was turned down since is none."""
    found: dict[str, ItemFact] = {}
    turned_down = set(disliked)
    for event in past:
        if TOPIC_WEIGHTS[event.action] < 0:
            turned_down.add(event.mark)
        elif event.item is not None and event.action in LIKING and event.mark not in turned_down:
            _tell(found, event, event.item)
    return tuple(found.values())[:EXAMPLES]


def _disliked(past: Sequence[_Past], disliked: Mapping[bytes, int], shelf: Shelf) -> tuple[ItemFact, ...]:
    found: dict[str, ItemFact] = {}
    for event in past:
        if event.item is not None and event.action is Action.DISLIKE and event.mark in disliked:
            _tell(found, event, event.item)
    for mark, time in sorted(disliked.items(), key=lambda entry: (-entry[1], entry[0])):
        item = shelf.of_mark(mark) if len(found) < EXAMPLES else None
        if item is not None and item.item_id not in found:
            found[item.item_id] = _item_fact(item, time)
    return tuple(found.values())[:EXAMPLES]


def _tell(found: dict[str, ItemFact], event: _Past, item: Shown) -> None:
    known = found.get(item.item_id)
    if known is None:
        found[item.item_id] = _item_fact(item, event.time, (event.action,))
    elif event.action not in known.actions:
        found[item.item_id] = msgspec.structs.replace(known, actions=(*known.actions, event.action))


def _item_fact(item: Shown, time: int, actions: tuple[Action, ...] = ()) -> ItemFact:
    return ItemFact(item.item_id, item.title, time, actions, item.topics, item.seen, item.said)


def _comments(past: Sequence[_Past], disliked: Set[bytes]) -> tuple[CommentFact, ...]:
    """A comment against its item lies in the ring as a dislike, though the item was never disliked."""
    found = []
    for event in past:
        if event.item is None:
            continue
        if event.action is Action.COMMENT:
            sentiment = event.factor - 1.0
        elif event.action is Action.DISLIKE and event.mark not in disliked and event.factor < WHOLE:
            sentiment = -event.factor
        else:
            continue
        item = event.item
        told = round(sentiment, 2) if abs(sentiment) >= LEAST_SENTIMENT else None
        found.append(CommentFact(item.item_id, item.title, event.time, item.topics, told))
    return tuple(found[:EXAMPLES])


def _modalities(shares: Sequence[float]) -> dict[str, float]:
    named = dict(zip(MODALITY_NAMES, shares, strict=True))
    ordered = sorted(named, key=lambda name: (-named[name], name))
    return {name: round(named[name], 3) for name in ordered if round(named[name], 3) > 0}


def _day_parts(times: Sequence[int], zone: tzinfo) -> dict[str, float]:
    times = [time for time in times if 0 <= time <= _LATEST]
    moments = [datetime.fromtimestamp(time / 1000, zone) for time in times]
    if len(moments) < LEAST_EVENTS or len({moment.date() for moment in moments}) < DAYS:
        return {}
    parts = Counter(_part(moment.hour) for moment in moments)
    if max(times) - min(times) >= WEEKS_MS:
        parts.update("weekends" if moment.weekday() >= 5 else "weekdays" for moment in moments)
    return {part: round(count / len(moments), 3) for part, count in sorted(parts.items())}


def _part(hour: int) -> str:
    if 5 <= hour < 12:
        return "morning"
    if 12 <= hour < 17:
        return "afternoon"
    return "evening" if 17 <= hour < 22 else "night"


def _mass(height: float, now: int) -> float:
    return math.exp2(max(min(height - now / TOPIC_HALF_LIFE_MS, 1_000.0), -1_000.0))
