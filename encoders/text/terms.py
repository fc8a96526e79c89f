"""Terms of a text, in any script, and their places in a vector of fixed length."""

import re
import unicodedata
from collections.abc import Iterator

import numpy as np
import xxhash
from numpy.typing import NDArray

from encoders.base import Float32

DIM = 1024
"""Places of a hashed vector."""

# Han, kana, Thai, Lao, Khmer, Burmese: written without blanks between words.
UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u31f0-\u31ff"
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
)
# Marks are parts of words in most scripts of India, which `\w` does not know.
MARKS = "".join(
    character
    for character in map(chr, range(0x300, 0x10000))
    if unicodedata.category(character) in ("Mn", "Mc")
)
TERM = re.compile(f"[{UNSPACED}]+|(?:[^\\W_{UNSPACED}]|[{MARKS}])+")
FIRST_UNSPACED = re.compile(f"[{UNSPACED}]")


def terms(text: str) -> Iterator[str]:
    """Words without case; of scripts without blanks single characters and pairs of neighbours.

    Pairs find nearly what words would (Nie, Gao, Zhang and Zhou, "On the use of words and n-grams for Chinese
    information retrieval", 2000), and need no dictionary.
    """
    for match in TERM.finditer(text.casefold()):
        run = match.group()
        if FIRST_UNSPACED.match(run):
            yield from run
            yield from (run[place : place + 2] for place in range(len(run) - 1))
        else:
            yield run


def term_ids(text: str) -> NDArray[np.uint64]:
    """A number of 64 bits for each term, in their order; the same on every machine."""
    hashed = (xxhash.xxh3_64_intdigest(term.encode(errors="replace")) for term in terms(text))
    return np.fromiter(hashed, np.uint64)


def term_counts(text: str) -> tuple[NDArray[np.uint64], Float32]:
    """The different terms of a text in ascending order of their numbers, and how often each occurs."""
    numbers, counts = np.unique(term_ids(text), return_counts=True)
    return numbers, counts.astype(np.float32)


def damped(counts: Float32) -> Float32:
    """1 + ln: a term that occurs ten times says little more than one that occurs twice."""
    return np.asarray(1.0 + np.log(counts), np.float32)


def placed(numbers: NDArray[np.uint64], weights: Float32) -> Float32:
    """Weights of terms as a vector, float32 [DIM].

    Feature hashing with signs (Weinberger and others, ICML 2009): the low bits say where a term goes, the
    highest whether it counts up or down, so that terms that meet in a place cancel as often as they add up.
    """
    places = (numbers % np.uint64(DIM)).astype(np.int64)
    signs = np.where(numbers >> np.uint64(63), 1.0, -1.0)
    return np.bincount(places, weights * signs, minlength=DIM).astype(np.float32)
