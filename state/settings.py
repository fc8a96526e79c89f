"""Settings of the interest model and of recommending."""

import msgspec


class ModelSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which artifact serves."""

    artifact: str = ""
    """Folder of a model artifact; empty means the built-in content prior."""


class RecommendSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a slate is made."""

    top_k: int = 10
    candidates: int = 200
    diversity: float = 0.3
    """MMR's trade: 0 ranks by score alone."""
    seen_days: float = 30.0
    """How long an item that the user saw stays out of the slates."""
    trending_half_life_hours: float = 24.0
    min_interval_seconds: float = 0.0
    """At least so long between two slates of one user; what is held back is kept as a record."""
    max_per_category: int = 0
    """0 means no cap."""
