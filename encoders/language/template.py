"""Descriptions without a model: sentences with gaps for names.

Deterministic: the facts decide what is said, the user decides which of several wordings, so that one user's
description keeps its style and changes where the facts do.
"""

from collections.abc import Callable, Iterable, Sequence

import xxhash

from encoders.errors import LanguageError
from encoders.language.base import (
    Description,
    Kind,
    Request,
    Scale,
    Sentence,
    Statement,
    Trend,
)
from encoders.language.reading import key_of
from encoders.language.tags import keywords_of, tags_of
from encoders.language.tongue import Cue, Tongue
from encoders.language.tongues import TONGUES

VERSION = "template-1"
MAIN_TOPICS = 3
MOST_NAMES = 3
MOST_WORDS = 5
EVEN = 0.75
"""Two shares are even where the smaller is at least so much of the larger."""
LEAST_SHARE = 0.1
LEAST_SENTIMENT = 0.2
NEAR = (Scale.MINUTES, Scale.TODAY)


class Template:
    """Writes in the languages of TONGUES, in about 0.1 ms a description."""

    name = "template"
    version = VERSION

    def __init__(self, max_sentences: int = 8) -> None:
        self._max_sentences = max_sentences

    def write(self, requests: Sequence[Request]) -> list[Description | LanguageError]:
        """One description per request; without sentences where there are no statements."""
        return [self._one(request) for request in requests]

    def close(self) -> None:
        """Nothing is held."""

    def _one(self, request: Request) -> Description | LanguageError:
        tongue = TONGUES.get(request.language)
        if tongue is None:
            known = ", ".join(TONGUES)
            return LanguageError("language", f"the template does not know '{request.language}', but {known}")
        sentences = _Composition(request, tongue).sentences()[: self._max_sentences]
        return Description(
            sentences=tuple(sentences),
            keywords=keywords_of(request.statements),
            tags=tags_of(request.statements),
            model=self.name,
            language=request.language,
        )


class _Composition:
    """One description as it comes about. Each part says nothing where there are no statements for it."""

    def __init__(self, request: Request, tongue: Tongue) -> None:
        self._request = request
        self._tongue = tongue
        self._told: set[str] = set()

    def sentences(self) -> list[Sentence]:
        parts: tuple[Callable[[], list[Sentence]], ...] = (
            self._lead, self._trends, self._now, self._liked, self._averse, self._searches, self._comments,
            self._media, self._always, self._words, self._times,
        )  # fmt: skip
        return [sentence for part in parts for sentence in part()]

    def _lead(self) -> list[Sentence]:
        main = self._overall()[:MAIN_TOPICS]
        if not main:
            return []
        self._told.update(one.text for one in main)
        return [self._first_and_rest("lead", main)]

    def _trends(self) -> list[Sentence]:
        moving = [one for one in self._of(Kind.TOPIC, Kind.TREND) if one.weight > 0 or one.kind is Kind.TREND]
        rising = _once(one for one in moving if one.trend is Trend.RISING)[:MOST_NAMES]
        fading = _once(one for one in moving if one.trend is Trend.FADING)[:MOST_NAMES]
        if rising and fading:
            return [
                self._say(
                    "rising-fading", rising + fading, names=self._names(rising), others=self._names(fading)
                )
            ]
        if rising or fading:
            return [self._list("rising" if rising else "fading", rising or fading)]
        steady = _once(one for one in moving if one.trend is Trend.STEADY)[:MOST_NAMES]
        return [self._list("steady", steady)] if steady else []

    def _now(self) -> list[Sentence]:
        for scale in NEAR:
            news = [one for one in self._topics(scale) if one.text not in self._told][:2]
            if news:
                self._told.update(one.text for one in news)
                return [self._say("now", news, names=self._names(news), scale=self._pick(scale.value))]
        return []

    def _always(self) -> list[Sentence]:
        lasting = [one for one in self._topics(Scale.ALWAYS) if one.text not in self._told][:MOST_NAMES]
        return [self._list("always", lasting)] if lasting else []

    def _media(self) -> list[Sentence]:
        shares = [one for one in self._of(Kind.MODALITY) if one.weight >= LEAST_SHARE]
        shares.sort(key=lambda one: -one.weight)
        if not shares:
            return []
        even = [one for one in shares if one.weight >= EVEN * shares[0].weight]
        if len(even) > 1:
            return [self._list("media-even", even)]
        if len(shares) == 1:
            return [self._say("medium", shares, first=self._names(shares))]
        return [self._say("media", shares, first=self._names(shares[:1]), rest=self._names(shares[1:]))]

    def _liked(self) -> list[Sentence]:
        liked = _once(self._of(Kind.LIKED))[:MOST_NAMES]
        return [self._list("liked", liked, detailed=True)] if liked else []

    def _averse(self) -> list[Sentence]:
        averse = _once(one for one in self._of(Kind.TOPIC) if one.weight < 0)[:MOST_NAMES]
        disliked = _once(self._of(Kind.DISLIKED))[:MOST_NAMES]
        return [
            self._list(key, found) for key, found in (("averse", averse), ("disliked", disliked)) if found
        ]

    def _searches(self) -> list[Sentence]:
        searches = _once(self._of(Kind.SEARCH))[:MOST_NAMES]
        return [self._list("searched", searches)] if searches else []

    def _comments(self) -> list[Sentence]:
        found = []
        for key, sign in (("pleased", 1), ("critical", -1)):
            told = _once(one for one in self._of(Kind.SENTIMENT) if one.weight * sign >= LEAST_SENTIMENT)
            if told:
                found.append(self._list(key, told[:MOST_NAMES]))
        return found

    def _words(self) -> list[Sentence]:
        searched = {one.text.casefold() for one in self._of(Kind.SEARCH)}
        words = [one for one in _once(self._of(Kind.KEYWORD)) if one.text.casefold() not in searched]
        return [self._list("words", words[:MOST_WORDS])] if words else []

    def _times(self) -> list[Sentence]:
        times = sorted(self._of(Kind.TIME), key=lambda one: -one.weight)
        return [self._list("times", times[:2])] if times else []

    def _overall(self) -> list[Statement]:
        """Topics of the widest scale that there are statements of."""
        for scale in (Scale.NONE, Scale.LATELY, Scale.ALWAYS, Scale.TODAY, Scale.MINUTES):
            found = self._topics(scale)
            if found:
                return found
        return []

    def _topics(self, scale: Scale) -> list[Statement]:
        found = [one for one in self._of(Kind.TOPIC) if one.weight > 0 and one.scale is scale]
        return _once(sorted(found, key=lambda one: -one.weight))

    def _of(self, *kinds: Kind) -> list[Statement]:
        return [one for one in self._request.statements if one.kind in kinds]

    def _list(self, key: str, statements: Sequence[Statement], detailed: bool = False) -> Sentence:
        return self._say(key, statements, names=self._names(statements, detailed))

    def _first_and_rest(self, key: str, statements: Sequence[Statement]) -> Sentence:
        if len(statements) == 1:
            return self._say(f"{key}-1", statements, first=self._names(statements))
        first, rest = self._names(statements[:1]), self._names(statements[1:])
        return self._say(key, statements, first=first, rest=rest)

    def _say(self, key: str, cited: Sequence[Statement], **gaps: str) -> Sentence:
        # Names may hold braces, wordings never do: the gaps are filled once.
        text = self._pick(key).format(**gaps)
        return Sentence(text[:1].upper() + text[1:], tuple(dict.fromkeys(one.id for one in cited)))

    def _pick(self, key: str) -> str:
        wordings = self._tongue.wording[key]
        chance = xxhash.xxh3_64_intdigest(f"{key} {self._request.user}".encode(errors="replace"))
        return wordings[chance % len(wordings)]

    def _names(self, statements: Sequence[Statement], detailed: bool = False) -> str:
        names = [self._name(one) + (self._detail(one) if detailed else "") for one in statements]
        return joined(names, self._tongue)

    def _name(self, statement: Statement) -> str:
        fixed = self._tongue.fixed
        if statement.kind in (Kind.MODALITY, Kind.TIME):
            return fixed[statement.text]
        topic = statement.kind in (Kind.TOPIC, Kind.TREND)
        return self._quoted(statement.text, always=not topic or self._tongue.quote_topics)

    def _detail(self, statement: Statement) -> str:
        title = set(key_of(statement.text, self._tongue.fold))
        new = [
            one
            for one in statement.detail
            if one not in self._told and not set(key_of(one, self._tongue.fold)) <= title
        ]
        if not new:
            return ""
        names = self._tongue.comma.join(self._quoted(one, self._tongue.quote_topics) for one in new[:2])
        return self._pick("with").format(names=names)

    def _quoted(self, name: str, always: bool) -> str:
        # A tag such as `top` or `not` would be read as the word.
        cue = self._tongue.lexicon.get(key_of(name, self._tongue.fold))
        ambiguous = cue not in (None, Cue.PLAIN) or not name.replace(" ", "").replace("-", "").isalnum()
        before, after = self._tongue.quotes
        return f"{before}{name}{after}" if always or ambiguous else name


def joined(names: Sequence[str], tongue: Tongue) -> str:
    """Several names in one list."""
    if len(names) == 1:
        return names[0]
    return tongue.comma.join(names[:-1]) + tongue.final + names[-1]


def _once(statements: Iterable[Statement]) -> list[Statement]:
    """The first statement of each name."""
    found: dict[str, Statement] = {}
    for one in statements:
        found.setdefault(one.text.casefold(), one)
    return list(found.values())
