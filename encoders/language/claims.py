"""What a sentence claims about the names in it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from encoders.language.base import Kind, Scale
from encoders.language.known import Known
from encoders.language.reading import Piece, Token
from encoders.language.tongue import FIXED, SCALES, TRENDS, Cue

_SOFT = frozenset({"and", "与", "和", "及"})
_STOPS = frozenset(",;:.!?，；：。！？、—–")
_FULL_STOPS = frozenset(";.!?；。！？")
_LIKING = frozenset({Cue.POSITIVE, Cue.NEGATIVE, Cue.NEGATION})
_REACH: dict[Scale, frozenset[Scale]] = {
    Scale.MINUTES: frozenset({Scale.MINUTES}),
    Scale.TODAY: frozenset({Scale.MINUTES, Scale.TODAY}),
    Scale.LATELY: frozenset({Scale.MINUTES, Scale.TODAY, Scale.LATELY}),
    Scale.ALWAYS: frozenset({Scale.ALWAYS}),
}
"""What is true of today is true of lately."""


@dataclass
class Clause:
    """A part of a sentence: what it claims, and of which names."""

    soft: bool
    """Whether it goes on with a list that the part before began."""
    cues: list[Cue] = field(default_factory=list)
    mentions: list[frozenset[int]] = field(default_factory=list)

    @property
    def likes(self) -> bool | None:
        """Whether it speaks of liking, of the opposite, or of neither."""
        liking: bool | None = None
        turned = False
        for cue in self.cues:
            if cue is Cue.NEGATION:
                turned = not turned
                liking = False if liking is None else liking
            elif cue is Cue.POSITIVE:
                # The stricter reading wins where a part says both.
                liking = (not turned) if liking is None or turned else liking
                turned = False
            elif cue is Cue.NEGATIVE:
                liking, turned = turned, False
        return liking

    def claims(self, *cues: Cue) -> bool:
        return any(cue in self.cues for cue in cues)

    def misfit(self, number: int, known: Known) -> str:
        """Why this statement does not bear the clause out; empty where it does."""
        kind = known.kind(number)
        if known.is_liked(number) != (self.likes is not False):
            return "polarity"
        if self.claims(Cue.SEARCH) and kind not in (Kind.SEARCH, Kind.TOPIC):
            return "polarity"
        of_comments = kind in (Kind.SENTIMENT, Kind.KEYWORD)
        if self.claims(Cue.COMMENT) and not of_comments:
            return "polarity"
        if kind is Kind.SENTIMENT and not self.claims(Cue.COMMENT):
            # How comments sound is not yet what the user likes.
            return "polarity"
        if (
            self.claims(Cue.TOP)
            and not self.claims(Cue.LESSER)
            and kind in _RANKED
            and not known.comes_first(number)
        ):
            return "rank"
        return self._misfit_in_time(number, known)

    def _misfit_in_time(self, number: int, known: Known) -> str:
        trends = {TRENDS[cue] for cue in self.cues if cue in TRENDS}
        if trends:
            return "" if known.trend(number) in trends else "trend"
        scales = [SCALES[cue] for cue in self.cues if cue in SCALES]
        fits = all(known.scale(number) in _REACH[scale] for scale in scales)
        return "" if fits else "trend"


_RANKED = frozenset({Kind.TOPIC, Kind.MODALITY, Kind.TIME})


def clauses(line: str, tokens: Sequence[Token], pieces: Sequence[Piece], known: Known) -> list[Clause]:
    """The parts of a sentence. What goes on with a list claims what the list began with; an introduction
    and an afterthought count with the part beside them."""
    parts = _merged(_parts(line, tokens, pieces, known))
    # A list that begins the sentence is claimed of by what comes behind it.
    first = next((number for number, part in enumerate(parts) if part.cues), 0)
    for part in parts[:first]:
        part.cues = list(parts[first].cues)
    for number, part in enumerate(parts):
        if not part.cues and part.soft:
            part.cues = [cue for cue in parts[number - 1].cues if cue is not Cue.LESSER]
        elif number and part.soft and not _LIKING & set(part.cues):
            part.cues = [cue for cue in parts[number - 1].cues if cue in _LIKING] + part.cues
    return parts


def _parts(line: str, tokens: Sequence[Token], pieces: Sequence[Piece], known: Known) -> Iterator[Clause]:
    part = Clause(soft=False)
    end = 0
    for piece in pieces:
        token = tokens[piece.first]
        between = set(line[end : token.start])
        breaks = piece.cue is Cue.BREAK
        if between & _STOPS or breaks:
            yield part
            soft = not between & _FULL_STOPS and (not breaks or line[token.start : token.end] in _SOFT)
            part = Clause(soft)
        if known.is_missing(piece):
            part.mentions.append(frozenset())
        meant = known.meant_by(piece)
        if meant:
            part.mentions.append(meant)
        if piece.cue is not None and piece.cue not in FIXED and piece.cue not in (Cue.PLAIN, Cue.BREAK):
            part.cues.append(piece.cue)
        end = tokens[piece.last - 1].end
    yield part


def _merged(parts: Iterator[Clause]) -> list[Clause]:
    """Parts without a name go to the next that has one, or to the last."""
    found: list[Clause] = []
    waiting: list[Cue] = []
    soft: bool | None = None
    for part in parts:
        if part.mentions:
            part.cues = waiting + part.cues
            part.soft = part.soft if soft is None else soft and part.soft
            found.append(part)
            waiting, soft = [], None
        elif part.cues or soft is not None:
            waiting += part.cues
            soft = part.soft if soft is None else soft and part.soft
    if found and waiting:
        found[-1].cues += waiting
        if soft and not set(waiting) - TRENDS.keys():
            # "food, hobbies and rising": a trend of nothing, in the place of a name.
            found[-1].mentions.append(frozenset())
    return found
