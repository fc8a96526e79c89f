"""What an adapter learns from: a catalogue's texts, with their categories and their parts."""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import xxhash
from numpy.typing import NDArray

from encoders.adapters.settings import Objective
from encoders.errors import ArtifactError

LEAST = 20
"""Texts below which there is nothing to hold out and to learn from at once."""
MOST_HELD_OUT = 2_000
"""Each is compared with each after every epoch."""

Rows = NDArray[np.int64]
Shared = NDArray[np.bool_]


class CatalogueText(NamedTuple):
    """The text of an item as it is encoded, its title and the rest of it, and its categories."""

    whole: str
    title: str = ""
    rest: str = ""
    categories: tuple[str, ...] = ()


class Material(NamedTuple):
    """Texts that an objective can learn from, no text twice."""

    objective: Objective
    texts: tuple[CatalogueText, ...]

    @property
    def fingerprint(self) -> str:
        """32 hexadecimal digits of the texts and their categories."""
        return xxhash.xxh3_128_hexdigest(repr([tuple(each) for each in self.texts]).encode())

    def split(self, held_out: float, seed: int) -> tuple[Rows, Rows]:
        """Rows to learn from and rows held out."""
        order = np.random.default_rng(seed).permutation(len(self.texts))
        kept = min(MOST_HELD_OUT, max(2, round(held_out * len(order))))
        return np.sort(order[kept:]), np.sort(order[:kept])


def material(texts: Sequence[CatalogueText], objective: Objective | None) -> Material:
    """The texts that serve the objective; without one, categories where most texts have them.

    Raises ArtifactError where too few do.
    """
    of_categories, of_parts = _with_fellows(_distinct(texts)), _with_parts(texts)
    if objective is None:
        objective = "categories" if len(of_categories) * 2 >= len(texts) or not of_parts else "parts"
    chosen = of_categories if objective == "categories" else of_parts
    if len(chosen) < LEAST:
        needed = {
            "categories": "a category that another text has, too (of two categories or more)",
            "parts": "both a title and a description or tags",
        }
        raise ArtifactError(f"{len(chosen)} of {len(texts)} texts have {needed[objective]}: {LEAST} must")
    return Material(objective, tuple(chosen))


def sharing(texts: Sequence[CatalogueText]) -> Shared:
    """Which texts have a category in common, bool [n, n]; a text has none with itself."""
    names = {name: at for at, name in enumerate(sorted({one for each in texts for one in each.categories}))}
    having = np.zeros((len(texts), len(names)), np.float32)
    for row, each in enumerate(texts):
        having[row, [names[one] for one in each.categories]] = 1
    shared: Shared = having @ having.T > 0
    np.fill_diagonal(shared, False)
    return shared


def _distinct(texts: Sequence[CatalogueText]) -> list[CatalogueText]:
    """A text that several items have comes once, with the categories of all."""
    found: dict[str, CatalogueText] = {}
    for each in texts:
        if each.whole:
            before = found.get(each.whole, each)
            categories = tuple(dict.fromkeys((*before.categories, *each.categories)))
            found[each.whole] = before._replace(categories=categories)
    return list(found.values())


def _with_fellows(texts: Sequence[CatalogueText]) -> list[CatalogueText]:
    """Of one category alone nothing can be learnt."""
    counts = Counter(name for each in texts for name in each.categories)
    kept = [each for each in texts if any(counts[name] > 1 for name in each.categories)]
    return kept if len(counts) > 1 else []


def _with_parts(texts: Sequence[CatalogueText]) -> list[CatalogueText]:
    """One of each title and of each rest, so that no wrong answer is a right one."""
    titles: dict[str, CatalogueText] = {}
    for each in texts:
        if each.title and each.rest:
            titles.setdefault(each.title, each)
    return list({each.rest: each for each in reversed(titles.values())}.values())[::-1]
