"""Texts: other codings, broken ones, marks without end, no words, and files that are no text."""

import gzip
import io
import zipfile
import zlib
from collections.abc import Iterator

import numpy as np

from encoders.base import Modality
from tests.hostile.case import Case

TEXT = Modality.TEXT
LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 9))

OUTCOMES = {
    "blanks": "empty",
    "blanks of every kind": "empty",
    "a mark of order alone": "empty",
    "marks of direction alone": "empty",
    "a million lines": "empty",
    "controls": "broken",
}
"""Of the odd texts that are not encoded. Lines beyond the limit of characters are not read."""


def cases() -> Iterator[Case]:
    yield from _codings()
    yield from _odd_texts()
    yield from _no_texts()


def _codings() -> Iterator[Case]:
    words = "Grüße aus 東京, ça va?"
    for coding in ("utf-8-sig", "utf-16", "utf-32", "utf-16-le", "cp1252", "shift-jis", "koi8-r", "gb18030"):
        # Without a mark of order every second byte is a 0.
        expected = "broken" if coding == "utf-16-le" else "encoded"
        yield Case(f"text in {coding}", words.encode(coding, "replace"), expected, TEXT)
    yield Case("the first half of a character", "世".encode()[:2], "empty", TEXT)
    yield Case("overlong UTF-8", b"dot \xc0\xae\xc0\xae slash", "encoded", TEXT)
    yield Case("surrogates in UTF-8", b"one \xed\xa0\x80\xed\xb0\x80 two", "encoded", TEXT)
    yield Case("bytes of 255", b"\xff" * 500, "empty", TEXT)
    yield Case("bytes of 0", bytes(500), "broken", TEXT)
    yield Case("a few bytes of 0 in words", b"some \x00 words and more words", "encoded", TEXT)
    yield Case("every byte", bytes(range(256)) * 4, "broken", TEXT)


def _odd_texts() -> Iterator[Case]:
    for name, text in {
        "one letter": "a",
        "blanks": " \t\n\r ",
        "blanks of every kind": "\u00a0\u2003\u3000\u2028",
        "a mark of order alone": "\ufeff",
        "marks of direction alone": "\u200e\u200f\u202e",
        "words turned around": "safe\u202egpj.exe",
        "hidden tags": "nice" + "".join(chr(0xE0000 + ord(letter)) for letter in "obey me"),
        "piled marks": "a" + "\u0301\u0316" * 20_000,
        "ligatures that grow": "\ufdfa" * 3000,
        "one word of 5 MB": "x" * 5_000_000,
        "a million lines": "\n" * 1_000_000 + "end",
        "emoji": "👩‍👩‍👧🏽🏴󠁧󠁢󠁥󠁮󠁧󠁿" * 50,
        "controls": "".join(map(chr, range(32))) + "words",
        "not a character": "one \ufffe\uffff two",
        "entities in entities": f"<!DOCTYPE x [<!ENTITY l0 'ha'>{LAUGHS}]><x>&l8;</x>",
        "brackets in brackets": "[" * 100_000,
        "a template": "{{7*7}} ${jndi:ldap://x} %s %n '; DROP TABLE users;--",
    }.items():
        yield Case(name, text.encode(), OUTCOMES.get(name, "encoded"), TEXT)


def _no_texts() -> Iterator[Case]:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros", bytes(10_000_000))
    files = {
        "zip bomb": packed.getvalue(),
        "gzip bomb": gzip.compress(bytes(10_000_000)),
        "zlib bomb": zlib.compress(bytes(10_000_000)),
        "program": b"\x7fELF\x02\x01\x01" + bytes(500),
        "pickle": b"\x80\x04\x95\x1d\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x94\x8c\x06system\x94\x93\x94.",
        "noise": np.random.default_rng(8).bytes(5000),
        "PDF": b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj <</Type/Catalog>> endobj\x00",
    }
    for name, content in files.items():
        yield Case(f"{name}, unnamed", content, "unsupported")
        yield Case(f"{name} said to be text", content, "encoded" if name == "PDF" else "broken", TEXT)
        yield Case(f"{name} said to be an image", content, "unsupported", Modality.IMAGE)
        yield Case(f"{name} said to be a sound", content, "broken", Modality.AUDIO)
        yield Case(f"{name} said to be a video", content, "broken", Modality.VIDEO)
    yield Case("nothing at all", b"", "empty")
    yield Case("nothing said to be text", b"", "empty", TEXT)
    yield Case("words without a name", b"some words", "encoded")
    yield Case("an SVG without a name", b"<svg xmlns='http://www.w3.org/2000/svg'/>", "encoded")
