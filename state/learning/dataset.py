"""Interactions from a file or folder with what is told of their items, and vectors made of that."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from state.errors import LearningError
from state.layout import MODALITY_COUNT, SHARED_DIM
from state.learning.interactions import Float32, Int64, Interactions, ItemContent

EncodeTexts = Callable[[Sequence[str]], Float32]
"""Vectors float32 [n, 128] of texts in the shared space, of unit length, or zero where there is none."""

_TEXT = 0


@dataclass(frozen=True)
class Facts:
    """What a file tells of one item. `text` is what is told beside the topics."""

    text: str = ""
    topics: tuple[str, ...] = ()
    published_ms: int | None = None


@dataclass(frozen=True)
class Dataset:
    """Interactions, and of each of their items a text, topics and the time of publishing, where told.

    words: one text per item, "" where there is none; texts: the same with its topics. published_ms: int64
    [items], or None where none is told; an item of which it alone is not told has that of its first event.
    """

    name: str
    interactions: Interactions
    words: tuple[str, ...]
    topics: tuple[tuple[str, ...], ...]
    published_ms: Int64 | None
    unknown: str = ""
    """Fields that nothing reads, and how many records have them, as they are told."""

    @cached_property
    def texts(self) -> tuple[str, ...]:
        return tuple(
            ". ".join(part for part in (words, " ".join(topics)) if part)
            for words, topics in zip(self.words, self.topics, strict=True)
        )

    @property
    def described(self) -> bool:
        return any(self.texts)

    def of_topics(self, kept: Collection[str]) -> "Dataset":
        """The same, where nothing is told of other topics than these."""
        topics = tuple(tuple(topic for topic in own if topic in kept) for own in self.topics)
        return replace(self, topics=topics)


def dataset_of(name: str, interactions: Interactions, facts: dict[str, Facts], unknown: str = "") -> Dataset:
    """Joins events and items by id; items without an event are left out. LearningError where none is left."""
    if not len(interactions):
        beside = f"; fields that nothing reads: {unknown}" if unknown else ""
        raise LearningError(f"{name}: no event is left to learn from{beside}")
    each = [facts.get(item_id, Facts()) for item_id in interactions.item_ids]
    published = None
    if any(one.published_ms is not None for one in each):
        first = np.full(interactions.items, np.iinfo(np.int64).max)
        np.minimum.at(first, interactions.item, interactions.time_ms)
        told = [one.published_ms for one in each]
        published = np.array(
            [own if when is None else when for own, when in zip(first.tolist(), told, strict=True)], np.int64
        )
    words = tuple(one.text for one in each)
    return Dataset(name, interactions, words, tuple(one.topics for one in each), published, unknown)


def content_of(dataset: Dataset, encode: EncodeTexts, space: str = "") -> ItemContent | None:
    """The items' vectors, made of their texts by encoders of this version; None where no item has a text."""
    if not dataset.described:
        return None
    vectors = np.zeros((len(dataset.texts), MODALITY_COUNT, SHARED_DIM), np.float32)
    some = [place for place, text in enumerate(dataset.texts) if text]
    vectors[some, _TEXT] = encode([dataset.texts[place] for place in some])
    return ItemContent(vectors, np.asarray(vectors.any(axis=2)), dataset.topics, dataset.published_ms, space)
