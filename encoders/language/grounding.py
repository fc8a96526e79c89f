"""Keeps of a description what the statements bear out, sentence by sentence.

A sentence may be made of three things alone: names of statements, a closed list of words that claim nothing,
and words that claim something about the names around them (liking, trend, time, rank). Anything else would
be a claim that no statement makes, so the sentence is dropped, as it is where a claim differs from what the
statements say. Nothing that stands in a name is read as anything but a name. Names in quotes come out as the
statements have them.
"""

import unicodedata
from collections.abc import Iterable, Sequence

from encoders.language.base import Description, Rejected, Request, Sentence
from encoders.language.claims import Clause, clauses
from encoders.language.known import Known
from encoders.language.masking import has_personal_data
from encoders.language.reading import Piece, Reader, Token, quotes, requoted, units
from encoders.language.sanitising import has_markup, reads_as_instruction, visible
from encoders.language.tags import keywords_of, tags_of
from encoders.language.tongue import Cue, Tongue
from encoders.language.tongues import TONGUES

VERSION = "grounding-3"
LONGEST_BARE = 4
"""Titles of more words stand in quotes: their words would read as the sentence's own."""
_OPENING = frozenset('“"《「')


def grounded(request: Request, description: Description) -> Description:
    """The description with the sentences that hold, each citing the statements that it was found to rest on,
    and with keywords and tags that are names of statements.

    The request must be `sanitising.prepared`. A language without a Tongue keeps no sentence.
    """
    tongue = TONGUES.get(description.language)
    rejected = list(description.rejected)
    kept: list[Sentence] = []
    if tongue is None:
        rejected += [Rejected(sentence.text, "language") for sentence in description.sentences]
    else:
        check = Check(request, tongue)
        for sentence in description.sentences:
            outcome = check.judge(sentence.text)
            if isinstance(outcome, Rejected):
                rejected.append(outcome)
            else:
                kept.append(outcome)
    keywords, dropped_keywords = _known_names(description.keywords, keywords_of(request.statements))
    tags, dropped_tags = _known_names(description.tags, tags_of(request.statements))
    return Description(
        sentences=tuple(kept), keywords=keywords, tags=tags, model=description.model,
        language=description.language, rejected=(*rejected, *dropped_keywords, *dropped_tags),
    )  # fmt: skip


class Check:
    """Judges sentences about one user."""

    def __init__(self, request: Request, tongue: Tongue) -> None:
        self._tongue = tongue
        self._known = Known(request.statements, tongue)
        self._reader = Reader(tongue.lexicon, self._known.names)
        self._said: set[tuple[str, ...]] = set()

    def judge(self, text: str) -> Sentence | Rejected:
        """The sentence with what it cites, or why it is dropped. A sentence said twice is dropped once."""
        line = " ".join(text.split())
        reason = self._harmful(line)
        if reason:
            return Rejected(line[: self._tongue.most_characters], reason)
        tokens = units(line, self._tongue.fold)
        pieces = self._reader.pieces(line, tokens)
        reason = self._unknown(line, tokens, pieces)
        if reason:
            return Rejected(line, reason)
        cites: set[int] = set()
        for clause in clauses(line, tokens, pieces, self._known):
            found = self._held(clause)
            if isinstance(found, str):
                return Rejected(line, found)
            cites |= found
        return self._settled(line, tokens, cites)

    def _settled(self, line: str, tokens: Sequence[Token], cites: set[int]) -> Sentence | Rejected:
        key = tuple(token.unit for token in tokens)
        if not cites:
            return Rejected(line, "nothing-said")
        if key in self._said:
            return Rejected(line, "repeated")
        self._said.add(key)
        written = requoted(line, lambda name: self._known.spelled(name, cites))
        if len(written) > self._tongue.most_characters:
            return Rejected(line, "too-long")
        return Sentence(written, tuple(self._known.statements[number].id for number in sorted(cites)))

    def _harmful(self, line: str) -> str:
        """What no sentence may be, whatever the statements say."""
        if len(line) > self._tongue.most_characters:
            return "too-long"
        if visible(line) != unicodedata.normalize("NFC", line) or has_markup(line):
            return "markup"
        if reads_as_instruction(line):
            return "instruction"
        return "personal" if has_personal_data(line) else ""

    def _unknown(self, line: str, tokens: Sequence[Token], pieces: Sequence[Piece]) -> str:
        """The reason for which a unit that is no name and no word of the language cannot stay."""
        quoted = quotes(line)
        named = quoted is not None and all(self._known.may_be_quoted(name) for name in quoted)
        if not named or any(self._is_bare_title(line, tokens, piece) for piece in pieces):
            return "unknown-name"
        self._known.read(tokens, pieces)
        for piece in pieces:
            token = tokens[piece.first]
            if piece.cue is Cue.NUMBER:
                return "number"
            if piece.cue is not None or self._known.meant_by(piece):
                continue
            written = line[token.start : token.end]
            if any(character.isdigit() for character in written):
                return "number"
            foreign = written.isascii() != (self._tongue.code == "en") and written[0].isalpha()
            if foreign and not self._some_known(pieces):
                return "language"
            opens = piece.first == 0
            return "unknown-name" if written[:1].isupper() and not opens else "unknown-word"
        return ""

    def _is_bare_title(self, line: str, tokens: Sequence[Token], piece: Piece) -> bool:
        if piece.last - piece.first <= LONGEST_BARE or not self._known.is_title(piece):
            return False
        start = tokens[piece.first].start
        return line[max(0, start - 1) : start] not in _OPENING

    @staticmethod
    def _some_known(pieces: Iterable[Piece]) -> bool:
        return any(piece.cue is not None for piece in pieces)

    def _held(self, clause: Clause) -> set[int] | str:
        """Numbers of the statements that bear the clause out, or the reason why it does not hold."""
        cites: set[int] = set()
        for mention in clause.mentions:
            borne_out = [number for number in mention if not clause.misfit(number, self._known)]
            if not borne_out:
                reasons = [clause.misfit(number, self._known) for number in sorted(mention)]
                return reasons[0] if reasons else "unknown-word"
            cites.update(borne_out)
        return cites


def _known_names(found: Sequence[str], known: Sequence[str]) -> tuple[tuple[str, ...], tuple[Rejected, ...]]:
    allowed = {name.casefold() for name in known}
    kept = tuple(dict.fromkeys(name for name in found if name.casefold() in allowed))
    return kept, tuple(Rejected(name, "unknown-name") for name in found if name.casefold() not in allowed)
