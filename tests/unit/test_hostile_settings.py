"""Settings out of range, or that contradict each other: told by their key, before any worker starts."""

from pathlib import Path

import pytest

from streams.errors import SettingsError
from streams.settings import load_settings


def refusal(tmp_path: Path, text: str) -> str:
    path = tmp_path / "penchant.toml"
    path.write_text(text)
    with pytest.raises(SettingsError) as raised:
        load_settings(path, {})
    return str(raised.value)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("top_k = 0", "recommend.top_k: Expected `int` >= 1"),
        ("top_k = 1000000000", "recommend.top_k: Expected `int` <= 1000"),
        ("candidates = -1", "recommend.candidates: Expected `int` >= 1"),
        ("diversity = 5.0", "recommend.diversity: Expected `float` <= 1.0"),
        ("diversity = nan", "recommend.diversity: "),
        ("seen_days = -1.0", "recommend.seen_days: Expected `float` >= 0.0"),
        ("seen_days = 1e300", "recommend.seen_days: Expected `float` <= 36500.0"),
        ("repeat_days = {view = 1e300}", "recommend.repeat_days.<name>: Expected `float` <= 36500.0"),
        ("trending_half_life_hours = 0.0", "recommend.trending_half_life_hours: Expected `float` > 0.0"),
        ("min_interval_seconds = -1.0", "recommend.min_interval_seconds: Expected `float` >= 0.0"),
        ("min_interval_seconds = inf", "recommend.min_interval_seconds: inf is not finite"),
        ("max_per_category = -1", "recommend.max_per_category: Expected `int` >= 0"),
        ("index_above = -1", "recommend.index_above: Expected `int` >= 0"),
        ("index_probes = -1", "recommend.index_probes: Expected `int` >= 0"),
        ("index_probes = 1000000", "recommend.index_probes: Expected `int` <= 100000"),
        ('index_probes = "all"', "recommend.index_probes: Expected `int`, got `str`"),
        ("weights = {interest = inf}", "recommend.weights.interest: inf is not finite"),
        ("weights = {interest = 0.0}", "recommend.weights: all of them are 0"),
        ("weights = {collaborative = 1.0}", "recommend.weights.collaborative: nothing is counted for it"),
        ("weights = {interst = 1.0}", "recommend.weights: interst is not one of interest, heads, content"),
        ("repeat_days = {stare = 1.0}", "recommend.repeat_days: stare is not one of view, click, like"),
        ("explore_places = 11", "recommend.explore_places: 11 places of a slate of recommend.top_k = 10"),
        (
            'pins = [{item_id = "a", place = 11}]',
            "recommend.pins: place 11 of a slate of recommend.top_k = 10",
        ),
        (
            'pins = [{item_id = "a", place = 1}, {item_id = "b", place = 1}]',
            "recommend.pins: two items stand at place 1",
        ),
        (
            'pins = [{item_id = "a", place = 1}, {item_id = "a", place = 2}]',
            "recommend.pins: a stands at two places",
        ),
        ('filters = [{attribute = "age"}]', "recommend.filters: the rule about age asks for nothing"),
        (
            'filters = [{attribute = "age", least = 18, most = 16}]',
            "recommend.filters: the rule about age lets no item pass: least 18 is above most 16",
        ),
        (
            'filters = [{attribute = "age", least = nan}]',
            "recommend.filters.least: nan is not finite",
        ),
        (
            'filters = [{attribute = "kind", any_of = ["a"], none_of = ["a", "b"]}]',
            "recommend.filters: the rule about kind lets no item pass: none_of has all of any_of",
        ),
    ],
)
def test_a_slate_that_cannot_be(tmp_path: Path, line: str, told: str) -> None:
    assert told in refusal(tmp_path, f"[recommend]\n{line}\n")


@pytest.mark.parametrize(
    "key",
    ["app.watchdog_seconds", "app.drain_seconds", "interests.expire_days", "encode.unknown_item_seconds"],
)
def test_numbers_without_end(tmp_path: Path, key: str) -> None:
    section, name = key.split(".")
    assert f"{key}: inf is not finite" in refusal(tmp_path, f"[{section}]\n{name} = inf\n")


def test_what_is_allowed_passes(tmp_path: Path) -> None:
    path = tmp_path / "penchant.toml"
    path.write_text(
        "[recommend]\ntop_k = 5\nexplore_places = 5\nneighbours = 8\nweights = {collaborative = 1}\n"
        'pins = [{item_id = "a", place = 5}]\nrepeat_days = {purchase = 36500}\n'
        'filters = [{attribute = "age", least = 16, most = 16}, {attribute = "kind", none_of = ["a"]}]\n'
    )
    assert load_settings(path, {}).recommend.top_k == 5
