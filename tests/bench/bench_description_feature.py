"""Does a description's text vector help to rank? Simulated users of the sample catalogue, real vectors.

    OMP_NUM_THREADS=1 python tests/bench/bench_description_feature.py --cache FOLDER [--users 200]

Users as in `bench_descriptions`: hidden tastes, one of which changes in the last days. The template describes
each in English; the text encoder and an alignment fitted to the catalogue bring the text where the items lie.
Scores are (1 - w) times those of serving plus w times the cosine of item and text; w is chosen on users of
one seed, for each column by itself, and judged on users of another. What was met before is left out.

description  what is told of likes alone: text vectors hardly see a negation
topics       the same for the names of the topics alone, which the description takes them from

last, ndcg   the last item met with favour, foretold from all before it: HR@10 and NDCG@10
drift        share of the ten in the tastes now held, of users who changed, from all that they did
k events     share of the ten in the first tastes, after the first k events
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parents[2]))

from encoders.alignment_fit import catalogue_vectors, fit
from encoders.alignment_unseen import item_vectors
from encoders.bank import EncoderBank
from encoders.base import Medium, Modality
from encoders.language.base import Description, Kind, Request
from encoders.language.sanitising import prepared
from encoders.language.template import Template
from state.events import Action
from state.learning.intervals import paired
from state.ranking import queries
from streams.demo.catalogue import sample_catalogue
from tests.bench.bench_descriptions import MOST_SENTENCES, states_of
from tests.bench.sample_vectors import catalogue_sample, opened_bank
from tests.bench.simulated_readers import Deed, Reader, readers, sample_items

TEXT = 0
WEIGHTS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0)
FIRST = (3, 4, 5)
SLATE = 10
SEEDS = (501, 502)
"""To choose by, and to judge by."""
FAVOUR = frozenset({Action.VIEW, Action.CLICK, Action.LIKE, Action.SAVE, Action.SHARE})
_OPPOSED = frozenset({Kind.DISLIKED, Kind.MODALITY, Kind.TIME, Kind.SENTIMENT})
Float32 = NDArray[np.float32]


@dataclass(frozen=True)
class Case:
    """A user as of some moment, and what is wanted of the slate."""

    reader: Reader
    wanted: frozenset[int]
    """Rows of items."""


class World:
    """Items with their real vectors, and a way from texts to where they lie."""

    def __init__(self, cache: Path, bank: EncoderBank) -> None:
        sample = catalogue_sample(bank, cache)
        self._bank = bank
        self._alignment = fit(sample.items, bank.builtin_alignment())
        whole = item_vectors(self._alignment, sample.items)
        titled = [row for row, item in enumerate(sample_catalogue(cache).items) if item.title]
        self.items = [
            msgspec.structs.replace(item, vectors=_packed(whole.vectors[row], whole.present[row]))
            for row, item in zip(titled, sample_items(cache), strict=True)
        ]
        self.rows = {item.item_id: row for row, item in enumerate(self.items)}
        self.categories = [item.categories[0] for item in self.items]

    def text_vectors(self, texts: Sequence[str]) -> list[dict[int, bytes]]:
        media = ([Medium(text.encode(), Modality.TEXT)] if text else [] for text in texts)
        found = item_vectors(self._alignment, catalogue_vectors(self._bank, media))
        return [_packed(row, present) for row, present in zip(found.vectors, found.present, strict=True)]

    def of_tastes(self, tastes: Sequence[str]) -> frozenset[int]:
        return frozenset(row for row, category in enumerate(self.categories) if category in tastes)


def _packed(vectors: Float32, present: NDArray[np.bool_]) -> dict[int, bytes]:
    return {code: vectors[code].astype("<f2").tobytes() for code in np.flatnonzero(present).tolist()}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--users", type=int, default=200)
    chosen = parser.parse_args()
    with opened_bank(chosen.cache) as bank:
        world = World(chosen.cache, bank)
        tables = [measured(world, readers(chosen.users, world.items, seed)) for seed in SEEDS]
    print(
        f"{'':<10} {'text':<12} {'users':>5} {'without':>8} {'w':>4} {'with':>8} {'less without (95 %)':>24}"
    )
    for (column, text), by_weight in tables[0].items():
        weight = max(by_weight, key=lambda w: (float(by_weight[w].mean()), -w))
        judged = tables[1][column, text]
        gain = paired(judged[weight], judged[0.0], np.arange(len(judged[0.0]), dtype=np.int32))
        print(
            f"{column:<10} {text:<12} {len(judged[0.0]):>5} {judged[0.0].mean():>8.3f} {weight:>4} "
            f"{judged[weight].mean():>8.3f} {f'{gain.low:+.3f} to {gain.high:+.3f}':>24}"
        )


Figures = dict[tuple[str, str], dict[float, NDArray[np.float64]]]


def measured(world: World, users: Sequence[Reader]) -> Figures:
    """By column and text, and by weight, one figure a user."""
    found: Figures = {}
    for column, cases, score in columns(world, users):
        base, texts = signals(world, cases)
        seen = np.array([[row in _met(case, world) for row in range(len(world.items))] for case in cases])
        for text, cosines in texts.items():
            found[column, text] = {
                weight: np.array(
                    [
                        score(_best(row), case.wanted)
                        for row, case in zip(
                            np.where(seen, -9.0, (1 - weight) * base + weight * cosines), cases, strict=True
                        )
                    ]
                )
                for weight in WEIGHTS
            }
    return found


Score = Callable[[Sequence[int], frozenset[int]], float]


def columns(world: World, users: Sequence[Reader]) -> list[tuple[str, list[Case], Score]]:
    """What is foretold of whom, and how it is judged."""
    last = [case for user in users if (case := _last(user, world)) is not None]
    changed = [Case(user, world.of_tastes(user.current)) for user in users if user.arrives]
    found: list[tuple[str, list[Case], Score]] = [
        ("last", last, lambda slate, wanted: float(bool(wanted & set(slate)))),
        ("ndcg", last, _ndcg),
        ("drift", changed, _share),
    ]
    for count in FIRST:
        early = [Case(_until(user, count), world.of_tastes(user.tastes)) for user in users]
        found.append((f"{count} events", early, _share))
    return found


def signals(world: World, cases: Sequence[Case]) -> tuple[Float32, dict[str, Float32]]:
    """Scores of serving [n, items], and cosines of items with each kind of text."""
    fusion, states, requests = states_of([case.reader for case in cases], world.items)
    items = fusion.item_vectors([item.vectors for item in world.items])
    harmless = [prepared(request) for request in requests]
    texts = {
        "description": [_told(request) for request in harmless],
        "topics": [", ".join(_liked_topics(request)) for request in harmless],
    }
    cosines = {
        name: np.asarray(fusion.item_vectors(world.text_vectors(of)) @ items.T, np.float32)
        for name, of in texts.items()
    }
    return np.asarray(queries(fusion.read(states)) @ items.T, np.float32), cosines


def _told(request: Request) -> str:
    likes = [one for one in request.statements if one.kind not in _OPPOSED and one.weight >= 0]
    (found,) = Template(MOST_SENTENCES).write([msgspec.structs.replace(request, statements=tuple(likes))])
    return found.summary if isinstance(found, Description) else ""


def _liked_topics(request: Request) -> list[str]:
    return [one.text for one in request.statements if one.kind is Kind.TOPIC and one.weight > 0]


def _until(reader: Reader, count: int) -> Reader:
    return replace(reader, deeds=reader.deeds[:count])


def _last(reader: Reader, world: World) -> Case | None:
    """Up to the last thing met with favour that had not been met before."""
    for place in range(len(reader.deeds) - 1, 0, -1):
        deed = reader.deeds[place]
        before = {one.item.item_id for one in reader.deeds[:place] if one.item is not None}
        if deed.action in FAVOUR and deed.item is not None and deed.item.item_id not in before:
            return Case(_until(reader, place), frozenset({world.rows[deed.item.item_id]}))
    return None


def _met(case: Case, world: World) -> frozenset[int]:
    deeds: Sequence[Deed] = case.reader.deeds
    return frozenset(world.rows[deed.item.item_id] for deed in deeds if deed.item is not None)


def _best(scores: Float32) -> list[int]:
    return list(np.argsort(-scores, kind="stable")[:SLATE].tolist())


def _share(slate: Sequence[int], wanted: frozenset[int]) -> float:
    return len(wanted & set(slate)) / len(slate)


def _ndcg(slate: Sequence[int], wanted: frozenset[int]) -> float:
    return sum(1 / float(np.log2(2 + place)) for place, row in enumerate(slate) if row in wanted)


if __name__ == "__main__":
    main()
