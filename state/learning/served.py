"""An artifact as it serves: events folded into a state one after another, the state read, items scored.

Nothing is worked out here: folding, reading and scoring are those of the interests worker.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from state.artifact import Artifact
from state.errors import LearningError
from state.events import Row
from state.fusion import Fusion, Readouts
from state.layout import MODALITY_COUNT
from state.learning.interactions import Float32, Int32, Interactions, ItemContent
from state.learning.protocol import Histories, demand
from state.ranking import queries

Wanted = Callable[[Readouts], Float32]

_USERS = 256
"""States folded and read together."""


@dataclass(frozen=True)
class Media:
    """What serving would know of the items: vectors by modality as rows carry them, and topics."""

    vectors: tuple[dict[int, bytes], ...]
    topics: tuple[tuple[str, ...], ...]

    @classmethod
    def of(cls, content: ItemContent | None, items: int) -> "Media":
        if content is None:
            return cls(({},) * items, ((),) * items)
        halves = content.vectors.astype("<f2")
        return cls(
            tuple(
                {
                    code: halves[item, code].tobytes()
                    for code in range(MODALITY_COUNT)
                    if content.present[item, code]
                }
                for item in range(len(content))
            ),
            content.topics,
        )


def row_of(source: Interactions, position: int, media: Media) -> Row:
    """The row that the encode worker would make of an event."""
    item = int(source.item[position])
    time_ms = int(source.time_ms[position])
    return Row(
        user_id=source.user_ids[source.user[position]],
        event_id=str(position),
        action=int(source.action[position]),
        time=time_ms,
        offset=position,
        broker_time=time_ms,
        item_id=source.item_ids[item],
        vectors=media.vectors[item],
        topics=media.topics[item],
        value=_told(source.value[position]),
        dwell_seconds=_told(source.dwell[position]),
        watched_fraction=_told(source.watched[position]),
        sentiment=_told(source.sentiment[position]),
    )


def _told(value: np.float32) -> float | None:
    return None if np.isnan(value) else float(value)


class Served:
    """Scores by an artifact; who has no interest yet is shown what is in demand, as in slates (`demand`)."""

    def __init__(
        self, name: str, artifact: Artifact, content: ItemContent | None, train: Interactions
    ) -> None:
        self.name = name
        self._fusion = Fusion(artifact)
        self._media = Media.of(content, train.items)
        self._items = self._fusion.item_vectors(self._media.vectors, train.item_ids, self._media.topics)
        self._demand = demand(train)

    def scores(self, histories: Histories) -> Float32:
        wanted = self._read(histories, queries)
        values = np.asarray(wanted @ self._items.T, np.float32)
        values[:, ~self._items.any(axis=1)] = -np.inf
        values[~wanted.any(axis=1)] = self._demand
        return values

    def _read(self, histories: Histories, what: Wanted) -> Float32:
        """What is wanted of each history's state, float32 [n, 64]."""
        out = np.zeros((len(histories), self._items.shape[1]), np.float32)
        runs = [
            list(run) for _, run in groupby(range(len(histories)), key=lambda at: self._run_of(histories, at))
        ]
        for start in range(0, len(runs), _USERS):
            self._follow(histories, runs[start : start + _USERS], what, out)
        return out

    @staticmethod
    def _run_of(histories: Histories, place: int) -> tuple[int, int]:
        return int(histories.users[place]), int(histories.first[place])

    def _follow(self, histories: Histories, runs: list[list[int]], what: Wanted, out: Float32) -> None:
        """Each run is one user's histories, each the beginning of the next: states are folded on."""
        states: list[bytes | None] = [None] * len(runs)
        done = [int(histories.first[run[0]]) for run in runs]
        for step in range(max(len(run) for run in runs)):
            active = [place for place, run in enumerate(runs) if step < len(run)]
            rows = []
            for place in active:
                end = int(histories.end[runs[place][step]])
                rows.append([row_of(histories.source, at, self._media) for at in range(done[place], end)])
                done[place] = end
            folded = self._fusion.fold([states[place] for place in active], rows).states
            for place, state in zip(active, folded, strict=True):
                states[place] = state
            out[[runs[place][step] for place in active]] = what(self._fusion.read(folded))


class JudgingServed(Served):
    """An artifact that tells likes besides; `state.learning.verdicts.Judge`."""

    def __init__(
        self, name: str, artifact: Artifact, content: ItemContent | None, train: Interactions
    ) -> None:
        if artifact.judges is None:
            raise LearningError(f"{name} has no heads that judge")
        super().__init__(name, artifact, content, train)
        self._judges = artifact.judges

    def likes(self, histories: Histories, items: Int32) -> Float32:
        """Probability that each history's user likes its item, float32 [n]."""
        return self._judges.likes(self._read(histories, lambda read: read.interest), self._items[items])
