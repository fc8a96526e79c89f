"""What is published of one user: interest, slate and description as any consumer reads them."""

import logging
from typing import TypeVar

import msgspec

from streams.errors import TopicError
from streams.interests.identity import user_topics
from streams.latest import latest
from streams.raw import RawRecord
from streams.reading import homes, whole
from streams.records import Interest, InterestDescription, Item, Recommendation
from streams.settings import Settings

TITLES_SECONDS = 10.0
RecordT = TypeVar("RecordT")

_log = logging.getLogger(__name__)


class Published(msgspec.Struct):
    """The latest of each; null where there is none."""

    user_id: str
    interest: Interest | None = None
    recommendation: Recommendation | None = None
    description: InterestDescription | None = None
    titles: dict[str, str] = {}
    """Of the items that the slate and its reasons name, as far as `items` has them."""

    @property
    def anything(self) -> bool:
        return any(each is not None for each in (self.interest, self.recommendation, self.description))


def read_published(settings: Settings, user_id: str) -> Published:
    """As of now, from the user's own partition of each topic. Raises TopicError."""
    names, user = settings.topics, user_id.encode()
    topics = user_topics(settings)
    found = latest(settings, homes(settings, topics, user), {topic: {user} for topic in topics})
    slate = _decoded(found.get((names.recommendations, user)), Recommendation)
    return Published(
        user_id,
        _decoded(found.get((names.interests, user)), Interest),
        slate,
        _decoded(found.get((names.interest_descriptions, user)), InterestDescription),
        {} if slate is None else _titles(settings, slate),
    )


def _titles(settings: Settings, slate: Recommendation) -> dict[str, str]:
    """Items may lie in any partition: who sends them chooses it."""
    topic = settings.topics.items
    named = {item.item_id for item in slate.items}
    named |= {reason.item_id for item in slate.items for reason in item.reasons if reason.item_id}
    keys = {item_id.encode() for item_id in named}
    try:
        found = latest(settings, whole(settings, topic, settled=False), {topic: keys}, TITLES_SECONDS)
    except TopicError as error:
        _log.warning("no titles: %s", error)
        return {}
    items = (_item(record) for record in found.values())
    return {item.item_id: item.title for item in items if item is not None and item.title}


def _item(record: RawRecord) -> Item | None:
    """None for one that is withdrawn, and for what the encode worker set aside."""
    try:
        return None if record.value is None else msgspec.json.decode(record.value, type=Item)
    except (msgspec.MsgspecError, ValueError):
        return None


def _decoded(record: RawRecord | None, kind: type[RecordT]) -> RecordT | None:
    if record is None or record.value is None:
        return None
    try:
        return msgspec.json.decode(record.value, type=kind)
    except (msgspec.MsgspecError, ValueError) as error:
        place = f"{record.topic}-{record.partition}@{record.offset}"
        raise TopicError(f"{place}: no {kind.__name__.lower()} of ours: {error}") from error
