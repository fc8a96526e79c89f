"""The public records, JSON in UTF-8. Unknown fields are ignored. The schemas in docs/ are made from these."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

MAX_ID_LENGTH = 512

Id = Annotated[str, Meta(min_length=1, max_length=MAX_ID_LENGTH)]
Timestamp = int | float | str
"""Epoch milliseconds, or RFC 3339 text."""
ModalityName = Literal["text", "image", "audio", "video"]


class MediaReference(msgspec.Struct, omit_defaults=True):
    """One medium: exactly one of `uri`, `text` and `item_id`."""

    modality: ModalityName | None = None
    uri: str | None = None
    text: str | None = None
    item_id: Id | None = None
    sha256: Annotated[str, Meta(pattern="^[0-9a-fA-F]{64}$")] | None = None


class Interaction(msgspec.Struct, omit_defaults=True):
    """What a user did, on `interactions`, keyed by user_id. At least one of item_id, text and media."""

    user_id: Id
    action: str
    timestamp: Timestamp
    event_id: Id | None = None
    item_id: Id | None = None
    value: float | None = None
    dwell_seconds: Annotated[float, Meta(ge=0)] | None = None
    watched_fraction: Annotated[float, Meta(ge=0, le=1)] | None = None
    text: str | None = None
    media: list[MediaReference] = []
    context: dict[str, Any] = {}
    """Passed on to the outputs that the event causes; at most 4,096 bytes of JSON."""


class Item(msgspec.Struct, omit_defaults=True):
    """Something to be liked and recommended, on `items`, keyed by item_id. A null value withdraws it."""

    item_id: Id
    title: str = ""
    description: str = ""
    tags: list[str] = []
    categories: list[str] = []
    media: list[MediaReference] = []
    published_at: Timestamp | None = None
    expires_at: Timestamp | None = None
    available: bool = True
    attributes: dict[str, str | float | bool | None] = {}


def fields_of(record: type[Interaction] | type[Item]) -> tuple[str, ...]:
    """Names of its fields, and of those of its media as `media.uri`."""
    return (*record.__struct_fields__, *(f"media.{name}" for name in MediaReference.__struct_fields__))


class Head(msgspec.Struct, gc=False):
    """Interest at one time scale. `half_life_seconds` is null for the head that never forgets."""

    half_life_seconds: float | None
    weight: float
    vector: list[float]


class Interest(msgspec.Struct, omit_defaults=True, gc=False):
    """A user's interests, on `interests`, keyed by user_id. Upsert: the highest version holds."""

    user_id: str
    version: int
    timestamp: int
    model: str
    vector: list[float]
    heads: list[Head]
    topics: dict[str, float]
    modalities: dict[str, float]
    event_count: int
    caused_by: list[str]
    as_of: dict[str, int]
    """Raw partition to the raw offset up to which (exclusive) the interest is made."""
    as_of_topic: str = ""
    """Id of the topic that `as_of` counts in: a topic that was made anew has another, and starts again."""
    context: dict[str, Any] | None = None
    """Of the last event that caused it and has one."""


class Reason(msgspec.Struct, omit_defaults=True):
    """Why an item is recommended: an item of the user's own past, topics that both share, or a strategy."""

    item_id: str | None = None
    """Where a strategy is named, the item that this one followed upon with other users."""
    topics: list[str] = []
    strategy: str = ""
    """Of the strategies that are blended, one that speaks for the item."""
    share: float = 0.0
    """How much of the score is due to the strategy, 0 to 1."""


class RecommendedItem(msgspec.Struct, omit_defaults=True, gc=False):
    """One place of a slate. `source` is one of: interest, head, trending, new, content, collaborative, liked,
    explored, pinned."""

    item_id: str
    score: float
    rank: int
    source: str
    reasons: list[Reason] = []
    propensity: float | None = None
    """Of what is explored: how likely it was to be drawn."""


class Recommendation(msgspec.Struct, omit_defaults=True, gc=False):
    """A user's slate, on `recommendations`, keyed by user_id. Upsert: the highest version holds."""

    user_id: str
    version: int
    timestamp: int
    model: str
    items: list[RecommendedItem]
    caused_by: list[str]
    context: dict[str, Any] | None = None
    """Of the last event that caused it and has one."""


class UserCommand(msgspec.Struct, omit_defaults=True):
    """What to do about a user, on `user-commands`, keyed by user_id: forget it, or merge it `into` another.

    It means what the user did up to `timestamp`, which is the broker's time of the record where it is absent.
    """

    command: Literal["forget", "merge"]
    user_id: Id
    timestamp: Timestamp | None = None
    command_id: Id | None = None
    into: Id | None = None


Refused = Literal["merged_later", "forgotten_later", "into_forgotten_later"]
"""Why a command has no effect: the user became part of `into`, or of another, by a later merge; the user was
forgotten as of a later time; so was `into`, and with it what the user did."""


class UserReceipt(msgspec.Struct, omit_defaults=True):
    """A command is done, on `user-receipts`, keyed by user_id."""

    command_id: str
    command: Literal["forget", "merge"]
    user_id: str
    timestamp: int
    """When it was done, epoch milliseconds."""
    found: bool
    """Whether anything was held: of the user, or where `into` is forgotten as well, of that one."""
    into: str | None = None
    """Whose part the user is now; of a forget, whose part it had become: that one is forgotten, too."""
    refused: Refused | None = None
    """Why it was not done, where it was not."""
    lapsed: list[str] = []
    """Old ids of `into` that are followed to it no more, since it has too many."""


class ItemVector(msgspec.Struct, omit_defaults=True, gc=False):
    """An item in the space of the interests, on `item-vectors`, keyed by item_id.

    Its vector is of unit length, or all zeros where the item has none. It can be compared with vectors of
    interests whose `model` is the same.
    """

    item_id: str
    model: str
    vector: list[float]
    title: str = ""
    categories: list[str] = []
    tags: list[str] = []
    available: bool = True
    published_at: int | None = None
    expires_at: int | None = None


class DescriptionSentence(msgspec.Struct, gc=False):
    """A sentence of a description. `cites` are ids of the facts that it rests on."""

    text: str
    cites: list[str]


class DescriptionFact(msgspec.Struct, omit_defaults=True, gc=False):
    """A fact that a description cites. `kind` is one of: topic, trend, modality, liked, disliked, search,
    keyword, sentiment, time."""

    id: str
    kind: str
    text: str
    detail: list[str] = []
    weight: float = 0.0
    trend: str = ""
    """rising, steady or fading."""
    scale: str = ""
    """minutes, today, lately or always."""


class InterestDescription(msgspec.Struct, omit_defaults=True, gc=False):
    """A user's interests in words, on `interest-descriptions`, keyed by user_id. Upsert: the latest holds.

    It is written when the interest has changed enough, not with each version.
    """

    user_id: str
    version: int
    """Of the interest that is described."""
    timestamp: int
    """Of the latest event that it knows, epoch milliseconds."""
    written: int
    """Epoch milliseconds."""
    language: str
    """A code of ISO 639-1."""
    model: str
    """Who wrote it: `template`, or the name of a language model."""
    summary: str
    """The sentences as one text."""
    sentences: list[DescriptionSentence]
    keywords: list[str]
    """Words of the user's own."""
    tags: list[str]
    """Topics, the weightiest first."""
    facts: list[DescriptionFact]
    interest_model: str
    """`model` of the interest."""
    vector: list[float]
    """Of the interest that is described: its distance from the present one tells how stale the words are."""
    topics: list[str]
    """Leading topics of the interest that is described."""
    digest: str
    """The same where language and facts are the same, as hexadecimal digits."""
    rejected: dict[str, int] = {}
    """Sentences, keywords and tags that the check dropped, by reason."""
