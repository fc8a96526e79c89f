"""What features of items tell of whether users will like them: information gain, by exact counts."""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence

import msgspec
import numpy as np

from state.errors import LearningError
from state.layout import MODALITY_NAMES
from state.learning.interactions import Bool, Int64, Interactions, ItemContent
from state.learning.protocol import Targets
from state.learning.verdicts import enough, judged, liked

TOPIC, MODALITY = "topic", "modality"


class Gain(msgspec.Struct, frozen=True):
    """What a feature tells. `events`: those with a verdict whose item has it, `liked` the part of likes among
    them. `bits`: the information gain, H(verdict) - H(verdict | whether the item has the feature).
    `chance`: how likely as much would be of a feature that tells nothing (G-test, one degree of freedom);
    events of one user are not independent, so it is told too low."""

    kind: str
    name: str
    events: int
    liked: float
    bits: float
    chance: float


def gains(events: Interactions, features: Mapping[tuple[str, str], Int64]) -> list[Gain]:
    """Of features by (kind, name), given the items that have each, int64; those that tell most come first.

    Raises LearningError where there are too few likes or dislikes to count, and where there is no feature.
    """
    if not features:
        raise LearningError("nothing is told of the items: they have no topics, and all the same modalities")
    every = Targets(events, np.arange(len(events)))
    if not enough(every):
        raise LearningError("too few likes or dislikes to tell what features say of them")
    with_verdict = every.part(judged(every))
    likes = liked(with_verdict)
    count = events.items
    by_item = np.stack([np.bincount(with_verdict.items[each], minlength=count) for each in (likes, ~likes)])
    whole = by_item.sum(axis=1)
    found = [_gain(name, by_item[:, items].sum(axis=1), whole) for name, items in features.items()]
    return sorted(found, key=lambda gain: (-gain.bits, gain.kind, gain.name))


def topics_of(topics: Sequence[Sequence[str]]) -> dict[tuple[str, str], Int64]:
    """The items of each topic."""
    places: dict[tuple[str, str], list[int]] = defaultdict(list)
    for item, own in enumerate(topics):
        for topic in dict.fromkeys(own):
            places[TOPIC, topic].append(item)
    return {name: np.array(items, np.int64) for name, items in places.items()}


def modalities_of(content: ItemContent) -> dict[tuple[str, str], Int64]:
    """The items of each modality that some have and some lack."""
    present: Bool = content.present
    return {
        (MODALITY, name): np.flatnonzero(present[:, code])
        for code, name in enumerate(MODALITY_NAMES)
        if present[:, code].any() and not present[:, code].all()
    }


def best_topics(events: Interactions, topics: Sequence[Sequence[str]], number: int) -> frozenset[str]:
    """The topics that tell most. Raises LearningError as `gains` does."""
    return frozenset(each.name for each in gains(events, topics_of(topics))[:number])


def _gain(name: tuple[str, str], with_it: Int64, whole: Int64) -> Gain:
    """`with_it`, `whole` [2]: likes and dislikes of items that have the feature, and of all."""
    total, having = int(whole.sum()), int(with_it.sum())
    apart = (having * _entropy(with_it) + (total - having) * _entropy(whole - with_it)) / total
    bits = max(0.0, _entropy(whole) - apart)
    chance = math.erfc(math.sqrt(bits * total * math.log(2)))
    return Gain(*name, having, float(with_it[0] / having) if having else 0.0, bits, chance)


def _entropy(counts: Int64) -> float:
    """In bits."""
    shares = counts[counts > 0] / max(1, int(counts.sum()))
    return float(-(shares * np.log2(shares)).sum())
