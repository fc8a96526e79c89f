"""What a language has: the wording of the template, and the words that a checked sentence may be made of."""

from collections.abc import Callable, Mapping, Sequence
from enum import Enum, auto
from typing import NamedTuple

from encoders.language.base import DayPart, Kind, Scale, Trend


class Cue(Enum):
    """What a word does to the names around it."""

    PLAIN = auto()
    """Nothing: it claims nothing."""
    BREAK = auto()
    """Another part of the sentence begins, with a verb of its own perhaps."""
    POSITIVE = auto()
    NEGATIVE = auto()
    NEGATION = auto()
    """Turns what comes next around."""
    RISING = auto()
    STEADY = auto()
    FADING = auto()
    MINUTES = auto()
    TODAY = auto()
    LATELY = auto()
    ALWAYS = auto()
    TOP = auto()
    """The name is said to come first, or to make the most."""
    LESSER = auto()
    """The name is said to come after the first."""
    SEARCH = auto()
    COMMENT = auto()
    TEXT = auto()
    IMAGE = auto()
    AUDIO = auto()
    VIDEO = auto()
    MORNING = auto()
    AFTERNOON = auto()
    EVENING = auto()
    NIGHT = auto()
    WEEKDAYS = auto()
    WEEKENDS = auto()
    NUMBER = auto()


TRENDS: Mapping[Cue, Trend] = {
    Cue.RISING: Trend.RISING,
    Cue.STEADY: Trend.STEADY,
    Cue.FADING: Trend.FADING,
}
SCALES: Mapping[Cue, Scale] = {
    Cue.MINUTES: Scale.MINUTES,
    Cue.TODAY: Scale.TODAY,
    Cue.LATELY: Scale.LATELY,
    Cue.ALWAYS: Scale.ALWAYS,
}
FIXED: Mapping[Cue, tuple[Kind, str]] = {
    Cue.TEXT: (Kind.MODALITY, "text"),
    Cue.IMAGE: (Kind.MODALITY, "image"),
    Cue.AUDIO: (Kind.MODALITY, "audio"),
    Cue.VIDEO: (Kind.MODALITY, "video"),
    Cue.MORNING: (Kind.TIME, DayPart.MORNING.value),
    Cue.AFTERNOON: (Kind.TIME, DayPart.AFTERNOON.value),
    Cue.EVENING: (Kind.TIME, DayPart.EVENING.value),
    Cue.NIGHT: (Kind.TIME, DayPart.NIGHT.value),
    Cue.WEEKDAYS: (Kind.TIME, DayPart.WEEKDAYS.value),
    Cue.WEEKENDS: (Kind.TIME, DayPart.WEEKENDS.value),
}
"""Words that name a modality or a time of day, whose statements have no text of their own."""

Key = tuple[str, ...]
"""Units in a row: words without their endings, and single Han characters."""


class Tongue(NamedTuple):
    """One language, as its TOML file beside this one has it."""

    code: str
    lexicon: Mapping[Key, Cue]
    """Words and phrases in units, and what they do."""
    plain_units: frozenset[str]
    """Units of names that need not be repeated with them, such as articles."""
    fold: Callable[[str], str]
    """A word of letters to its unit."""
    most_characters: int
    """The longest sentence that is kept."""
    wording: Mapping[str, Sequence[str]]
    """Per key of the template the ways to say it, with gaps in braces."""
    fixed: Mapping[str, str]
    """What modalities and times of day are called."""
    quotes: tuple[str, str]
    comma: str
    final: str
    """Between the last two of several names."""
    quote_topics: bool
