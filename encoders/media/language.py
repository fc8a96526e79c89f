"""In what language a text is written.

The classifier is py3langid: multinomial naive Bayes over byte n-grams (Lui and Baldwin, "langid.py", ACL
2012), 142 languages, its model inside the package.
"""

import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from encoders.errors import ArtifactError

UNDETERMINED = "und"
"""ISO 639-2 for a language that cannot be told."""
LEAST_CONFIDENCE = 0.4
"""Below it the first guess was wrong as often as right on short titles (docs/decisions/0011-classics.md)."""
MOST_CHARACTERS = 2_000
"""What is looked at: more changes no answer."""


class Language(NamedTuple):
    """A code of ISO 639 and how sure it is, 0 to 1."""

    code: str
    confidence: float


def detect_language(text: str, among: Sequence[str] = ()) -> Language:
    """The language of a text, `und` where too little speaks for any.

    `among` names the codes that are possible (empty: all that are known); fewer are told apart better.
    Raises ArtifactError for a code that is not known. The first call takes most of a second.
    """
    short = text[:MOST_CHARACTERS]
    if not any(unicodedata.category(character).startswith("L") for character in short):
        return Language(UNDETERMINED, 0.0)
    code, confidence = _identifier(tuple(sorted(set(among)))).classify(short)
    if confidence < LEAST_CONFIDENCE:
        return Language(UNDETERMINED, float(confidence))
    return Language(str(code), float(confidence))


@lru_cache(maxsize=4)
def _identifier(among: tuple[str, ...]) -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    if among:
        try:
            identifier.set_languages(list(among))
        except ValueError as error:
            raise ArtifactError(f"a language to choose among is not known: {error}") from error
    return identifier
