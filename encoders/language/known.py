"""The names that a sentence may speak of, and which statements a part of one means."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from encoders.language.base import Kind, Scale, Statement, Trend
from encoders.language.reading import Piece, Token, key_of
from encoders.language.tongue import FIXED, Key, Tongue

LEAST_COVERED = 0.5
"""The share of a name's words that must stand in a sentence for the others to be left out."""
LEAST_SHARE = 0.05
FIRST = 3
"""Names up to this rank may be called the main ones."""
NEARLY = 0.8
_OPPOSED = frozenset({Kind.DISLIKED})
_WHOLE_KINDS = frozenset({Kind.MODALITY, Kind.TIME})
_TITLES = frozenset({Kind.LIKED, Kind.DISLIKED, Kind.SEARCH})
"""What is named in full or not at all: half a title is a phrase of somebody else's."""


class Known:
    """Statements by name, by single word of a name, and by what they say."""

    def __init__(self, statements: Sequence[Statement], tongue: Tongue) -> None:
        self.statements = statements
        self._tongue = tongue
        self.names: dict[Key, frozenset[int]] = {}
        self._content: list[frozenset[str]] = []
        self._details: list[frozenset[str]] = []
        self._detail_names: set[Key] = set()
        self._fixed = {
            (one.kind, one.text): number
            for number, one in enumerate(statements)
            if one.kind in _WHOLE_KINDS and one.weight >= LEAST_SHARE
        }
        for number, one in enumerate(statements):
            self._learn(number, one)
        self._first = _first_of(statements)
        self._loose: dict[int, frozenset[int]] = {}

    def read(self, tokens: Sequence[Token], pieces: Sequence[Piece]) -> None:
        """Finds out which statements single words of names mean in this sentence."""
        self._loose = {}
        said = {token.unit for token in tokens}
        full = {number for piece in pieces for number in piece.statements}
        enough = full | {
            number
            for number, one in enumerate(self.statements)
            if one.kind not in _TITLES and self._covered(number, said)
        }
        for piece in pieces:
            if piece.cue is None and not piece.statements:
                unit = tokens[piece.first].unit
                self._loose[piece.first] = frozenset(
                    number
                    for number in enough
                    if unit in self._content[number] or unit in self._details[number]
                )

    def may_be_quoted(self, text: str) -> bool:
        """Whether it is a name, or what is seen in an item, word for word."""
        key = key_of(text, self._tongue.fold)
        return key in self.names or key in self._detail_names

    def spelled(self, text: str, cited: Iterable[int]) -> str:
        """A name as its statement has it, with the article and the dots of a title that was cut; those that
        are cited go first. Anything else as it is."""
        numbers = self.names.get(key_of(text, self._tongue.fold), frozenset())
        first = sorted(numbers & set(cited)) or sorted(numbers)
        known = [self.statements[number].text for number in first]
        same = (name for name in known if name.casefold() == text.casefold())
        return next(same, known[0]) if known else text

    def meant_by(self, piece: Piece) -> frozenset[int]:
        """Numbers of the statements that a piece of the sentence read last speaks of; none for mere words."""
        if piece.statements:
            return piece.statements
        if piece.cue is None:
            return self._loose.get(piece.first, frozenset())
        fixed = FIXED.get(piece.cue)
        number = self._fixed.get(fixed) if fixed is not None else None
        return frozenset() if number is None else frozenset({number})

    def is_title(self, piece: Piece) -> bool:
        """Whether a piece names items or searches, and nothing else."""
        return bool(piece.statements) and all(self.kind(number) in _TITLES for number in piece.statements)

    def is_missing(self, piece: Piece) -> bool:
        """Whether a piece names a modality or a time of day that no statement speaks of."""
        fixed = FIXED.get(piece.cue) if piece.cue is not None else None
        return fixed is not None and fixed not in self._fixed

    def is_liked(self, number: int) -> bool:
        one = self.statements[number]
        if one.kind in (Kind.TOPIC, Kind.SENTIMENT):
            return one.weight >= 0
        return one.kind not in _OPPOSED

    def comes_first(self, number: int) -> bool:
        return number in self._first

    def trend(self, number: int) -> Trend:
        return self.statements[number].trend

    def scale(self, number: int) -> Scale:
        return self.statements[number].scale

    def kind(self, number: int) -> Kind:
        return self.statements[number].kind

    def _learn(self, number: int, one: Statement) -> None:
        fold = self._tongue.fold
        key = () if one.kind in _WHOLE_KINDS else key_of(one.text, fold)
        for form in {key, self._trimmed(key)} - {()}:
            self.names[form] = self.names.get(form, frozenset()) | {number}
        self._content.append(frozenset(key) - self._tongue.plain_units)
        self._detail_names.update(key_of(detail, fold) for detail in one.detail)
        self._details.append(
            frozenset(unit for detail in one.detail for unit in key_of(detail, fold))
            - self._tongue.plain_units
        )

    def _trimmed(self, key: Key) -> Key:
        """`robin` for `A robin`."""
        plain = self._tongue.plain_units
        first, last = 0, len(key)
        while first < last and key[first] in plain:
            first += 1
        while last > first and key[last - 1] in plain:
            last -= 1
        return key[first:last]

    def _covered(self, number: int, said: set[str]) -> bool:
        content = self._content[number]
        return bool(content) and len(content & said) >= LEAST_COVERED * len(content)


def _first_of(statements: Sequence[Statement]) -> frozenset[int]:
    """Numbers of those that may be said to come first: the leading topics of each scale, the modality and the
    time that have the most, or nearly. Of titles and words there is no order."""
    groups: Mapping[tuple[str, str], list[int]] = _grouped(statements)
    found: set[int] = set()
    for (kind, _), numbers in groups.items():
        numbers.sort(key=lambda number: -statements[number].weight)
        top = statements[numbers[0]].weight
        if kind == Kind.TOPIC:
            found.update(numbers[:FIRST])
        elif kind in _WHOLE_KINDS:
            found.update(number for number in numbers if statements[number].weight >= NEARLY * top)
    return frozenset(found)


def _grouped(statements: Iterable[Statement]) -> Mapping[tuple[str, str], list[int]]:
    groups: dict[tuple[str, str], list[int]] = defaultdict(list)
    for number, one in enumerate(statements):
        if one.weight > 0:
            days = one.kind is Kind.TIME and one.text in ("weekdays", "weekends")
            groups[one.kind, "days" if days else one.scale].append(number)
    return groups
