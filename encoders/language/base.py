"""What goes in and out of every writer of descriptions.

Statements are all that a writer may speak of. The caller makes them from what a user did; a description's
sentences name the ids of the statements that they rest on.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import Protocol

import msgspec

from encoders.errors import LanguageError


class Kind(StrEnum):
    """What a statement is about, and so how `text` and `weight` are meant."""

    TOPIC = "topic"
    """`text` is a tag or category, `weight` its share of the interest, 0 to 1; below 0 it is disliked."""
    TREND = "trend"
    """A topic once more, for its `trend` alone."""
    MODALITY = "modality"
    """`text` is `text`, `image`, `audio` or `video`, `weight` its share of the attention."""
    LIKED = "liked"
    """`text` is an item's title, `detail` its topics and what is seen or heard in it."""
    DISLIKED = "disliked"
    SEARCH = "search"
    """`text` is what was searched for."""
    KEYWORD = "keyword"
    """`text` is a word or phrase from searches, comments or shared texts."""
    SENTIMENT = "sentiment"
    """`text` is what comments were about (a topic or title), `weight` how they sound, -1 to 1."""
    TIME = "time"
    """`text` is a member of DayPart, `weight` its share of what the user did."""


class Trend(StrEnum):
    """How a topic's share moves from longer time scales to shorter ones."""

    NONE = ""
    RISING = "rising"
    STEADY = "steady"
    FADING = "fading"


class Scale(StrEnum):
    """The time that a statement speaks of, from a head of minutes to one that forgets nothing."""

    NONE = ""
    MINUTES = "minutes"
    TODAY = "today"
    LATELY = "lately"
    ALWAYS = "always"


class DayPart(StrEnum):
    """When a user is about."""

    MORNING = "morning"
    AFTERNOON = "afternoon"
    EVENING = "evening"
    NIGHT = "night"
    WEEKDAYS = "weekdays"
    WEEKENDS = "weekends"


class Statement(msgspec.Struct, frozen=True):
    """One fact that may be told."""

    id: str
    """Unique within its request, such as `t1` or `l2`; what sentences cite."""
    kind: Kind
    text: str
    """The name or title as users wrote it: anything may stand in it."""
    detail: tuple[str, ...] = ()
    """Topics, labels, captions or transcripts of an item, the surest first: anything may stand in them."""
    weight: float = 0.0
    trend: Trend = Trend.NONE
    scale: Scale = Scale.NONE


class Request(msgspec.Struct, frozen=True):
    """What one user's description is to be written from."""

    user: str
    """Decides which of several wordings a template takes, and goes into no prompt."""
    language: str
    """A code of ISO 639-1, such as `en` or `zh`."""
    statements: tuple[Statement, ...]
    """The weightiest of each kind first."""


class Sentence(msgspec.Struct, frozen=True):
    """One sentence of a description and the ids of the statements that it rests on."""

    text: str
    cites: tuple[str, ...]


class Rejected(msgspec.Struct, frozen=True):
    """What a writer wrote and the check dropped. `reason` is one of REJECTIONS."""

    text: str
    reason: str


REJECTIONS = (
    "unknown-name",
    "unknown-word",
    "number",
    "polarity",
    "trend",
    "rank",
    "language",
    "markup",
    "instruction",
    "personal",
    "nothing-said",
    "repeated",
    "too-long",
)
"""Why a sentence, keyword or tag is dropped, as counted in the metrics."""


class Description(msgspec.Struct, frozen=True):
    """What was written of one user."""

    sentences: tuple[Sentence, ...]
    keywords: tuple[str, ...]
    """Words of the user's own: searched for, commented, shared."""
    tags: tuple[str, ...]
    """Names of topics, weightiest first."""
    model: str
    """Name of the writer that wrote it."""
    language: str
    rejected: tuple[Rejected, ...] = ()
    fallback: str = ""
    """Why the template wrote instead of the configured model: one of `errors.LANGUAGE_REASONS`, `open` or
    `ungrounded`; empty where the configured writer wrote."""
    fallback_detail: str = ""
    """What went wrong then, for people: it may hold what a service answered."""

    @property
    def summary(self) -> str:
        """The sentences as one text."""
        return _BETWEEN.get(self.language, " ").join(sentence.text for sentence in self.sentences)


_BETWEEN = {"zh": "", "ja": ""}


class Writer(Protocol):
    """Writes descriptions: n requests to n descriptions or errors. Never fails for one request alone."""

    @property
    def name(self) -> str: ...

    @property
    def version(self) -> str:
        """Changes whenever the words would change."""
        ...

    def write(self, requests: Sequence[Request]) -> list[Description | LanguageError]:
        """Blocks for at most what its settings allow for so many requests."""
        ...

    def close(self) -> None:
        """Lets connections and models go."""
        ...
