"""Names and titles that strangers wrote, made harmless before anything is written from them.

Whatever stands in a title is a name and never an instruction. What shows itself as an instruction to a model
is dropped whole; of the rest, characters that are not seen, markup and links are taken out.
"""

import re
import unicodedata
from base64 import b64decode
from itertools import islice

import msgspec

from encoders.language.base import DayPart, Kind, Request, Statement
from encoders.language.masking import MASK, masked
from encoders.language.patterns import patterns

MOST_CHARACTERS = 80
MOST_DETAILS = 4
MOST_STATEMENTS = 64
MARKS_IN_A_ROW = 3

_UNSEEN = frozenset({"Cc", "Cf", "Co", "Cs", "Cn"})
_LINK = re.compile(r"!?\[([^\]]{0,200})\]\([^)]{0,500}\)")
_TAG = re.compile(
    r"<\|[^|>]{0,60}\|>|</?[a-zA-Z!?][^>]{0,500}>|<<[^>]{0,60}>>|\[/?[A-Z_]{3,20}\]"
    r"|\{\{.{0,200}?\}\}|&[a-z]{2,8};|&#\w{1,7};"
)
_SIGNS = re.compile(r"[<>{}\[\]|\\`*_~^#$=\"“”„«»《》「」『』]+")
_MARKUP = re.compile(r"[<>{}\[\]|\\`*_~^#$=]|https?:|www\.")
_BLANKS = re.compile(r"\s+")
_INSTRUCTIONS = patterns("instructions", re.I)
_IN_NAMES = patterns("instructions", re.I, "in_names")
_FOLDED = str.maketrans("0134578@$", "oieastbas")
"""Digits and signs that stand for letters in words meant to slip through."""
_ALIKE = str.maketrans("асеорхуіїјѕԁһԛԝвмнтκαεοριτυνηβμ", "aceopxyiijsdhqwbmhtkaeopitynhbm")
"""Letters of Cyrillic and Greek that look like Latin ones."""
_CODED = re.compile(r"[A-Za-z0-9+/]{16,400}={0,2}")
_MOST_CODED = 4


def cleaned(text: str, most: int = MOST_CHARACTERS) -> str:
    """A name in one line of at most `most` characters, without unseen characters, markup, links, quotes and
    personal data; empty where nothing is left, or where it reads as an instruction."""
    seen = visible(text[: 20 * most])
    if _gives_orders(seen, _IN_NAMES):
        return ""
    plain = _TAG.sub(" ", _LINK.sub(r" \1 ", seen))
    if _gives_orders(plain, _IN_NAMES):
        return ""
    line = _BLANKS.sub(" ", _SIGNS.sub(" ", masked(plain))).strip(" .,;:!?-–—/。，；：、·")
    if not any(character.isalnum() for character in line):
        return ""
    return _shortened(line, most)


def visible(text: str) -> str:
    """The text composed (NFC), without characters that show nothing or turn others around, and without heaps
    of marks upon one letter."""
    kept: list[str] = []
    marks = 0
    for character in unicodedata.normalize("NFC", text):
        category = unicodedata.category(character)
        marks = marks + 1 if category in ("Mn", "Me") else 0
        if category in _UNSEEN:
            # A break of the line is seen, as a blank.
            kept.append(" " if character in "\t\n\r\x0b\x0c\x85" else "")
        elif marks <= MARKS_IN_A_ROW:
            kept.append(character)
    return "".join(kept)


def reads_as_instruction(text: str) -> bool:
    """Whether a text tells a model what to do; also spelled wide, with digits for letters, or with blanks or
    dots between the letters."""
    return _gives_orders(text)


def has_markup(text: str) -> bool:
    """Whether there are links, tags, role marks or signs that no sentence needs."""
    return _LINK.search(text) is not None or _TAG.search(text) is not None or _MARKUP.search(text) is not None


def prepared(request: Request) -> Request:
    """The request with harmless names. Statements that are left without one are dropped, and repeated ids."""
    kept: dict[str, Statement] = {}
    for statement in request.statements[:MOST_STATEMENTS]:
        harmless = _harmless(statement)
        if harmless is not None and statement.id:
            kept.setdefault(statement.id, harmless)
    return msgspec.structs.replace(request, statements=tuple(kept.values()))


_FIXED = {
    Kind.MODALITY: frozenset({"text", "image", "audio", "video"}),
    Kind.TIME: frozenset(part.value for part in DayPart),
}


def _harmless(statement: Statement) -> Statement | None:
    text = cleaned(statement.text)
    allowed = _FIXED.get(statement.kind)
    if not text or text == MASK or (allowed is not None and text not in allowed):
        return None
    detail = [cleaned(one) for one in statement.detail[:MOST_DETAILS]]
    return msgspec.structs.replace(statement, text=text, detail=tuple(one for one in detail if one))


def _shortened(line: str, most: int) -> str:
    if len(line) <= most:
        return line
    cut = line[: most - 1]
    head = cut.rpartition(" ")[0]
    return (head if len(head) > most // 2 else cut).rstrip(" .,;:，、") + MASK


def _gives_orders(text: str, further: tuple[re.Pattern[str], ...] = ()) -> bool:
    spellings = _spellings(unicodedata.normalize("NFKC", visible(text)))
    return any(pattern.search(spelling) for spelling in spellings for pattern in (*_INSTRUCTIONS, *further))


def _spellings(plain: str) -> set[str]:
    """What a text may be read as: as it stands, look-alikes for letters, spelled out, backwards, and what
    it holds in base64."""
    folded = plain.casefold()
    coded = [_decoded(found.group()) for found in islice(_CODED.finditer(plain), _MOST_CODED)]
    return {
        plain, folded.translate(_FOLDED), folded.translate(_ALIKE), _closed_up(plain),
        re.sub(r"(?<=\b\w)[.\-_*](?=\w\b)", "", plain), plain[::-1], *coded,
    }  # fmt: skip


def _decoded(text: str) -> str:
    try:
        found = b64decode(text + "=" * (-len(text) % 4), validate=True).decode()
    except ValueError:
        return ""
    return found if found.isprintable() else ""


def _closed_up(text: str) -> str:
    """`i g n o r e` and `i.g.n.o.r.e` as one word."""
    return re.sub(r"(?<=\b\w)[\s.\-_*](?=\w\b)", "", text)
