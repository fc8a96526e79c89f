"""Which strategy shows what viewers like, and how soon does it follow a change of taste? Simulated viewers.

    OMP_NUM_THREADS=1 python tests/bench/bench_strategies.py --cache FOLDER [--seeds 5] [--only collaborative]
        [--fusions] [--weights '{"interest": 1, "collaborative": 0.4}'] [--json FILE]

The catalogue is the demo's (pictures, titles, sounds, clips; real vectors, aligned without labels). 24
viewers of the demo (`streams/demo/viewers.py`), each with two hidden tastes among the categories, do 60
things each; after 30, one of the tastes changes. Half of what they do starts from their slate, so each
strategy lives with what it shows. 150 others, with tastes of their own, did 40 things each before, without
slates: what they took is what collaboration and demand rest on. All of it goes through both processors on
the real engine; there is no broker. Columns, mean and deviation between seeds:

taste      share of slate in the tastes, events 11 to 30
both       the weaker taste's share of the slate, events 11 to 30 (.5 is perfect balance)
new@5, 10  share of slate in the new taste, 5 and 10 events after the change
recovery   events after the change until the share in the present tastes is at 90 % of `taste` again, three
           events in a row taken together; 30 where it never was
shown      share of the catalogue that stood in any slate
spread     mean cosine distance between two items of a slate
"""

import argparse
import json
import statistics
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))

from encoders.alignment_fit import fit
from encoders.alignment_unseen import ItemVectors, item_vectors, unseen_vectors
from state.artifact import Artifact
from state.catalogue import Catalogue
from state.events import ACTIONS, Action, Pack, Row
from state.fusion import Fusion
from state.fusions import FUSIONS
from state.fusions.learning import learn
from state.fusions.untrained import untrained
from state.items import EncodedItem
from state.prior import content_prior
from state.settings import RecommendSettings
from state.trending import decode_signal
from streams.demo.catalogue import sample_catalogue
from streams.demo.viewers import Shelf, Viewer, make_viewers
from streams.interests.processor import InterestsProcessor
from streams.interests.signals import SignalsProcessor, half_life_ms, learned, memory_of
from streams.records import Interaction, Item, Recommendation
from streams.settings import Settings
from streams.testing import Driver
from tests.bench.sample_vectors import catalogue_sample, opened_bank

VIEWERS, EVENTS, CHANGE = 24, 60, 30
CROWD, CROWD_EVENTS = 150, 40
START = 1_750_000_000_000
GAP_MS, BREAK_MS, BREAKS = 40_000, 6 * 3_600_000, 0.1
TOP = 10
COUNTED = {"neighbours": 64}

STRATEGIES: dict[str, dict[str, Any]] = {
    "default (ranking vector and heads)": {},
    "interest": {"weights": {"interest": 1.0}},
    "heads": {"weights": {"heads": 1.0}},
    "content": {"weights": {"content": 1.0}},
    "collaborative": {"weights": {"collaborative": 1.0}, **COUNTED},
    "trending": {"weights": {"trending": 1.0}},
    "interest + heads, .7 : .3": {"weights": {"interest": 0.7, "heads": 0.3}},
    "interest + content, .5 : .5": {"weights": {"interest": 0.5, "content": 0.5}},
    "interest + collaborative, .8 : .2": {"weights": {"interest": 0.8, "collaborative": 0.2}, **COUNTED},
    "interest + collaborative, .5 : .5": {"weights": {"interest": 0.5, "collaborative": 0.5}, **COUNTED},
    "the same by ranks": {"weights": {"interest": 0.5, "collaborative": 0.5}, "blend": "ranks", **COUNTED},
    "interest + trending, .9 : .1": {"weights": {"interest": 0.9, "trending": 0.1}},
    "all, .4 : .1 : .2 : .2 : .1": {
        "weights": {"interest": 0.4, "heads": 0.1, "content": 0.2, "collaborative": 0.2, "trending": 0.1},
        **COUNTED,
    },
    "default, no diversity": {"diversity": 0.0},
    "default, DPP .05": {"diversity": 0.05, "diversity_method": "dpp"},
    "default, DPP .3": {"diversity": 0.3, "diversity_method": "dpp"},
    "default, one place explored": {"explore_places": 1},
}


@dataclass
class Stage:
    """The catalogue and everybody's items, the same for all strategies."""

    items: list[Item]
    encoded: list[EncodedItem]
    shelf: Shelf
    vectors: ItemVectors
    unseen: ItemVectors
    """As if the alignment had not seen the items: what fusions are trained on."""
    places: dict[str, int] = field(default_factory=dict)
    """Of items, by id."""


def stage(cache: Path) -> Stage:
    items = sample_catalogue(cache).items
    with opened_bank(cache) as bank:
        sample = catalogue_sample(bank, cache)
        builtin = bank.builtin_alignment()
        alignment = fit(sample.items, builtin)
        vectors = item_vectors(alignment, sample.items)
        unseen = unseen_vectors(alignment, sample.items, builtin)
    encoded = [
        EncodedItem(
            item.item_id,
            0,
            number,
            vectors=packed(vectors, number),
            title=item.title,
            categories=tuple(item.categories),
        )
        for number, item in enumerate(items)
    ]
    places = {item.item_id: number for number, item in enumerate(items)}
    return Stage(items, encoded, Shelf(items), vectors, unseen, places)


def packed(vectors: ItemVectors, number: int) -> dict[int, bytes]:
    present = np.flatnonzero(vectors.present[number]).tolist()
    return {code: vectors.vectors[number, code].astype("<f2").tobytes() for code in present}


class World:
    """Both engines over one catalogue."""

    def __init__(self, scene: Stage, artifact: Artifact, options: RecommendSettings) -> None:
        settings = Settings(recommend=options)
        self._scene, self._fusion = scene, Fusion(artifact)
        self.catalogue = Catalogue(self._fusion)
        self.catalogue.apply([(each.item_id, each) for each in scene.encoded])
        self._users = Driver(InterestsProcessor(self._fusion, self.catalogue, settings))
        self._items = Driver(SignalsProcessor(settings))
        self._known = half_life_ms(settings), memory_of(settings)
        self._topics = settings.topics
        self._offset = 0

    def vectors(self) -> np.ndarray:
        rows = [self.catalogue.row_of[item.item_id] for item in self._scene.items]
        return self.catalogue.columns.vectors[rows]

    def send(self, events: Sequence[Interaction]) -> dict[str, list[str]]:
        """A micro-batch; returns the slates that came of it."""
        rows = [self._row(event, self._offset + turn) for turn, event in enumerate(events)]
        pack = Pack(self._offset, self._offset + len(rows), rows)
        self._offset += len(rows)
        self._users.push(msgspec.msgpack.encode(pack))
        self._items.push_many([each.value or b"" for each in self._users.read(self._topics.item_deltas)])
        self.catalogue.learn(
            (each.key.decode(), *learned(decode_signal(each.value or b""), *self._known))
            for each in self._items.read(self._topics.item_signals)
        )
        outputs = self._users.read(self._topics.recommendations)
        slates = [msgspec.json.decode(each.value or b"", type=Recommendation) for each in outputs]
        return {slate.user_id: [place.item_id for place in slate.items] for slate in slates}

    def trim(self) -> None:
        self._users.trim()
        self._items.trim()

    def _row(self, event: Interaction, offset: int) -> Row:
        when = int(event.timestamp)
        made = Row(
            event.user_id,
            event.event_id or "",
            ACTIONS.index(Action(event.action)),
            when,
            offset,
            when,
            event.item_id,
            watched_fraction=event.watched_fraction,
            text=event.text,
        )
        if event.item_id is not None:
            item = self._scene.encoded[self._scene.places[event.item_id]]
            return msgspec.structs.replace(made, vectors=item.vectors, topics=item.topics)
        return msgspec.structs.replace(made, vectors=self._own(event))

    def _own(self, event: Interaction) -> dict[int, bytes]:
        """What an event without an item shows: the words or the medium of an item, encoded as that was."""
        for item in self._scene.items:
            vectors = self._scene.encoded[self._scene.places[item.item_id]].vectors
            if event.text is not None and item.title == event.text and 0 in vectors:
                return {0: vectors[0]}
            if event.media and event.media[0] in item.media:
                return {code: value for code, value in vectors.items() if code > 0}
        return {}


@dataclass
class Judged:
    """By event: share of the slate in the tastes, in the weaker one, in the new one; means over viewers."""

    taste: list[float]
    weaker: list[float]
    new: list[float]
    shown: float
    spread: float

    def figures(self) -> dict[str, float]:
        before = statistics.mean(self.taste[10:CHANGE])
        after = self.taste[CHANGE:]
        runs = (
            turn + 3
            for turn in range(len(after) - 2)
            if statistics.mean(after[turn : turn + 3]) >= 0.9 * before
        )
        return {
            "taste": before,
            "both": statistics.mean(self.weaker[10:CHANGE]),
            "new@5": self.new[CHANGE + 4],
            "new@10": self.new[CHANGE + 9],
            "recovery": float(next(runs, EVENTS - CHANGE)),
            "shown": self.shown,
            "spread": self.spread,
        }


class Play:
    """Viewers, and the moments at which they act."""

    def __init__(self, scene: Stage, seed: int) -> None:
        self._scene = scene
        self._rng = np.random.default_rng(seed)
        self.viewers = make_viewers(scene.shelf, VIEWERS, seed)
        crowd = make_viewers(scene.shelf, CROWD, 1_000 + seed)
        self.crowd = [replace(viewer, name=f"crowd-{number}") for number, viewer in enumerate(crowd)]
        self._clocks: dict[str, int] = {}

    def moment(self, viewer: Viewer, begin: int) -> int:
        gap = BREAK_MS if self._rng.random() < BREAKS else GAP_MS
        now = self._clocks.get(viewer.name, begin) + int(self._rng.exponential(gap)) + 1
        self._clocks[viewer.name] = now
        return now

    def warm(self, world: World) -> None:
        for _ in range(CROWD_EVENTS):
            world.send([viewer.act([], self.moment(viewer, START)) for viewer in self.crowd])
            world.trim()

    def run(self, slates_of: Any) -> Judged:
        """`slates_of` takes the events of all viewers and returns their slates by name."""
        begin = START + 3 * 86_400_000
        slates: dict[str, list[str]] = {}
        told: list[list[tuple[float, float, float]]] = []
        seen: Counter[str] = Counter()
        spreads: list[float] = []
        for event in range(EVENTS):
            if event == CHANGE:
                for viewer in self.viewers:
                    viewer.change(0)
            acts = [
                viewer.act(slates.get(viewer.name, []), self.moment(viewer, begin)) for viewer in self.viewers
            ]
            slates = slates_of(self, acts)
            told.append([self._judged(viewer, slates.get(viewer.name, [])) for viewer in self.viewers])
            for slate in slates.values():
                seen.update(slate)
                spreads.append(self._spread(slate))
        columns = np.mean(np.array(told), axis=1).T.tolist()
        return Judged(*columns, len(seen) / len(self._scene.items), statistics.mean(spreads))

    def _judged(self, viewer: Viewer, slate: Sequence[str]) -> tuple[float, float, float]:
        categories = [self._scene.shelf.category(name) for name in slate]
        shares = [categories.count(taste) / TOP for taste in viewer.tastes]
        return sum(shares), min(shares), categories.count(viewer.later) / TOP

    def _spread(self, slate: Sequence[str]) -> float:
        if len(slate) < 2:
            return 0.0
        vectors = self.plain[[self._scene.places[name] for name in slate]]
        cosines = vectors @ vectors.T
        return float(1 - cosines[np.triu_indices(len(slate), 1)].mean())

    plain: np.ndarray = np.zeros((0, 0))


def by_chance(play: Play, acts: Sequence[Interaction]) -> dict[str, list[str]]:
    names = list(play._scene.shelf.items)
    return {
        viewer.name: [
            names[place] for place in play._rng.permutation(len(names)) if names[place] not in viewer.seen
        ][:TOP]
        for viewer in play.viewers
    }


def played(
    scene: Stage, seed: int, options: RecommendSettings | None, artifact: Artifact
) -> dict[str, float]:
    play = Play(scene, seed)
    world = World(scene, artifact, options or RecommendSettings())
    play.plain = World(scene, content_prior(), RecommendSettings()).vectors()
    if options is None:
        return play.run(by_chance).figures()
    play.warm(world)
    return play.run(lambda _, acts: world.send(acts)).figures()


def line(name: str, each: list[dict[str, float]], seconds: float) -> str:
    cells = [
        f"{statistics.mean(one[key] for one in each):8.3f} ±{statistics.pstdev(one[key] for one in each):.3f}"
        for key in each[0]
    ]
    return f"{name:36}" + "".join(cells) + f"{seconds:8.0f} s"


def contenders(
    options: argparse.Namespace, scene: Stage
) -> dict[str, tuple[RecommendSettings | None, Artifact]]:
    prior = content_prior()
    if options.weights:
        weighed = {"weights": json.loads(options.weights), **COUNTED}
        return {options.weights: (msgspec.convert(weighed, RecommendSettings), prior)}
    if options.fusions:
        found: dict[str, tuple[RecommendSettings | None, Artifact]] = {}
        for kind in sorted(kind for kind in FUSIONS if options.only in kind):
            trained = learn(kind, scene.unseen.vectors, scene.unseen.present).fusion
            found[f"{kind}, untrained"] = (RecommendSettings(), replace(prior, items=untrained(kind)))
            found[f"{kind}, trained"] = (RecommendSettings(), replace(prior, items=trained))
        return found
    chosen: Mapping[str, dict[str, Any]] = {
        name: given for name, given in STRATEGIES.items() if options.only in name
    }
    made = {name: (msgspec.convert(given, RecommendSettings), prior) for name, given in chosen.items()}
    return {**({} if options.only else {"chance": (None, prior)}), **made}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--only", default="")
    parser.add_argument("--fusions", action="store_true")
    parser.add_argument("--weights", default="")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    scene = stage(options.cache)
    found: dict[str, list[dict[str, float]]] = {}
    for name, (given, artifact) in contenders(options, scene).items():
        began = time.process_time()
        found[name] = [played(scene, seed, given, artifact) for seed in range(1, options.seeds + 1)]
        if len(found) == 1:
            print(f"{'':36}" + "".join(f"{key:>15}" for key in found[name][0]))
        print(line(name, found[name], time.process_time() - began), flush=True)
    if options.json:
        options.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
