"""Bytes to clean text."""

import codecs
import re
import unicodedata

from encoders.errors import MediumError

BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
REPLACEMENT = "\ufffd"
# Everything of the categories Cc and Cs except line feed and tab, and the characters that override the
# direction of reading, which no encoder needs.
CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069\ufeff]")
# What nobody sees: soft hyphens, marks of direction, blanks without width, deprecated format characters,
# annotations, and tags, which can smuggle words past a reader. The joiners, which some scripts and emoji are
# written with, stay.
INVISIBLE = re.compile(
    "[\u00ad\u061c\u180e\u200b\u200e\u200f\u2060-\u2064\u206a-\u206f\ufff9-\ufffb\U000e0000-\U000e007f]"
)
# Unicode Standard Annex 15: no more than 30 combining marks follow a character in stream-safe text. It also
# keeps normalisation, which sorts them, linear.
MARKS = re.compile(
    "([\u0300-\u036f\u0483-\u0487\u0591-\u05bd\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff]{30})[\u0300-\u036f\u0483-\u0487\u0591-\u05bd\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff]+"
)
BYTES_PER_CHARACTER = 4
LARGEST_BROKEN_SHARE = 0.02
LARGEST_NUL_SHARE = 0.1
BINARY = bytes({*range(32), 127} - set(b"\t\n\f\r\x1b"))
MOST_BINARY, LARGEST_BINARY_SHARE = 16, 0.05
"""Controls that no text is written with: so many, and this share of all, make bytes that are not text."""


def decode_text(content: bytes, max_characters: int) -> str:
    """UTF-8, UTF-16 or UTF-32 by byte order mark, else UTF-8, else Windows-1252; NFKC, without controls
    and invisible marks.

    What is longer than `max_characters` is cut. Raises MediumError: "empty" where only blanks remain,
    "broken" for bytes that are not text.
    """
    if not content:
        raise MediumError("empty", "the text has no bytes")
    text = clean_text(_to_str(content[: max_characters * BYTES_PER_CHARACTER + 4]), max_characters)
    if not text:
        raise MediumError("empty", "the text is blank")
    return text


def clean_text(text: str, max_characters: int) -> str:
    """Normalises to NFKC, makes controls blanks, drops invisible marks, cuts; may give an empty text.

    Compatibility forms (full-width letters, ligatures, circled digits) become what they stand for: they mean
    the same, and a tokenizer that knows neither would take them for unknown.
    """
    short = CONTROLS.sub(" ", text[:max_characters].replace("\r\n", "\n").replace("\r", "\n"))
    marked = MARKS.sub(r"\1", INVISIBLE.sub("", short))
    return unicodedata.normalize("NFKC", marked)[:max_characters].strip()


def _is_binary(content: bytes) -> bool:
    controls = len(content) - len(content.translate(None, BINARY))
    return controls > MOST_BINARY and controls > LARGEST_BINARY_SHARE * len(content)


def _to_str(content: bytes) -> str:
    for mark, name in BYTE_ORDER_MARKS:
        if content.startswith(mark):
            return content[len(mark) :].decode(name, errors="replace").rstrip(REPLACEMENT)
    if content.count(0) > LARGEST_NUL_SHARE * len(content) or _is_binary(content):
        raise MediumError("broken", "the bytes are not text")
    text = content.decode("utf-8", errors="replace").rstrip(REPLACEMENT)
    if text.count(REPLACEMENT) <= LARGEST_BROKEN_SHARE * len(text):
        return text
    return content.decode("cp1252", errors="replace")
