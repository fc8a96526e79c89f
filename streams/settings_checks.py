"""What settings must be that no range of a single one says. All raise SettingsError with the key."""

import math

import msgspec

from state.settings import Pin, RecommendSettings, Rule
from streams.errors import SettingsError


def check_finite(settings: msgspec.Struct) -> None:
    """No number is infinite, or none: the ranges let those pass that have one end."""
    _walk("", msgspec.to_builtins(settings))


def check_recommend(recommend: RecommendSettings) -> None:
    """That every setting can have an effect."""
    weights, top = recommend.weights, recommend.top_k
    if weights and not any(weights.values()):
        raise SettingsError("recommend.weights: all of them are 0; give one, or none of them at all")
    if weights.get("collaborative") and not recommend.neighbours:
        raise SettingsError(
            "recommend.weights.collaborative: nothing is counted for it; set recommend.neighbours, "
            "to 64 for one"
        )
    if recommend.explore_places > top:
        raise SettingsError(
            f"recommend.explore_places: {recommend.explore_places} places of a slate of "
            f"recommend.top_k = {top}; make it smaller"
        )
    _check_pins(recommend.pins, top)
    for rule in recommend.filters:
        _check_rule(rule)


def _check_pins(pins: tuple[Pin, ...], top: int) -> None:
    places: set[int] = set()
    items: set[str] = set()
    for pin in pins:
        if pin.place > top:
            raise SettingsError(
                f"recommend.pins: place {pin.place} of a slate of recommend.top_k = {top}; make one fit"
            )
        if pin.place in places:
            raise SettingsError(f"recommend.pins: two items stand at place {pin.place}; move one")
        if pin.item_id in items:
            raise SettingsError(f"recommend.pins: {pin.item_id} stands at two places; take one away")
        places.add(pin.place)
        items.add(pin.item_id)


def _check_rule(rule: Rule) -> None:
    where = f"recommend.filters: the rule about {rule.attribute}"
    if not (rule.any_of or rule.none_of) and rule.least is None and rule.most is None:
        raise SettingsError(f"{where} asks for nothing; give any_of, none_of, least or most")
    if rule.least is not None and rule.most is not None and rule.least > rule.most:
        raise SettingsError(f"{where} lets no item pass: least {rule.least:g} is above most {rule.most:g}")
    if rule.any_of and set(rule.any_of) <= set(rule.none_of):
        raise SettingsError(f"{where} lets no item pass: none_of has all of any_of")


def _walk(key: str, value: object) -> None:
    if isinstance(value, dict):
        for name, each in value.items():
            _walk(f"{key}.{name}".lstrip("."), each)
    elif isinstance(value, (list, tuple)):
        for each in value:
            _walk(key, each)
    elif isinstance(value, float) and not math.isfinite(value):
        raise SettingsError(f"{key}: {value} is not finite; give a number")
