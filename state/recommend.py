"""Slates for a batch of users: candidates, filters, diversity, a fill for who is new, and reasons."""

from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from state.audience import Audience
from state.catalogue import Catalogue
from state.determinantal import choose_spread
from state.diversity import Candidates, choose
from state.events import ACTIONS
from state.filters import Span
from state.fixed import Fixtures, Picks
from state.fusion import Readouts
from state.judging import Judges
from state.ranking import barred, best, head_scores, is_open, queries, scores
from state.reasons import Explainer, Reasons, with_strategies
from state.rules import Rules
from state.settings import RecommendSettings
from state.slates import NEW, SOURCES, TRENDING, Slates
from state.strategies.base import Ask
from state.strategies.blend import Blend, Blended
from state.strategies.chosen import CODES, blend_of
from state.strategies.collaborative import Collaborative
from state.strategies.demand import Demanded
from state.strategies.exploring import Explorer
from state.strategies.field import NO_ROW, Field, FoundField, Items, WholeField, dots, union
from state.strategies.nearest import NearestRows
from state.strategies.vectors import heaviest

__all__ = ["Audience", "Recommender"]

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
_FOUND_TOGETHER = 512
"""Users of a chunk where an index is searched."""


Watch = Callable[[Blended, Catalogue], None]


class _Choice(NamedTuple):
    """Candidates [n, c] of which a slate is chosen, best first, `valid` where there is one; the part of each
    from which on a head alone brought them."""

    rows: Int64
    values: Float32
    valid: Bool


class Recommender:
    """Makes slates over a catalogue. Call it from one thread."""

    def __init__(
        self, catalogue: Catalogue, settings: RecommendSettings, judges: Judges | None = None
    ) -> None:
        """Raises ModelError where the settings ask for what is not there."""
        self._catalogue = catalogue
        self._settings = settings
        self._span = Span(
            settings.seen_days, {ACTIONS.index(act): days for act, days in settings.repeat_days.items()}
        )
        self._choosing = choose_spread if settings.diversity_method == "dpp" else choose
        if settings.filters:
            catalogue.restrict(Rules(settings.filters).admit)
        self._index = _index_of(catalogue, settings)
        self._demanded = Demanded(catalogue)
        self._blend = blend_of(settings, self._demanded, judges)
        self.watch: Watch | None = None
        """Is told the candidates of each batch of users, where strategies are blended."""
        explored = min(settings.explore_places, settings.top_k)
        self._fixtures = Fixtures(
            catalogue,
            [pin for pin in settings.pins if pin.place <= settings.top_k],
            (Explorer(catalogue, settings.explore_events), explored) if explored else None,
            settings.max_per_category,
        )
        self._refresh()

    def slates(self, audience: Audience) -> Slates:
        """At most `top_k` picks per user, best first, none of them barred to the user."""
        with self._catalogue.lock:
            if self._items.version != self._catalogue.version:
                self._refresh()
            if not audience.profiles or not self._catalogue.rows:
                return Slates([0] * len(audience.profiles), [], [], [], Reasons([], [], []))
            size = max(1, _CELLS // self._catalogue.rows)
            if self._index is not None and self._index.ready:
                size = _FOUND_TOGETHER
            parts = [self._chosen(part) for part in audience.chunks(size)]
            return self._told(audience, parts[0] if len(parts) == 1 else _stacked(parts))

    def _refresh(self) -> None:
        self._items = Items(self._catalogue)
        self._explainer = Explainer(self._catalogue, self._items.ties)

    def _told(self, audience: Audience, picks: Picks) -> Slates:
        filled = picks.rows >= 0
        reasons = self._explainer.explain(audience.readouts, audience.profiles, picks.rows)
        if self._blend is not None:
            causes = self._items.rows_of(picks.causes[filled])
            reasons = with_strategies(
                reasons, self._blend.names, picks.parts[:, filled], (self._catalogue.columns.names, causes)
            )
        return Slates(
            filled.sum(axis=1).tolist(),
            self._catalogue.columns.names.take(picks.rows[filled]).tolist(),
            picks.scores[filled].tolist(),
            picks.sources[filled].tolist(),
            reasons,
            picks.propensities[filled].tolist() if self._settings.explore_places else None,
        )

    def _field(self, audience: Audience) -> Field:
        if self._index is not None and self._index.ready:
            return FoundField(self._catalogue, self._items, audience, self._span, self._index)
        return WholeField(self._catalogue, self._items, audience, self._span)

    def _chosen(self, audience: Audience) -> Picks:
        ask = Ask(audience, self._field(audience))
        fixed = self._fixtures.picks(ask) if self._fixtures else None
        if self._blend is not None:
            picks = self._blended(ask, self._blend, fixed)
        else:
            picks = self._personal(ask, fixed)
        for user in np.flatnonzero((picks.rows < 0).any(axis=1)).tolist():
            self._fill(ask.field, user, picks, fixed)
        return picks if fixed is None else self._fixtures.place(picks, fixed, self._settings.top_k)

    def _personal(self, ask: Ask, fixed: Picks | None) -> Picks:
        """Chosen by interest and by single heads."""
        readouts, last = ask.audience.readouts, max(self._settings.candidates, self._settings.top_k)
        if isinstance(ask.field, WholeField):
            last = min(last, self._catalogue.rows)
            choice = self._seen_whole(readouts, ask.field, last)
        else:
            choice = self._seen_found(readouts, ask.field, last)
        places = self._choose(choice, fixed)
        picks = Picks.empty(places.shape)
        picks.rows, values = _taken(choice, places)
        picks.scores = _rounded(values)
        picks.sources = (places >= last).astype(np.uint8)
        return picks

    def _seen_whole(self, readouts: Readouts, field: WholeField, count: int) -> _Choice:
        """Every item is looked at."""
        items, ties = self._catalogue.columns.vectors[: self._catalogue.rows], self._items.ties
        wanted = np.asarray(readouts.interest.any(axis=1), dtype=np.bool_)
        bar = barred(field.allowed & self._items.encoded & wanted[:, None])
        values = scores(queries(readouts), items, bar)
        first = best(values, count, ties)
        second = best(head_scores(readouts, items, bar), self._by_heads(), ties)
        candidates = np.concatenate([first, second], axis=1)
        rows = np.arange(len(values))[:, None]
        candidate_scores = values.take(rows * len(items) + candidates)
        valid = is_open(candidate_scores)
        last = first.shape[1]
        keys = ties.keys(candidate_scores[:, last - 1 :], candidates[:, last - 1 :])
        # What is not behind the last of the first stands among them.
        valid[:, last:] &= keys[:, 1:] > keys[:, :1]
        return _Choice(candidates, candidate_scores, valid)

    def _seen_found(self, readouts: Readouts, field: Field, count: int) -> _Choice:
        """What the index brings is looked at."""
        asked = queries(readouts)
        first = np.full((len(asked), count), NO_ROW)
        found = field.nearest(asked, count)
        first[:, : found.shape[1]] = found
        candidates = np.concatenate([first, self._near_a_head(readouts, field)], axis=1)
        valid = (
            (candidates != NO_ROW)
            & ~_repeated(candidates)
            & np.asarray(readouts.interest.any(axis=1))[:, None]
        )
        return _Choice(candidates, dots(self._catalogue, candidates, asked), valid)

    def _near_a_head(self, readouts: Readouts, field: Field) -> Int64:
        """The rows of the best cosine to any of the heaviest heads, best first: int64 [n, c]."""
        heads = heaviest(readouts)
        rows = union([field.nearest(head, self._by_heads()) for head in heads])
        values = np.max([dots(self._catalogue, rows, head) for head in heads], axis=0)
        order = np.lexsort((self._items.ties.places.take(rows), -values), axis=1)
        return np.take_along_axis(rows, order[:, : self._by_heads()], axis=1)

    def _by_heads(self) -> int:
        return -(-max(self._settings.candidates, self._settings.top_k) // HEAD_SHARE)

    def _blended(self, ask: Ask, blend: Blend, fixed: Picks | None) -> Picks:
        count = max(self._settings.candidates, self._settings.top_k)
        made = blend.candidates(ask, count)
        if self.watch is not None:
            self.watch(made, self._catalogue)
        choice = _Choice(made.rows, made.values, made.values > -np.inf)
        places = self._choose(choice, fixed)
        picks = Picks.empty(places.shape, len(blend.names))
        picks.rows, values = _taken(choice, places)
        picks.scores = _rounded(np.where(places >= 0, values, np.float32(0)))
        picks.parts = np.take_along_axis(made.parts, np.maximum(places, 0)[None], axis=2)
        picks.sources = np.array([CODES[name] for name in blend.names], np.uint8)[picks.parts.argmax(axis=0)]
        if "collaborative" in blend.names:
            strategy = blend.strategy("collaborative")
            assert isinstance(strategy, Collaborative)
            picks.causes = strategy.evidence(ask).causes_of(picks.rows)
        return picks

    def _choose(self, choice: _Choice, fixed: Picks | None) -> Int64:
        columns, settings = self._catalogue.columns, self._settings
        capped = settings.max_per_category > 0
        held = self._fixtures.categories(fixed) if capped and fixed is not None else None
        chosen = np.empty((len(choice.rows), settings.top_k), dtype=np.int64)
        for start in range(0, len(chosen), _CHOOSERS):
            part = slice(start, start + _CHOOSERS)
            rows = choice.rows[part]
            chosen[part] = self._choosing(
                Candidates(
                    choice.values[part],
                    choice.valid[part],
                    # Rows are known to exist: without a check of each the copy takes half the time.
                    columns.vectors.take(rows, axis=0, mode="clip"),
                    columns.categories[rows] if capped else None,
                    None if held is None else held[part],
                ),
                settings.top_k,
                settings.diversity,
                settings.max_per_category,
            )
        return chosen

    def _fill(self, field: Field, user: int, picks: Picks, fixed: Picks | None) -> None:
        """Fill the places left of one user by demand, then by date of publishing."""
        columns, cap = self._catalogue.columns, self._settings.max_per_category
        demand = self._demanded.latest()
        chosen = picks.rows[user]
        present = chosen[chosen >= 0]
        place = len(present)
        shown = (
            present if fixed is None else np.concatenate([present, fixed.rows[user][fixed.rows[user] >= 0]])
        )
        taken = Counter(columns.categories[shown].ravel().tolist())
        for order in (demand.first, demand.order):
            left = order[field.open_to(user, order) & ~np.isin(order, shown)]
            for row in left.tolist():
                if place == len(chosen):
                    return
                categories = {code for code in columns.categories[row].tolist() if code >= 0}
                if cap > 0 and any(taken[code] >= cap for code in categories):
                    continue
                taken.update(categories)
                height = float(columns.heights[row])
                chosen[place] = row
                rated = height > -np.inf
                picks.scores[user, place] = round(2.0 ** (height - demand.top), DECIMALS) if rated else 0.0
                picks.sources[user, place] = _TRENDING if rated else _NEW
                picks.parts[:, user, place] = 0.0
                picks.causes[user, place] = 0
                place += 1
            if len(demand.first) == self._catalogue.rows or place == len(chosen):
                return
            shown = np.concatenate([shown, chosen[len(present) : place]])


def _taken(choice: _Choice, places: Int64) -> tuple[Int64, Float32]:
    """Rows and values at places [n, k]; NO_ROW where a place is none."""
    at = np.maximum(places, 0)
    users = np.arange(len(places))[:, None]
    return np.where(places >= 0, choice.rows[users, at], NO_ROW), choice.values[users, at]


def _rounded(values: Float32) -> NDArray[np.float64]:
    return np.asarray(np.round(values.astype(np.float64), DECIMALS), np.float64)


def _repeated(rows: Int64) -> Bool:
    """Which of rows [n, c] stand further to the left, too."""
    order = np.argsort(rows, axis=1, kind="stable")
    ordered = np.take_along_axis(rows, order, axis=1)
    same = np.zeros(rows.shape, np.bool_)
    same[:, 1:] = ordered[:, 1:] == ordered[:, :-1]
    out = np.zeros(rows.shape, np.bool_)
    np.put_along_axis(out, order, same, axis=1)
    return out


def _index_of(catalogue: Catalogue, settings: RecommendSettings) -> NearestRows | None:
    """An index that is kept level with the catalogue from now on; None where none is asked for."""
    if settings.index_above == 0:
        return None
    index = NearestRows(settings.index_above, settings.index_probes)
    index.changed(catalogue.columns, [], catalogue.rows)
    catalogue.observer = index
    return index


def _stacked(parts: list[Picks]) -> Picks:
    return Picks(
        np.concatenate([part.rows for part in parts]),
        np.concatenate([part.scores for part in parts]),
        np.concatenate([part.sources for part in parts]),
        np.concatenate([part.parts for part in parts], axis=1),
        np.concatenate([part.causes for part in parts]),
        np.concatenate([part.propensities for part in parts]),
    )
