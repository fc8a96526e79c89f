"""Words and phrases that say what a text is about, by the text encoder.

As KeyBERT does (Grootendorst, 2020): candidates are the text's own phrases, ranked by the cosine to the whole
text, and chosen by maximal marginal relevance (Carbonell and Goldstein, SIGIR 1998), so that they differ.
"""

import re
from collections.abc import Iterator, Sequence

import numpy as np

from encoders.alignment import unit
from encoders.base import Encoder, Float32
from encoders.language.sanitising import cleaned
from encoders.language.stopping import is_stop_word
from encoders.text.terms import MARKS, UNSPACED

MOST_CHARACTERS = 400
MOST_CANDIDATES = 24
MOST_WORDS = 3
LEAST_RELEVANCE = 0.3
DIVERSITY = 0.5
_CHINESE_KINDS = ("n", "v", "a", "i", "l", "j", "eng")
_NO_CONTENT = frozenset({"vshi", "vyou", "vd", "ad"})

_WORD = re.compile(f"(?:[^\\W_{UNSPACED}]|[{MARKS}])+(?:['’-](?:[^\\W_{UNSPACED}]|[{MARKS}])+)*")
_RUN = re.compile("[\u3400-\u4dbf\u4e00-\u9fff]+")
_BREAK = re.compile(r"[^\w\s'’-]+|\n+")


class Keywords:
    """Finds at most `most` keywords a text, many texts at once. `encoder` gives vectors in one space."""

    def __init__(self, encoder: Encoder[str], most: int = 3) -> None:
        self._encoder = encoder
        self._most = most
        self.version = f"keywords-1 {encoder.version} {most}"

    def find(self, texts: Sequence[str]) -> list[tuple[str, ...]]:
        """The keywords of each text, the most telling first, in lower case; none of a text that reads as an
        instruction, and nothing that has the form of personal data."""
        harmless = [cleaned(text, MOST_CHARACTERS) for text in texts]
        listed = [candidates(text) for text in harmless]
        wanted = list(
            dict.fromkeys(
                piece
                for text, found in zip(harmless, listed, strict=True)
                if len(found) > 1
                for piece in (text, *found)
            )
        )
        vectors = unit(self._encoder.encode(wanted)) if wanted else np.empty((0, 1), np.float32)
        rows = {piece: row for row, piece in enumerate(wanted)}
        return [
            tuple(found) if len(found) < 2 else self._chosen(text, found, vectors, rows)
            for text, found in zip(harmless, listed, strict=True)
        ]

    def _chosen(
        self, text: str, found: Sequence[str], vectors: Float32, rows: dict[str, int]
    ) -> tuple[str, ...]:
        own = vectors[[rows[one] for one in found]]
        relevance = own @ vectors[rows[text]]
        likeness = own @ own.T
        chosen: list[int] = []
        left = [number for number in range(len(found)) if relevance[number] >= LEAST_RELEVANCE]
        while left and len(chosen) < self._most:
            repeats = likeness[left][:, chosen].max(axis=1) if chosen else np.zeros(len(left))
            best = left[int(np.argmax((1 - DIVERSITY) * relevance[left] - DIVERSITY * repeats))]
            chosen.append(best)
            # A phrase and a part of it say one thing.
            left = [one for one in left if one != best and not _overlap(found[one], found[best])]
        return tuple(found[number] for number in chosen)


def candidates(text: str) -> list[str]:
    """Phrases of at most three words, in lower case, that neither begin nor end with a stop word and cross no
    punctuation; of Chinese, words of content and pairs of them. Each once, in their order."""
    found: dict[str, None] = {}
    for part in _BREAK.split(text.casefold()):
        for phrase in (*_phrases(part), *_chinese(part)):
            found.setdefault(phrase)
    return list(found)[:MOST_CANDIDATES]


def _phrases(part: str) -> Iterator[str]:
    words = [match.group() for match in _WORD.finditer(part)]
    for start in range(len(words)):
        for end in range(start + 1, min(start + MOST_WORDS, len(words)) + 1):
            phrase = words[start:end]
            inner = [word for word in phrase if is_stop_word(word)]
            if not inner and not all(word.isdigit() for word in phrase) and max(map(len, phrase)) > 1:
                yield " ".join(phrase)


def _chinese(part: str) -> Iterator[str]:
    runs = _RUN.findall(part)
    if not runs:
        return
    import rjieba

    for run in runs:
        kept: list[str] = []
        for word, kind in rjieba.tag(run):
            content = kind.startswith(_CHINESE_KINDS) and kind not in _NO_CONTENT
            if not content or is_stop_word(word):
                kept.clear()
                continue
            if len(word) > 1:
                yield word
            if kept:
                yield kept[-1] + word
            kept.append(word)


def _overlap(one: str, other: str) -> bool:
    """Whether either phrase is a part of the other, or they share most of their words."""
    if one in other or other in one:
        return True
    left, right = set(one.split()), set(other.split())
    return 2 * len(left & right) >= max(len(left), len(right)) and len(left & right) > 0
