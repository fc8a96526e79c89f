"""Tables of labels, and items, that say less than they seem to: nothing is inferred from them unsaid."""

from pathlib import Path

import numpy as np
import pytest

from state.items import EncodedItem
from state.labels.material import content_vectors
from streams.errors import InputError
from streams.labels import Shelf, asked, inferred, read_labels


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("item_id,label\na,films\na,books\n", ":3: a has the label films already, and books here"),
        ("item_id,label,label\na,x,y\n", ":1: two columns label"),
        ("item_id,label\na,films, new\n", ":2: 3 cells, but the first line names 2 columns"),
        ('item_id,label\na,x\n"b,y\n', "cannot be read as a table: unexpected end of data"),
        ("item_id,label\na,fil\x1bms\n", ":2: 'fil\\x1bms' cannot be printed"),
        ("item_id;label\na;x\n", ":1: no column item_id, label"),
    ],
)
def test_a_table_that_says_two_things(tmp_path: Path, content: str, told: str) -> None:
    path = tmp_path / "labels.csv"
    path.write_text(content)
    with pytest.raises(InputError) as raised:
        read_labels(path)
    assert told in str(raised.value)
    assert str(path) in str(raised.value)


def test_the_same_label_twice_is_one(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text("item_id,label\na,x\na,x\nb\n\nc,\n")
    assert read_labels(path) == {"a": "x"}


def item(number: int, content: bytes | None = None) -> EncodedItem:
    vector = np.random.default_rng(number).normal(size=128)
    held = (vector / np.linalg.norm(vector)).astype("<f2").tobytes() if content is None else content
    return EncodedItem(item_id=f"i{number}", partition=0, offset=number, vectors={0: held})


def test_one_label_alone_tells_nothing_of_others() -> None:
    shelf = Shelf.of([item(number) for number in range(6)])
    with pytest.raises(InputError, match="all labels are films: nothing can be told apart by one"):
        inferred(shelf, {"i0": "films", "i1": "films"})
    found = asked(shelf, {"i0": "films"}, 3)
    assert [(each.label, each.confidence) for each in found] == [("", 0.0)] * 3


@pytest.mark.parametrize(
    "content", [np.full(128, np.nan, "<f2").tobytes(), np.full(128, np.inf, "<f2").tobytes(), b"ab", b"abc"]
)
def test_an_item_whose_vector_is_none_is_left_without_a_label(content: bytes) -> None:
    items = [*(item(number) for number in range(6)), item(9, content)]
    assert not content_vectors([each.vectors for each in items])[-1].any()
    found = {each.item_id: each.label for each in inferred(Shelf.of(items), {"i1": "a", "i2": "b"})}
    assert found["i9"] == ""
