"""What the words of events say: how comments sound, and what texts are about."""

import logging
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from state.events import ACTIONS, Action
from streams.encode.parsing import Event
from streams.metrics import COMMENTS

_COMMENT = ACTIONS.index(Action.COMMENT)
_TELLING = frozenset({_COMMENT, ACTIONS.index(Action.SEARCH), ACTIONS.index(Action.SHARE)})
_AGAINST, _FOR = -0.25, 0.25

_log = logging.getLogger(__name__)


class Judge(Protocol):
    """`encoders.language.sentiment.Sentiment`, as far as this worker needs it."""

    def score(self, texts: Sequence[str]) -> list[float]: ...


class Finder(Protocol):
    """`encoders.language.keywords.Keywords`, as far as this worker needs it."""

    def find(self, texts: Sequence[str]) -> list[tuple[str, ...]]: ...


class Words(NamedTuple):
    """What was read of a batch, by text."""

    sounds: Mapping[str, float]
    about: Mapping[str, tuple[str, ...]]

    def sentiment_of(self, event: Event) -> float | None:
        """Of a comment that was judged."""
        text = event.interaction.text
        return self.sounds.get(text) if text is not None and event.action == _COMMENT else None

    def topics_of(self, event: Event) -> tuple[str, ...]:
        """Keywords of a search, comment or shared text."""
        text = event.interaction.text
        return self.about.get(text, ()) if text is not None and event.action in _TELLING else ()


NOTHING_READ = Words({}, {})


class WordReader:
    """Reads the words of a batch at once. Each part may be missing."""

    def __init__(self, judge: Judge | None = None, finder: Finder | None = None) -> None:
        self._judge = judge
        self._finder = finder

    def read(self, events: Sequence[Event]) -> Words:
        """Every different text once. What fails leaves the events as they are without it."""
        comments = _texts(events, frozenset({_COMMENT})) if self._judge is not None else []
        telling = _texts(events, _TELLING) if self._finder is not None else []
        if not comments and not telling:
            return NOTHING_READ
        try:
            sounds = self._judge.score(comments) if self._judge is not None and comments else []
            about = self._finder.find(telling) if self._finder is not None and telling else []
        except Exception:
            # A comment counts without its sentiment as well, and must not stop what comes after it.
            _log.exception("the words of %d events could not be read", len(events))
            return NOTHING_READ
        for sound in sounds:
            COMMENTS.labels("against" if sound <= _AGAINST else "for" if sound >= _FOR else "neither").inc()
        return Words(dict(zip(comments, sounds, strict=True)), dict(zip(telling, about, strict=True)))


def _texts(events: Sequence[Event], actions: frozenset[int]) -> list[str]:
    found = (
        event.interaction.text
        for event in events
        if event.action in actions and event.interaction.text is not None and event.interaction.text.strip()
    )
    return list(dict.fromkeys(found))
