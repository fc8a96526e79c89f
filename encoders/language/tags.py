"""Keywords and tags of a description: names of statements, whoever writes the sentences."""

from collections.abc import Sequence

from encoders.language.base import Kind, Statement

MOST_KEYWORDS = 10
MOST_TAGS = 10
MOST_KEYWORD_CHARACTERS = 40


def keywords_of(statements: Sequence[Statement]) -> tuple[str, ...]:
    """What the user wrote or searched for, in words of their own, each once."""
    found: dict[str, str] = {}
    for kind in (Kind.SEARCH, Kind.KEYWORD):
        for one in statements:
            if one.kind is kind and len(one.text) <= MOST_KEYWORD_CHARACTERS:
                found.setdefault(one.text.casefold(), one.text)
    return tuple(found.values())[:MOST_KEYWORDS]


def tags_of(statements: Sequence[Statement]) -> tuple[str, ...]:
    """Topics that the user likes, weightiest first."""
    liked = [one for one in statements if one.kind is Kind.TOPIC and one.weight > 0]
    ordered = sorted(liked, key=lambda one: -one.weight)
    return tuple(dict.fromkeys(one.text for one in ordered))[:MOST_TAGS]
