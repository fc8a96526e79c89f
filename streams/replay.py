"""Prequential replay: the pipeline of operation runs over old events, each foretold before it is learnt.

Every event goes the whole way: encode stage, engine, fusion, ranking. What an event is held against is the
slate that its user was sent last. Events of one batch are of different users, so that no slate is older than
its user's event before; for larger batches, users take turns within a window, which changes no slate, since a
state is made of its own user's events alone. Beside it stands what a count of all events up to the window
would have shown, and chance.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import msgspec
import numpy as np
from numpy.typing import NDArray

from state.events import ACTIONS
from state.learning.dataset import Dataset
from streams.encode.media import MediaEncoder
from streams.pipeline import Pipeline
from streams.raw import RawRecord
from streams.records import Interaction, Item, MediaReference, Recommendation
from streams.replay_results import ReplayFigures, ReplayResult
from streams.settings import Settings

PLACES = 20
"""Of the slates."""
CUTS = (5, 10, 20)
AT_ONCE = 128
"""Events of different users that go together."""
WINDOW = 1_024
"""Events among which users take turns."""
_ITEMS = 256
_TRIM = 64
"""Batches after which what was read already is let go."""
_FOREVER_DAYS = 36_500.0
_COUNTING, _CHANCE = "popularity so far", "chance"
_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Recommendation)


@dataclass
class _Tally:
    """Ranks of what was taken, in each way; 0 where it was not shown."""

    served: list[int] = field(default_factory=list)
    counted: list[int] = field(default_factory=list)
    choice: list[int] = field(default_factory=list)
    """How many items the user had not seen."""


class Replay:
    """Replays events of a dataset in order of time; with `events` the last so many alone."""

    def __init__(
        self, dataset: Dataset, settings: Settings, media: MediaEncoder, artifact: str, events: int = 0
    ) -> None:
        """The settings hold, but for: one partition, slates of 20 places, and seen items that stay hidden, as
        the other protocols hide them. `artifact` is a folder, or "" for the content prior."""
        replace = msgspec.structs.replace
        recommend = replace(
            settings.recommend, top_k=PLACES, seen_days=_FOREVER_DAYS, min_interval_seconds=0.0
        )
        topics = replace(settings.topics, partitions=1, repartition=False)
        chosen = replace(
            settings, recommend=recommend, topics=topics, model=replace(settings.model, artifact=artifact)
        )
        self._dataset, self._source = dataset, dataset.interactions
        order = np.argsort(self._source.time_ms, kind="stable")
        self._order = order[-events:] if events else order
        self._topics = topics
        self.pipeline = Pipeline(chosen, media)
        self._offsets = {topics.items: 0, topics.interactions: 0}
        self._codes = {item_id: code for code, item_id in enumerate(self._source.item_ids)}
        self._slates: dict[int, list[int]] = {}
        self._seen = [set[int]() for _ in range(self._source.users)]
        self._users = {user_id: code for code, user_id in enumerate(self._source.user_ids)}
        self._counts = np.zeros(self._source.items, np.int64)
        self._told: list[int] = []
        """Users of the latest slates, in the order in which these were made."""

    @property
    def total(self) -> int:
        return len(self._order)

    def run(self, name: str, tell: Callable[[int], None]) -> ReplayResult:
        """`tell` is told how many events are done."""
        self._send_items()
        tally, done, model = _Tally(), 0, ""
        for number, batch in enumerate(self._batches(), 1):
            self._foretell(batch, tally)
            model = self._learn(batch) or model
            done += len(batch)
            if number % _TRIM == 0:
                self.pipeline.trim()
            tell(done)
        return _result(name, model, self._dataset.name, (tally, self.total, len(self._slates)))

    def _send_items(self) -> None:
        dataset = self._dataset
        records = []
        for code, item_id in enumerate(self._source.item_ids):
            text = dataset.texts[code]
            media = [MediaReference(modality="text", text=text)] if text else []
            published = None if dataset.published_ms is None else int(dataset.published_ms[code])
            item = Item(item_id, tags=list(dataset.topics[code]), media=media, published_at=published)
            records.append(self._record(self._topics.items, item_id, _encoder.encode(item), 0))
        for start in range(0, len(records), _ITEMS):
            self.pipeline.send(records[start : start + _ITEMS])

    def _batches(self) -> Iterator[list[int]]:
        """Positions of events, each of another user: of a window the first of every user, then the second."""
        for start in range(0, self.total, WINDOW):
            window = self._order[start : start + WINDOW]
            turn = _turns(self._source.user[window])
            for number in range(int(turn.max()) + 1):
                batch = window[turn == number].tolist()
                for first in range(0, len(batch), AT_ONCE):
                    yield batch[first : first + AT_ONCE]
            np.add.at(self._counts, self._source.item[window], 1)

    def _foretell(self, batch: list[int], tally: _Tally) -> None:
        order = np.argsort(-self._counts, kind="stable")
        for position in batch:
            user, item = int(self._source.user[position]), int(self._source.item[position])
            slate, seen = self._slates.get(user), self._seen[user]
            if slate is not None:
                tally.served.append(slate.index(item) + 1 if item in slate else 0)
                tally.counted.append(_place(order, seen, item))
                tally.choice.append(self._source.items - len(seen - {item}))

    def _learn(self, batch: list[int]) -> str:
        """Sends the events and takes the slates; the version of the artifact that made them."""
        self.pipeline.send([self._event(position) for position in batch])
        for position in batch:
            self._seen[int(self._source.user[position])].add(int(self._source.item[position]))
        model = ""
        self._told.clear()
        for output in self.pipeline.read(self._topics.recommendations):
            slate = _decoder.decode(output.value or b"")
            self._told.append(self._users[slate.user_id])
            self._slates[self._told[-1]] = [self._codes[one.item_id] for one in slate.items]
            model = slate.model
        return model

    def _event(self, position: int) -> RawRecord:
        source = self._source
        user_id = source.user_ids[source.user[position]]
        value, dwell = float(source.value[position]), float(source.dwell[position])
        event = Interaction(
            user_id,
            str(ACTIONS[source.action[position]]),
            int(source.time_ms[position]),
            item_id=source.item_ids[source.item[position]],
            value=None if np.isnan(value) else value,
            dwell_seconds=None if np.isnan(dwell) else dwell,
        )
        time_ms = int(source.time_ms[position])
        return self._record(self._topics.interactions, user_id, _encoder.encode(event), time_ms)

    def _record(self, topic: str, key: str, value: bytes, time_ms: int) -> RawRecord:
        offset = self._offsets[topic]
        self._offsets[topic] += 1
        return RawRecord(topic, 0, offset, time_ms, key.encode(), value)


def _turns(users: NDArray[np.int32]) -> NDArray[np.int64]:
    """How many events of the same user stand before each."""
    order = np.argsort(users, kind="stable")
    ordered = users[order]
    turns = np.empty(len(users), np.int64)
    turns[order] = np.arange(len(users)) - np.searchsorted(ordered, ordered)
    return turns


def _place(order: NDArray[np.int64], seen: set[int], item: int) -> int:
    """Place of the item among the first PLACES that were not seen; 0 where it is not among them."""
    place = 0
    for code in order[: PLACES + len(seen)].tolist():
        if code not in seen or code == item:
            place += 1
            if code == item:
                return place if place <= PLACES else 0
    return 0


def _result(name: str, model: str, data: str, run: tuple[_Tally, int, int]) -> ReplayResult:
    tally, events, users = run
    served = np.array(tally.served, np.int64)
    choice = np.array(tally.choice, np.float64)
    figures = [
        ReplayFigures(name, _metrics(served)),
        ReplayFigures(_COUNTING, _metrics(np.array(tally.counted, np.int64))),
        ReplayFigures(_CHANCE, {f"hr@{cut}": _mean(np.minimum(1, cut / choice)) for cut in CUTS}),
    ]
    hits = (served > 0) & (served <= 10)
    parts = max(1, min(10, len(hits)))
    tenths = [_mean(part) for part in np.array_split(hits.astype(np.float64), parts)]
    return ReplayResult(name, model, data, events, len(served) / max(1, events), users, figures, tenths)


def _metrics(ranks: NDArray[np.int64]) -> dict[str, float]:
    out = {}
    shown = ranks > 0
    for cut in CUTS:
        hit = shown & (ranks <= cut)
        out[f"hr@{cut}"] = _mean(hit.astype(np.float64))
        out[f"ndcg@{cut}"] = _mean(np.where(hit, 1 / np.log2(np.maximum(ranks, 1) + 1), 0.0))
    out[f"mrr@{PLACES}"] = _mean(np.where(shown, 1 / np.maximum(ranks, 1), 0.0))
    return out


def _mean(values: NDArray[np.float64]) -> float:
    return float(values.mean()) if len(values) else 0.0
