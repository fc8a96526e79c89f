"""Settings of the interest model and of recommending."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from state.events import Action


class ModelSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which artifact serves."""

    artifact: str = ""
    """Folder of a model artifact; empty means the built-in content prior."""


StrategyName = Literal["interest", "heads", "content", "collaborative", "liked", "trending"]
"""Of `state.strategies`."""

Value = str | float | bool
Weight = Annotated[float, Meta(ge=0)]
Days = Annotated[float, Meta(ge=0, le=36_500)]


class Pin(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An item that stands at a place of every slate whose user may be shown it."""

    item_id: Annotated[str, Meta(min_length=1)]
    place: Annotated[int, Meta(ge=1)]
    """Counted from 1."""


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an attribute of every recommended item must be. All that is given must hold.

    An item without the attribute, or with one of another kind, meets `none_of` alone.
    """

    attribute: Annotated[str, Meta(min_length=1)]
    any_of: tuple[Value, ...] = ()
    none_of: tuple[Value, ...] = ()
    least: float | None = None
    most: float | None = None


class RecommendSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a slate is made."""

    top_k: Annotated[int, Meta(ge=1, le=1_000)] = 10
    candidates: Annotated[int, Meta(ge=1, le=100_000)] = 200
    weights: dict[StrategyName, Weight] = {}
    """Of the strategies whose values are blended; none leaves it to interest and heads."""
    blend: Literal["scores", "ranks"] = "scores"
    neighbours: Annotated[int, Meta(ge=0, le=512)] = 0
    """Most items that are known to follow upon an item; 0 counts none."""
    neighbours_half_life_days: Annotated[float, Meta(gt=0)] = 30.0
    diversity: Annotated[float, Meta(ge=0, le=1)] = 0.3
    """The trade: 0 ranks by score alone."""
    diversity_method: Literal["mmr", "dpp"] = "mmr"
    seen_days: Days = 30.0
    """How long an item that the user saw stays out of the slates."""
    repeat_days: dict[Action, Days] = {}
    """Further times that an item stays out, by what the user did with it."""
    filters: tuple[Rule, ...] = ()
    pins: tuple[Pin, ...] = ()
    explore_places: Annotated[int, Meta(ge=0)] = 0
    """Places of a slate, the last ones, that go to items of which little is known."""
    explore_events: Annotated[int, Meta(ge=1)] = 20
    """Events from which on enough is known of an item."""
    trending_half_life_hours: Annotated[float, Meta(gt=0)] = 24.0
    min_interval_seconds: Annotated[float, Meta(ge=0)] = 0.0
    """At least so long between two slates of one user; what is held back is kept as a record."""
    max_per_category: Annotated[int, Meta(ge=0)] = 0
    """0 means no cap."""
    index_above: Annotated[int, Meta(ge=0)] = 50_000
    """Items beyond which an index is searched in place of all items; 0 always searches all."""
    index_probes: Annotated[int, Meta(ge=0, le=100_000)] = 0
    """Cells of the index that a search looks into; 0 lets it follow their number."""
