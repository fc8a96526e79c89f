"""Slates: what is recommended to each user of a batch, as arrays of properties or one by one."""

import itertools
from typing import NamedTuple

import msgspec

from state.reasons import Reasons, Why

SOURCES = (
    "interest",
    "head",
    "trending",
    "new",
    "content",
    "collaborative",
    "liked",
    "explored",
    "pinned",
)
"""Where a pick comes from, by code: the ranking vector, a head alone, demand, the date of publishing; where
strategies are blended, the one that says most for it; exploration; a pin."""
INTEREST, HEAD, TRENDING, NEW, CONTENT, COLLABORATIVE, LIKED, EXPLORED, PINNED = SOURCES

_json = msgspec.json.Decoder(str)


class Slate(NamedTuple):
    """The picks of one user, best first, property by property.

    A score is the inner product for interest, head and explored, the demand as a share of the most demanded
    item's for trending, and 0 for new and pinned; where strategies are blended, the blend, 0 to 1.
    """

    items: list[str]
    scores: list[float]
    sources: list[str]
    reasons: list[list[Why]]


class Slates(NamedTuple):
    """The picks of many users, property by property, user after user and best first."""

    counts: list[int]
    """Picks of each user."""
    items: list[bytes]
    """Ids as JSON."""
    scores: list[float]
    sources: list[int]
    """Codes: places in SOURCES."""
    reasons: Reasons
    propensities: list[float] | None = None
    """How likely each pick was to be drawn to be explored, 0 for others; None where nothing is explored."""

    def each(self) -> list[Slate]:
        """User by user."""
        items, sources = list(map(_json.decode, self.items)), [SOURCES[code] for code in self.sources]
        reasons = self.reasons.each()
        ends = itertools.accumulate(self.counts, initial=0)
        return [
            Slate(
                items[start:end],
                self.scores[start:end],
                sources[start:end],
                reasons[start:end],
            )
            for start, end in itertools.pairwise(ends)
        ]
