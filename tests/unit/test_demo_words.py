"""The demo's descriptions: told apart by the change, each beside the tastes that nothing else knows."""

import io
import random

from rich.console import Console

from streams.demo.viewers import Shelf, Viewer
from streams.demo.words import in_words, page, show_words
from streams.examples import EXAMPLES
from streams.records import InterestDescription, Item

SHELF = Shelf([Item("a", categories=["birds"])])


def viewer(name: str, language: str) -> Viewer:
    made = Viewer(name, ("birds", "boats"), "cakes", random.Random(1), SHELF, language)
    made.change(1_000)
    return made


def words(timestamp: int, summary: str) -> InterestDescription:
    made = EXAMPLES[InterestDescription]
    assert isinstance(made, InterestDescription)
    return InterestDescription(
        **{
            name: getattr(made, name)
            for name in made.__struct_fields__
            if name not in ("timestamp", "summary")
        },
        timestamp=timestamp,
        summary=summary,
    )


def test_the_latest_words_of_each_side_of_the_change_are_shown() -> None:
    ann, li, mute = viewer("ann", "en"), viewer("li", "zh"), viewer("mute", "en")
    told = {
        "ann": [words(10, "Likes birds."), words(999, "Likes boats."), words(1_000, "Likes cakes.")],
        "li": [words(2_000, "喜欢鸟。")],
    }
    found = in_words([ann, li, mute], told)
    assert [(each.before, each.after) for each in found] == [
        ("Likes boats.", "Likes cakes."),
        (None, "喜欢鸟。"),
        (None, None),
    ]
    assert found[0].tastes == ["birds", "boats", "cakes"]
    text = page(found)
    assert "Likes boats." in text and "喜欢鸟。" in text and "boats at first, then cakes" in text
    out = io.StringIO()
    show_words(found, Console(file=out, width=200))
    assert "before: Likes boats." in out.getvalue() and "喜欢鸟。" in out.getvalue()


def test_an_event_says_its_viewers_language() -> None:
    assert viewer("li", "zh").act([], 5).context == {"language": "zh"}
