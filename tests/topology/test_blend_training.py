"""Weights learned from a replay through the whole pipeline."""

from pathlib import Path

import pytest

from state.learning.reading import read_dataset
from streams.blend_training import BlendTraining
from streams.encode.media import MediaEncoder
from streams.errors import InputError
from streams.settings import Settings
from tests.fake_media import FakeBank, FakeFetcher

HEADER = "user_id:token\titem_id:token\ttimestamp:float\n"
ITEMS = "item_id:token\ttitle:token_seq\n"
NAMES = ("interest", "collaborative", "trending")


def training(folder: Path, events: list[tuple[int, int]], items: int) -> BlendTraining:
    (folder / "made").mkdir()
    lines = [f"u{user}\ti{item}\t{1_700_000_000 + 60 * turn}\n" for turn, (user, item) in enumerate(events)]
    (folder / "made" / "made.inter").write_text(HEADER + "".join(lines))
    titles = [f"i{item}\tthing number {item}\n" for item in range(items)]
    (folder / "made" / "made.item").write_text(ITEMS + "".join(titles))
    media = MediaEncoder(FakeBank(), FakeFetcher(), 1.0)
    return BlendTraining(read_dataset(folder / "made"), Settings(), media, NAMES)


def test_where_everyone_goes_the_same_way_collaboration_weighs_most(tmp_path: Path) -> None:
    """Every user takes items one after another in the same circle, from another beginning."""
    items, steps = 24, 8
    events = [
        (user, (user * 5 + step) % items)
        for start in range(0, 48, 12)
        for step in range(steps)
        for user in range(start, start + 12)
    ]
    found = training(tmp_path, events, items).learn(lambda done: None)
    assert found.weights["collaborative"] > 0.5
    assert found.figures["collaborative"] > found.figures["trending"]
    assert found.figures["learned"] >= found.figures["equal"]


def test_too_few_events_are_refused_with_a_clear_word(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"two events|are wanted"):
        training(tmp_path, [(0, 0), (1, 1), (0, 2)], 4).learn(lambda done: None)
