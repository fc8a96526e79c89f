"""The strategies that the settings name, blended."""

from state.errors import ModelError
from state.judging import Judges
from state.settings import RecommendSettings
from state.slates import COLLABORATIVE, CONTENT, HEAD, INTEREST, LIKED, SOURCES, TRENDING
from state.strategies.base import Strategy
from state.strategies.blend import Blend
from state.strategies.collaborative import Collaborative
from state.strategies.demand import Demanded, Trending
from state.strategies.vectors import Content, Heads, Interest, Liked

DAY_MS = 86_400_000.0

_SOURCES = {
    "interest": INTEREST,
    "heads": HEAD,
    "content": CONTENT,
    "collaborative": COLLABORATIVE,
    "liked": LIKED,
    "trending": TRENDING,
}
CODES = {name: SOURCES.index(source) for name, source in _SOURCES.items()}
"""Of the source, by the name of the strategy that brought a pick."""


_PLAIN: dict[str, type[Interest] | type[Heads] | type[Content]] = {
    "interest": Interest,
    "heads": Heads,
    "content": Content,
}


def blend_of(settings: RecommendSettings, demanded: Demanded, judges: Judges | None) -> Blend | None:
    """None where no weights are set. Raises ModelError for a strategy that lacks what it rests on."""
    weights: dict[str, float] = {name: weight for name, weight in settings.weights.items() if weight > 0}
    if not weights:
        return None
    made: dict[str, Strategy] = {name: _strategy(name, settings, demanded, judges) for name in weights}
    return Blend(made, weights, settings.blend == "ranks")


def _strategy(name: str, settings: RecommendSettings, demanded: Demanded, judges: Judges | None) -> Strategy:
    if name == "collaborative":
        if settings.neighbours == 0:
            raise ModelError(
                "recommend.weights.collaborative: nothing is counted for it; set recommend.neighbours, "
                "to 64 say"
            )
        return Collaborative(settings.neighbours_half_life_days * DAY_MS)
    if name == "liked":
        if judges is None:
            raise ModelError(
                "recommend.weights.liked: the model has not learned of likes; set model.artifact to one that "
                "`penchant train model` made, or drop the weight"
            )
        return Liked(judges)
    if name == "trending":
        return Trending(demanded)
    return _PLAIN[name]()
