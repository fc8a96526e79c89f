"""Slates for a batch of users: candidates, filters, diversity, a fill for who is new, and reasons."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from state.catalogue import Catalogue
from state.diversity import Candidates, choose
from state.filters import MarkIndex, available, days_of, hide_known
from state.fusion import Readouts
from state.profile import Profile
from state.ranking import Ties, barred, best, head_scores, is_open, queries, scores
from state.reasons import Explainer, Reasons
from state.settings import RecommendSettings
from state.slates import NEW, SOURCES, TRENDING, Slates

Float32 = NDArray[np.float32]
Int64 = NDArray[np.int64]
Bool = NDArray[np.bool_]

DECIMALS = 5
"""Of a score."""
HEAD_SHARE = 4
"""The heads bring one candidate for so many of the ranking vector."""
_CELLS = 2_000_000
"""Scores in memory at once: users of a chunk times items."""
_TRENDING, _NEW = SOURCES.index(TRENDING), SOURCES.index(NEW)
_CHOOSERS = 32
"""Users whose candidates' vectors fit a core's cache together."""


@dataclass(slots=True, frozen=True)
class Audience:
    """Who gets slates: n users, and the moment (epoch milliseconds, int64 [n]) that availability,
    publishing and expiry are judged at."""

    readouts: Readouts
    profiles: Sequence[Profile]
    moments: Int64

    def part(self, places: Sequence[int]) -> "Audience":
        """The users at these places alone."""
        if len(places) == len(self.profiles):
            return self
        index = np.array(places, dtype=np.int64)
        readouts = Readouts(
            **{field.name: getattr(self.readouts, field.name)[index] for field in fields(Readouts)}
        )
        return Audience(readouts, [self.profiles[place] for place in places], self.moments[index])


class _Items:
    """What is derived from one version of the catalogue's items."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.version = catalogue.version
        hashes = catalogue.columns.hashes[: catalogue.rows]
        self.ties = Ties(hashes)
        self.marks = MarkIndex(hashes)
        self.encoded = np.asarray(catalogue.columns.vectors[: catalogue.rows].any(axis=1), dtype=np.bool_)
        self.explainer = Explainer(catalogue, self.ties)


class _Demand:
    """All rows by demand, then by date of publishing, for one state of both."""

    def __init__(self, catalogue: Catalogue) -> None:
        columns, rows = catalogue.columns, catalogue.rows
        heights, published = columns.heights[:rows], columns.published[:rows]
        self.version = (catalogue.version, catalogue.ratings)
        self.order: Int64 = np.lexsort((columns.hashes[:rows], -published, -heights))
        self.top = float(heights[columns.live[:rows]].max(initial=-np.inf))


class Recommender:
    """Makes slates over a catalogue. Call it from one thread."""

    def __init__(self, catalogue: Catalogue, settings: RecommendSettings) -> None:
        self._catalogue = catalogue
        self._settings = settings
        self._items = _Items(catalogue)
        self._demand = _Demand(catalogue)

    def slates(self, audience: Audience) -> Slates:
        """At most `top_k` picks per user, best first, none of them barred to the user."""
        with self._catalogue.lock:
            if self._items.version != self._catalogue.version:
                self._items = _Items(self._catalogue)
            size = max(1, _CELLS // max(1, self._catalogue.rows))
            if not audience.profiles or not self._catalogue.rows:
                return Slates([0] * len(audience.profiles), [], [], [], Reasons([], [], []))
            parts = [self._chosen(part) for part in _chunks(audience, size)]
            rows, scored, sources = (np.concatenate(part) for part in zip(*parts, strict=True))
            filled = rows >= 0
            return Slates(
                filled.sum(axis=1).tolist(),
                self._catalogue.columns.names.take(rows[filled]).tolist(),
                scored[filled].tolist(),
                sources[filled].tolist(),
                self._items.explainer.explain(audience.readouts, audience.profiles, rows),
            )

    def _chosen(self, audience: Audience) -> tuple[Int64, NDArray[np.float64], NDArray[np.uint8]]:
        """Rows of the picks, [n, top_k] with -1 for none, their scores and the codes of their sources."""
        allowed = available(self._catalogue, audience.moments)
        days = days_of(audience.readouts.time_ms)
        hide_known(allowed, self._items.marks, audience.profiles, days, self._settings.seen_days)
        rows, values, from_heads = self._personal(audience.readouts, allowed)
        sources = from_heads.astype(np.uint8)
        scored = np.asarray(np.round(values.astype(np.float64), DECIMALS), np.float64)
        for user in np.flatnonzero((rows < 0).any(axis=1)).tolist():
            self._fill(allowed[user], rows[user], scored[user], sources[user])
        return rows, scored, sources

    def _personal(self, readouts: Readouts, allowed: Bool) -> tuple[Int64, Float32, Bool]:
        """Rows chosen by interest, int64 [n, top_k] with -1 for none, their scores, and whether a head
        alone brought them."""
        items, ties = self._catalogue.columns.vectors[: self._catalogue.rows], self._items.ties
        wanted = np.asarray(readouts.interest.any(axis=1), dtype=np.bool_)
        bar = barred(allowed & self._items.encoded & wanted[:, None])
        values = scores(queries(readouts), items, bar)
        count = max(self._settings.candidates, self._settings.top_k)
        first = best(values, count, ties)
        second = best(head_scores(readouts, items, bar), -(-count // HEAD_SHARE), ties)
        candidates = np.concatenate([first, second], axis=1)
        rows = np.arange(len(values))[:, None]
        candidate_scores = values.take(rows * len(items) + candidates)
        valid = is_open(candidate_scores)
        last = first.shape[1]
        keys = ties.keys(candidate_scores[:, last - 1 :], candidates[:, last - 1 :])
        # What is not behind the last of the first stands among them.
        valid[:, last:] &= keys[:, 1:] > keys[:, :1]
        places = self._choose(candidates, candidate_scores, valid)
        taken = np.maximum(places, 0)
        chosen = np.where(places >= 0, candidates[rows, taken], -1)
        return chosen, candidate_scores[rows, taken], places >= last

    def _choose(self, candidates: Int64, values: Float32, valid: Bool) -> Int64:
        columns, settings = self._catalogue.columns, self._settings
        capped = settings.max_per_category > 0
        chosen = np.empty((len(candidates), settings.top_k), dtype=np.int64)
        for start in range(0, len(candidates), _CHOOSERS):
            part = slice(start, start + _CHOOSERS)
            chosen[part] = choose(
                Candidates(
                    values[part],
                    valid[part],
                    # Rows are known to exist: without a check of each the copy takes half the time.
                    columns.vectors.take(candidates[part], axis=0, mode="clip"),
                    columns.categories[candidates[part]] if capped else None,
                ),
                settings.top_k,
                settings.diversity,
                settings.max_per_category,
            )
        return chosen

    def _fill(
        self, allowed: Bool, chosen: Int64, values: NDArray[np.float64], sources: NDArray[np.uint8]
    ) -> None:
        """Fill the places left of one user by demand, then by date of publishing."""
        columns, cap = self._catalogue.columns, self._settings.max_per_category
        demand = self._latest_demand()
        present = chosen[chosen >= 0]
        taken = Counter(columns.categories[present].ravel().tolist())
        left = allowed.copy()
        left[present] = False
        place = len(present)
        for row in demand.order[left[demand.order]].tolist():
            if place == len(chosen):
                return
            categories = {code for code in columns.categories[row].tolist() if code >= 0}
            if cap > 0 and any(taken[code] >= cap for code in categories):
                continue
            taken.update(categories)
            height = float(columns.heights[row])
            chosen[place] = row
            values[place] = round(2.0 ** (height - demand.top), DECIMALS) if height > -np.inf else 0.0
            sources[place] = _TRENDING if height > -np.inf else _NEW
            place += 1

    def _latest_demand(self) -> _Demand:
        if self._demand.version != (self._catalogue.version, self._catalogue.ratings):
            self._demand = _Demand(self._catalogue)
        return self._demand


def _chunks(audience: Audience, size: int) -> Iterator[Audience]:
    for start in range(0, len(audience.profiles), size):
        yield audience.part(list(range(start, min(start + size, len(audience.profiles)))))
