"""Facts to what a writer may say: statements with ids, the language, and what tells equal ones apart."""

from collections.abc import Sequence
from hashlib import blake2b

import msgspec

from encoders.language.base import DayPart, Kind, Request, Scale, Statement, Trend
from state.facts import CommentFact, Facts, ItemFact, TopicFact

TOPICS = 5
LEAST_SHARE = 0.08
"""Of a topic that is told of."""
LEAST_EVENTS = 2
"""One event may be a chance."""
AVOIDED = 2
AVOIDED_SHARE = 0.2
EXAMPLES = 3
SEARCHES = 3
MODALITY_SHARE = 0.2
DAY_SHARE = 0.6
"""A part of the day is told of that has most of the events."""
RING = 32
_HAN = range(0x4E00, 0xA000)
_encoder = msgspec.msgpack.Encoder()


def statements_of(facts: Facts) -> tuple[Statement, ...]:
    """What may be told, the weightiest of each kind first. Ids are a letter for the kind and a number."""
    topics = [fact for fact in facts.topics if _counts(fact, facts)][:TOPICS]
    avoided = [fact for fact in facts.avoided if fact.share >= AVOIDED_SHARE and fact.events >= LEAST_EVENTS]
    told = [_topic(f"t{number}", fact, 1.0) for number, fact in enumerate(topics, 1)]
    told += [_topic(f"n{number}", fact, -1.0) for number, fact in enumerate(avoided[:AVOIDED], 1)]
    told += _trends(facts)
    told += _of_their_time(topics)
    told += [
        Statement(f"m{number}", Kind.MODALITY, name, weight=share)
        for number, (name, share) in enumerate(facts.modalities.items(), 1)
        if share >= MODALITY_SHARE
    ]
    told += _items("l", Kind.LIKED, facts.liked)
    told += _items("d", Kind.DISLIKED, facts.disliked)
    told += _searches(facts)
    told += _sentiments(facts.comments)
    told += [
        Statement(f"h{number}", Kind.TIME, part, weight=share)
        for number, (part, share) in enumerate(facts.day_parts.items(), 1)
        if share >= DAY_SHARE and part in _DAY_PARTS
    ]
    return tuple(told)


def language_of(facts: Facts, asked: str, allowed: Sequence[str]) -> str:
    """The user's language: as the application says, else as the user searches, else the first allowed one.

    Writing tells Chinese alone: what is written in Latin letters may be of any language.
    """
    code = asked.replace("_", "-").partition("-")[0].lower()
    if code in allowed:
        return code
    letters = [ord(letter) for search in facts.searches for letter in search.words if letter.isalpha()]
    # A Chinese word is about as long as a third of an English one.
    if "zh" in allowed and 3 * sum(letter in _HAN for letter in letters) > len(letters):
        return "zh"
    return allowed[0]


def digest_of(request: Request, writer: str) -> bytes:
    """16 bytes that are the same where the same writer would say the same of the same facts.

    Shares are told in words, so that they count to a tenth; who the user is does not count.
    """
    rounded = [
        msgspec.structs.replace(statement, weight=round(statement.weight, 1))
        for statement in request.statements
    ]
    told = _encoder.encode((request.language, writer, rounded))
    return blake2b(told, digest_size=16).digest()


_DAY_PARTS = frozenset(DayPart)


def _counts(fact: TopicFact, facts: Facts) -> bool:
    # Of older events none is known any more, yet their weight is.
    known = fact.events >= LEAST_EVENTS or facts.event_count > RING
    return known and fact.share >= LEAST_SHARE


def _topic(name: str, fact: TopicFact, sign: float) -> Statement:
    trend = Trend(fact.trend.value)
    return Statement(name, Kind.TOPIC, fact.name, weight=sign * fact.share, trend=trend)


def _trends(facts: Facts) -> list[Statement]:
    """A topic that has faded away may be too small to be told of otherwise."""
    moving = [fact for fact in facts.topics if fact.trend and fact.share >= LEAST_SHARE / 2]
    return [
        Statement(f"r{number}", Kind.TREND, fact.name, weight=fact.share, trend=Trend(fact.trend.value))
        for number, fact in enumerate(moving[:TOPICS], 1)
    ]


def _of_their_time(topics: Sequence[TopicFact]) -> list[Statement]:
    """Topics once more that belong to a time of their own, with their share at that time scale."""
    timely = [fact for fact in topics if fact.scale in fact.scales]
    return [
        Statement(
            f"a{number}", Kind.TOPIC, fact.name, weight=fact.scales[fact.scale], scale=Scale(fact.scale.value)
        )
        for number, fact in enumerate(timely, 1)
    ]


def _items(letter: str, kind: Kind, items: Sequence[ItemFact]) -> list[Statement]:
    """Items without a title cannot be named."""
    named = [item for item in items if item.title.strip()][:EXAMPLES]
    return [
        Statement(f"{letter}{number}", kind, item.title, (*item.topics, *item.seen, *item.said))
        for number, item in enumerate(named, 1)
    ]


def _searches(facts: Facts) -> list[Statement]:
    words = list({search.words.casefold(): search.words for search in reversed(facts.searches)}.values())
    return [
        Statement(f"s{number}", Kind.SEARCH, each) for number, each in enumerate(words[::-1][:SEARCHES], 1)
    ]


def _sentiments(comments: Sequence[CommentFact]) -> list[Statement]:
    """One for each item, as its latest comment sounds."""
    found: dict[str, Statement] = {}
    for fact in comments:
        if fact.sentiment is not None and fact.title.strip() and fact.title not in found:
            number = len(found) + 1
            found[fact.title] = Statement(f"c{number}", Kind.SENTIMENT, fact.title, weight=fact.sentiment)
    return list(found.values())
