"""Personal data in texts that users wrote, taken out before anybody else reads them.

By form alone, in any language: what has the form of an address, a number or a name of an account is masked,
and rather too much than too little. Names of people have no form, and stay.
"""

import re
import unicodedata
from collections.abc import Callable

from encoders.language.patterns import patterns

MASK = "…"
"""What stands where something was masked: it reads as what it is in every language."""

_PATTERNS = patterns("personal")
_YEAR = r"(?:1[5-9]|20)\d\d"
_DATE = re.compile(
    rf"{_YEAR}(?:[-–/.]{_YEAR}|[-/.]\d{{1,2}}[-/.]\d{{1,2}})|\d{{1,2}}[./-]\d{{1,2}}[./-]{_YEAR}"
)
_GROUPED = re.compile(r"\d{1,3}(?:[, .\u00a0\u202f]\d{3})+")
_NUMBER = re.compile(r"(?<![\w.])[+(]?\d(?:[\s().\-–/,·]{0,2}\d){6,}(?![\d])|\d{7,}")
"""Seven digits or more, however they are grouped: telephones, cards, accounts, identity numbers."""

_KEYCAPS = re.compile("(?<=[0-9])\ufe0f?\u20e3")
"""What makes a digit the picture of a key."""


def masked(text: str) -> str:
    """The text with MASK for mail addresses, links, accounts, telephone, card and identity numbers, street
    addresses and network addresses. A text without any comes back as it is."""
    plain = _KEYCAPS.sub("", unicodedata.normalize("NFKC", text))
    found = plain
    for pattern in _PATTERNS:
        found = pattern.sub(MASK, found)
    found = _NUMBER.sub(_unless_harmless(), found)
    return text if found == plain else re.sub(rf"(?:{MASK}[\s,;]*)+(?={MASK})", "", found)


def has_personal_data(text: str) -> bool:
    """Whether there is anything to mask."""
    return masked(text) != text


def _unless_harmless() -> Callable[[re.Match[str]], str]:
    def replaced(match: re.Match[str]) -> str:
        whole = match.group().strip()
        harmless = _DATE.fullmatch(whole) or (_GROUPED.fullmatch(whole) and len(whole) < 14)
        return match.group() if harmless else MASK

    return replaced
