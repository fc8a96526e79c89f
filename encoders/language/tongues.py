"""The languages that descriptions are written and checked in."""

import tomllib
import unicodedata
from collections.abc import Callable
from functools import lru_cache
from importlib.resources import files
from typing import Any

import snowballstemmer

from encoders.language.reading import key_of
from encoders.language.tongue import Cue, Key, Tongue

_stemmer = snowballstemmer.stemmer("english")


@lru_cache(maxsize=20_000)
def _english(word: str) -> str:
    """A word without its ending, by the Porter2 stemmer."""
    plain = word.casefold().replace("’", "'")
    return str(_stemmer.stemWord(plain.removesuffix("'s").removesuffix("'")))


def _chinese(word: str) -> str:
    """Latin words without case; they keep their endings, as names do in a Chinese sentence."""
    return unicodedata.normalize("NFKC", word).casefold()


def _loaded(name: str, fold: Callable[[str], str]) -> Tongue:
    found = tomllib.loads(files(__package__).joinpath(f"{name}.toml").read_text(encoding="utf-8"))
    before, after = found["quotes"]
    return Tongue(
        code=found["code"], lexicon=_lexicon(found["words"], fold), fold=fold, quotes=(before, after),
        plain_units=frozenset(fold(unit) for unit in found["plain_units"]),
        most_characters=found["most_characters"], wording=found["wording"], fixed=found["fixed"],
        comma=found["comma"], final=found["final"], quote_topics=found["quote_topics"],
    )  # fmt: skip


def _lexicon(words: dict[str, Any], fold: Callable[[str], str]) -> dict[Key, Cue]:
    """Phrases, parted by commas, in units. A later cue does not displace an earlier one."""
    found: dict[Key, Cue] = {}
    for name, phrases in words.items():
        for phrase in phrases.split(","):
            found.setdefault(key_of(phrase, fold), Cue[name.upper()])
    found.pop((), None)
    return found


ENGLISH = _loaded("english", _english)
CHINESE = _loaded("chinese", _chinese)
TONGUES: dict[str, Tongue] = {tongue.code: tongue for tongue in (ENGLISH, CHINESE)}
