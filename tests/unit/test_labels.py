"""Labels from few others: they follow what items show, and what is asked for helps."""

from pathlib import Path

import numpy as np
import pytest

from state.errors import LearningError
from state.items import EncodedItem
from state.labels import asking
from state.labels.asking import doubts, most_useful
from state.labels.inference import infer
from state.labels.material import content_vectors, labels_of
from streams.errors import InputError
from streams.labels import Shelf, asked, inferred, read_labels
from tests.tastes import GROUPS, item

EACH = 10
ITEMS = [item(number, categories=()) for number in range(EACH * len(GROUPS))]
NONE = np.zeros(0, np.int64)


def group(name: str) -> str:
    return GROUPS[int(name.partition("-")[2]) % len(GROUPS)]


def shelf(*labelled: int, more: tuple[EncodedItem, ...] = ()) -> Shelf:
    """The items, of which some have their group as a category."""
    given = {number: item(number) for number in labelled}
    return Shelf.of([*(given.get(number, each) for number, each in enumerate(ITEMS)), *more])


def test_one_label_for_each_group_labels_all_of_it() -> None:
    made = shelf(*range(len(GROUPS)))
    found = inferred(made, made.own)
    assert len(found) == len(ITEMS) - len(GROUPS)
    assert {each.item_id: each.label for each in found} == {
        each.item_id: group(each.item_id) for each in found
    }
    assert all(each.confidence > 0.5 for each in found)
    assert [each.confidence for each in found] == sorted((each.confidence for each in found), reverse=True)


def test_a_label_that_is_given_goes_before_an_items_own() -> None:
    made = shelf(*range(len(GROUPS)))
    found = inferred(made, {**made.own, "item-0": "feathers"})
    assert {each.label for each in found if group(each.item_id) == "birds"} == {"feathers"}


def test_what_nothing_is_known_of_stays_without_a_label() -> None:
    bare = EncodedItem("bare", 0, 1_000)
    made = shelf(*range(len(GROUPS)), more=(bare,))
    (found,) = (each for each in inferred(made, made.own) if each.item_id == "bare")
    assert (found.label, found.confidence) == ("", 0.0)
    assert "bare" not in {each.item_id for each in asked(made, made.own, len(made.ids))}


def test_labels_that_are_known_are_certain() -> None:
    vectors = content_vectors([each.vectors for each in ITEMS])
    labels = labels_of([group(each.item_id) if number < 12 else None for number, each in enumerate(ITEMS)])
    belief = infer(vectors, labels)
    assert np.allclose(belief.shares.sum(axis=1), 1)
    assert (belief.shares[np.arange(12), labels.codes[:12]] == 1).all()
    assert not doubts(belief.shares)[:12].any()


def test_without_any_label_there_is_nothing_to_infer_and_much_to_ask() -> None:
    with pytest.raises(LearningError, match="no item carries a label"):
        infer(np.eye(4, dtype=np.float32), labels_of([None] * 4))
    made = shelf()
    with pytest.raises(InputError, match="ask which ones would help most"):
        inferred(made, made.own)
    chosen = asked(made, made.own, len(GROUPS))
    assert {group(each.item_id) for each in chosen} == set(GROUPS), "one of each, for they are unlike"


def test_what_is_in_doubt_is_asked_for_first() -> None:
    made = shelf(0, 1, 2)
    chosen = asked(made, made.own, 3)
    assert {group(each.item_id) for each in chosen} == set(GROUPS[3:])
    rest = asked(made, made.own, 10_000)
    assert len(rest) == len(ITEMS) - 3 and not {each.item_id for each in rest} & made.own.keys()


def test_of_many_items_some_are_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "MOST", 50)
    vectors = np.random.default_rng(3).normal(size=(200, 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    once, again = (most_useful(vectors, None, NONE, 4) for _ in range(2))
    assert once.tolist() == again.tolist() and len(set(once.tolist())) == 4


def test_a_table_of_labels_is_read_and_a_bad_one_is_told_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text('item_id,title,label\na,"One, two",birds\nb,Two,\nc,Three, boats \n')
    assert read_labels(path) == {"a": "birds", "c": "boats"}
    path.write_text("item_id,category\na,birds\n")
    with pytest.raises(InputError, match=r"labels\.csv:1: no column label"):
        read_labels(path)
    path.write_text("item_id,label\na,birds\n,boats\n")
    with pytest.raises(InputError, match=r"labels\.csv:3: a label without an item_id"):
        read_labels(path)
    with pytest.raises(InputError, match="cannot be read"):
        read_labels(tmp_path / "none.csv")
