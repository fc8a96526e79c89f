"""Sentences in units, and units in pieces that are known: names of statements, and words of a language."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from encoders.language.tongue import Cue, Key
from encoders.text.terms import MARKS, UNSPACED

_UNIT = re.compile(f"[{UNSPACED}]|(?:[^\\W_{UNSPACED}]|[{MARKS}])+(?:['’](?:[^\\W_{UNSPACED}]|[{MARKS}])+)*")
_QUOTED = re.compile(r"“([^”]+)”|《([^》]+)》|\"([^\"]+)\"|「([^」]+)」")

_ENDINGS = ",.;:!?，。；：！？"
_MARKS = '“”"《》「」'


class Token(NamedTuple):
    """A unit and where it stands in the text."""

    unit: str
    start: int
    end: int


class Piece(NamedTuple):
    """Tokens [first, last) that are one name, one phrase, or neither."""

    first: int
    last: int
    cue: Cue | None
    statements: frozenset[int]
    """Numbers of the statements that have this name in full."""


def units(text: str, fold: Callable[[str], str]) -> list[Token]:
    """Words by `fold`; single characters of scripts without blanks."""
    return [Token(fold(found.group()), found.start(), found.end()) for found in _UNIT.finditer(text)]


def key_of(text: str, fold: Callable[[str], str]) -> Key:
    """The units of a name."""
    return tuple(token.unit for token in units(text, fold))


def quotes(text: str) -> list[str] | None:
    """What stands in quotes; None where a quote is not closed, or closed without having been opened."""
    rest = _QUOTED.sub(" ", text)
    if any(mark in rest for mark in _MARKS):
        return None
    return [next(part for part in found.groups() if part) for found in _QUOTED.finditer(text)]


def requoted(text: str, spelled: Callable[[str], str]) -> str:
    """The text with each quoted name spelled anew; signs that stand within the quotes go behind them."""

    def again(found: re.Match[str]) -> str:
        inner = found.group()[1:-1]
        name = inner.rstrip(_ENDINGS)
        return f"{found.group()[0]}{spelled(name)}{found.group()[-1]}{inner[len(name) :]}"

    return _QUOTED.sub(again, text)


class Reader:
    """Cuts sentences into pieces: as few unknown units as possible, then as few pieces."""

    def __init__(self, lexicon: Mapping[Key, Cue], names: Mapping[Key, frozenset[int]]) -> None:
        self._lexicon = lexicon
        self._names = names
        self._longest_word = max(map(len, lexicon), default=1)
        self._longest_name = max(map(len, names), default=0)

    def pieces(self, text: str, tokens: Sequence[Token]) -> list[Piece]:
        """The pieces in their order. What stands in quotes and is a name is that name."""
        forced = {piece.first: piece for piece in self._quoted(text, tokens)}
        inside = {place for piece in forced.values() for place in range(piece.first, piece.last)}
        count = len(tokens)
        best: list[tuple[int, int]] = [(0, 0)] * (count + 1)
        chosen: list[Piece] = [Piece(count, count, None, frozenset())] * (count + 1)
        for place in range(count - 1, -1, -1):
            found = [forced[place]] if place in forced else self._starting(tokens, place, inside)
            costs = [
                (best[one.last][0] + (one.cue is None and not one.statements), best[one.last][1] + 1)
                for one in found
            ]
            least = min(range(len(found)), key=lambda number: costs[number])
            best[place], chosen[place] = costs[least], found[least]
        pieces: list[Piece] = []
        place = 0
        while place < count:
            pieces.append(chosen[place])
            place = chosen[place].last
        return pieces

    def _starting(self, tokens: Sequence[Token], place: int, inside: set[int]) -> list[Piece]:
        """What may begin here, names before words and long ones before short."""
        most = min(max(self._longest_name, self._longest_word), len(tokens) - place)
        found = [Piece(place, place + 1, None, frozenset())]
        key: Key = ()
        for length in range(1, most + 1):
            if place + length - 1 in inside:
                break
            key = (*key, tokens[place + length - 1].unit)
            cue, statements = self._lexicon.get(key), self._names.get(key, frozenset())
            # A word that turns a meaning around stays one, be it somebody's tag as well.
            if statements and (cue is None or cue is Cue.PLAIN or length > 1):
                found.append(Piece(place, place + length, None, statements))
            elif cue is not None:
                found.append(Piece(place, place + length, cue, frozenset()))
        return found[:0:-1] or found

    def _quoted(self, text: str, tokens: Sequence[Token]) -> Iterator[Piece]:
        for quote in _QUOTED.finditer(text):
            within = [
                number
                for number, token in enumerate(tokens)
                if quote.start() < token.start and token.end < quote.end()
            ]
            if within:
                key = tuple(tokens[number].unit for number in within)
                statements = self._names.get(key)
                if statements:
                    yield Piece(within[0], within[-1] + 1, None, statements)
