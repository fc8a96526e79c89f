"""What a language model wrote, as sentences: by its JSON where there is any, else as plain text."""

import re
from typing import Any

import msgspec

from encoders.errors import LanguageError
from encoders.language.base import Sentence

MOST_SENTENCES = 40
MOST_CHARACTERS = 20_000
_THOUGHT = re.compile(r"<think>.*?(?:</think>|\Z)", re.S)
_FENCE = re.compile(r"```(?:json)?\s*(.*?)(?:```|\Z)", re.S)
_END = re.compile(r"(?:(?<=[.!?])|(?<=[.!?][\"”’)]))\s+(?=[\"“‘(A-Z])|(?<=[。！？])(?![”」』）])")
_BULLET = re.compile(r"^\s*(?:[-*•–]|\d{1,2}[.)、])\s+")


def sentences_of(answer: str) -> tuple[Sentence, ...]:
    """The sentences of an answer, with what it says they cite; none cited where it was plain text.

    Raises LanguageError("malformed") where nothing can be read.
    """
    text = _THOUGHT.sub("", answer[:MOST_CHARACTERS]).strip()
    fenced = _FENCE.search(text)
    if fenced:
        text = fenced.group(1).strip()
    found = _from_json(text) if text.startswith(("{", "[")) or '"sentences"' in text else _from_text(text)
    if not found:
        raise LanguageError("malformed", f"no sentence in {text[:80]!r}")
    return tuple(found[:MOST_SENTENCES])


def split_sentences(text: str) -> list[str]:
    """Plain text by its full stops and lines, without bullets."""
    lines = (_BULLET.sub("", line) for line in text.splitlines())
    parts = (part.strip() for line in lines for part in _closed(_END.split(line)))
    return [part for part in parts if any(character.isalnum() for character in part)]


def _closed(parts: list[str]) -> list[str]:
    """Parts again, joined where a quote that one opens is closed by the next: full stops of titles end no
    sentence. A quote that is not closed so soon stays open, and its part alone is spoilt."""
    found: list[str] = []
    for part in parts:
        opened = bool(found) and found[-1].count("“") == found[-1].count("”") + 1
        if opened and part.count("”") == part.count("“") + 1:
            found[-1] = f"{found[-1]} {part}"
        else:
            found.append(part)
    return found


def _from_text(text: str) -> list[Sentence]:
    return [Sentence(part, ()) for part in split_sentences(text)]


def _from_json(text: str) -> list[Sentence]:
    """The first JSON value of a text, be there words around it; what was cut off is read up to the cut."""
    decoded = _decoded(text)
    if decoded is None:
        return [Sentence(part, ()) for part in _cut_off(text)]
    listed = decoded.get("sentences", decoded.get("summary")) if isinstance(decoded, dict) else decoded
    if isinstance(listed, str):
        return _from_text(listed)
    if not isinstance(listed, list):
        return []
    return [sentence for one in listed for sentence in _one(one)]


def _decoded(text: str) -> Any:
    places = [place for place in (text.find("{"), text.find("[")) if place >= 0]
    start, end = min(places, default=0), max(text.rfind("}"), text.rfind("]"))
    try:
        return msgspec.json.decode(text[start : end + 1])
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return None


def _one(found: Any) -> list[Sentence]:
    if isinstance(found, str):
        return _from_text(found)
    if not isinstance(found, dict) or not isinstance(found.get("text"), str):
        return []
    cites = found.get("cites")
    named = tuple(one for one in cites if isinstance(one, str)) if isinstance(cites, list) else ()
    # Two sentences in one field are judged one by one.
    return [Sentence(part, named) for part in split_sentences(found["text"])]


_TEXT_FIELD = re.compile(r'"text"\s*:\s*("(?:[^"\\]|\\.)*")')


def _cut_off(text: str) -> list[str]:
    """The whole `text` fields of JSON that ends in the middle."""
    found: list[str] = []
    for field in _TEXT_FIELD.findall(text):
        try:
            found.extend(split_sentences(msgspec.json.decode(field, type=str)))
        except msgspec.DecodeError:
            continue
    return found
