"""How a user's topics move: their shares at several time scales, and whether they rise or fade.

What is known one by one are the events of the ring; of older ones the sum by topic is known (the second
record's, less what the ring's events gave). Both are weighed as the second record weighs actions, fading with
its half-life of a week.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple

from state.layout import HALF_LIVES_SECONDS
from state.profile import TOPIC_HALF_LIFE_MS

HOUR_MS = 3_600_000
DAY_MS = 86_400_000

RECENT = 12
"""So many of the latest events are held against all before them."""
LEAST = 5.0
"""Fewer events on either side, weighed, say nothing of a trend."""
SURE = 3.0
"""Standard errors between the two shares at which a topic moves. 1.96 would do for events that come by chance
alone, yet what people do comes in runs (docs/decisions/0021)."""
STILL = 1.0
"""Standard errors within which it does not."""
SMALL = 0.1
"""A share that is smaller than this on the side where it is larger makes no trend."""
MOST = 0.8
"""So much of a topic's weight must lie within a time scale for the topic to be of that scale."""
SOME = 0.2


class Trend(StrEnum):
    """How a topic's share among the latest events differs from its share before."""

    NONE = ""
    RISING = "rising"
    STEADY = "steady"
    FADING = "fading"


class Scale(StrEnum):
    """The time that a topic belongs to."""

    NONE = ""
    MINUTES = "minutes"
    TODAY = "today"
    LATELY = "lately"
    ALWAYS = "always"


HALF_LIVES: Mapping[Scale, float] = {
    Scale.MINUTES: HALF_LIVES_SECONDS[1],
    Scale.TODAY: HALF_LIVES_SECONDS[3],
    Scale.LATELY: HALF_LIVES_SECONDS[5],
    Scale.ALWAYS: HALF_LIVES_SECONDS[7],
}
"""Seconds: the half-lives of four of the state's heads."""

_BANDS = ((Scale.MINUTES, HOUR_MS), (Scale.TODAY, DAY_MS), (Scale.LATELY, 14 * DAY_MS))


class Touch(NamedTuple):
    """An event that speaks for its topics."""

    age_ms: int
    """At the time of the latest event."""
    weight: float
    topics: tuple[str, ...]


class Older(NamedTuple):
    """What is left of events that are not known one by one, all of them at least so old."""

    masses: Mapping[str, float]
    age_ms: int


class _Side(NamedTuple):
    """Weight by topic, of all topics, and how many events of equal weight would say as much (Kish)."""

    masses: Mapping[str, float]
    total: float
    size: float


def trends(touches: Sequence[Touch], older: Older) -> dict[str, Trend]:
    """Which topics rise, stay or fade, given events newest first; nothing of topics that are too rare.

    With p the topic's share among the RECENT latest events and q its share before, of n and m events, z is
    (p - q) / sqrt(s (1 - s) (1/n + 1/m)), where s is the share in both together.
    """
    new, old = _side(touches[:RECENT]), _side(touches[RECENT:])
    old = _with(old, older, (new.total + old.total) / max(1.0, new.size + old.size))
    if min(new.size, old.size) < LEAST:
        return {}
    found = {name: _moves(name, new, old) for name in new.masses.keys() | old.masses.keys()}
    return {name: found[name] for name in sorted(found) if found[name]}


def scale_shares(touches: Sequence[Touch], older: Older) -> dict[Scale, dict[str, float]]:
    """Shares of the topics at each half-life, to three decimals.

    What is older than the ring weighs as though it were of the age of the ring's oldest event, at most.
    """
    shares = {}
    for scale, half_life in HALF_LIVES.items():
        masses: dict[str, float] = defaultdict(float)
        for touch in touches:
            _add(masses, touch, touch.weight * _fade(touch.age_ms, half_life))
        faded = _fade(older.age_ms, half_life) / max(_fade(older.age_ms, HALF_LIVES[Scale.LATELY]), 1e-300)
        for name, mass in older.masses.items():
            masses[name] += mass * min(faded, 1.0)
        total = sum(masses.values())
        shares[scale] = {name: round(mass / total, 3) for name, mass in masses.items()} if total > 0 else {}
    return shares


def scales(touches: Sequence[Touch], older: Older) -> dict[str, Scale]:
    """The time of each topic that is another than that of the user's events altogether.

    A topic is of the shortest scale (an hour, a day, two weeks) within which MOST of its weight lies; it is
    of ALWAYS where SOME of it is older than two weeks, and SOME newer.
    """
    by_topic: dict[str, list[float]] = {}
    everything = [0.0] * (len(_BANDS) + 1)
    parts = [(touch.age_ms, dict.fromkeys(touch.topics, _week(touch))) for touch in touches]
    for age, masses in [*parts, (older.age_ms, older.masses)]:
        band = _band(age)
        for name, mass in masses.items():
            by_topic.setdefault(name, [0.0] * len(everything))[band] += mass
            everything[band] += mass
    usual = _reach(everything)
    found = {}
    for name in sorted(by_topic):
        scale = _scale(by_topic[name], usual)
        if scale:
            found[name] = scale
    return found


def _side(touches: Iterable[Touch]) -> _Side:
    masses: dict[str, float] = defaultdict(float)
    weights = []
    for touch in touches:
        weights.append(_week(touch))
        _add(masses, touch, weights[-1])
    squares = sum(weight * weight for weight in weights)
    return _Side(masses, sum(masses.values()), sum(weights) ** 2 / squares if squares > 0 else 0.0)


def _with(side: _Side, older: Older, weight: float) -> _Side:
    """The side with what is older, whose events are taken to weigh so much on average."""
    names = side.masses.keys() | older.masses.keys()
    masses = {name: side.masses.get(name, 0.0) + older.masses.get(name, 0.0) for name in names}
    rest = sum(older.masses.values())
    return _Side(masses, side.total + rest, side.size + rest / max(weight, 1e-9))


def _add(masses: dict[str, float], touch: Touch, weight: float) -> None:
    for name in touch.topics:
        masses[name] += weight


def _week(touch: Touch) -> float:
    return touch.weight * _fade(touch.age_ms, TOPIC_HALF_LIFE_MS / 1000)


def _fade(age_ms: int, half_life_seconds: float) -> float:
    return math.exp2(-min(max(age_ms, 0) / 1000 / half_life_seconds, 1_000.0))


def _moves(name: str, new: _Side, old: _Side) -> Trend:
    now = new.masses.get(name, 0.0) / new.total if new.total else 0.0
    before = old.masses.get(name, 0.0) / old.total if old.total else 0.0
    if max(now, before) < SMALL:
        return Trend.NONE
    pooled = min((now * new.size + before * old.size) / (new.size + old.size), 1.0)
    error = math.sqrt(pooled * (1 - pooled) * (1 / new.size + 1 / old.size))
    moved = (now - before) / error if error > 0 else 0.0
    if moved >= SURE:
        return Trend.RISING
    if moved <= -SURE:
        return Trend.FADING
    return Trend.STEADY if abs(moved) <= STILL and min(now, before) >= SMALL else Trend.NONE


def _band(age_ms: int) -> int:
    return next((place for place, (_, limit) in enumerate(_BANDS) if age_ms <= limit), len(_BANDS))


def _reach(bands: Sequence[float]) -> int:
    """The shortest band within which MOST lies."""
    total, within = sum(bands), 0.0
    for place, mass in enumerate(bands):
        within += mass
        if within >= MOST * total:
            return place
    return len(bands) - 1


def _scale(bands: Sequence[float], usual: int) -> Scale:
    total = sum(bands)
    if bands[-1] >= SOME * total and total - bands[-1] >= SOME * total:
        return Scale.ALWAYS
    reach = _reach(bands)
    return _BANDS[reach][0] if reach < usual else Scale.NONE
