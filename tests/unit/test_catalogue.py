import threading
from collections.abc import Mapping, Sequence

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from state.catalogue import FOREVER, Catalogue
from state.items import EncodedItem
from state.layout import DIM
from state.slots import item_hash
from tests.tastes import catalogue, item


class FlatSpace:
    """Item vectors that tell the first byte they were made of."""

    def item_vectors(
        self, vectors: Sequence[Mapping[int, bytes]], items: Sequence[str], topics: object
    ) -> np.ndarray:
        made = np.zeros((len(vectors), DIM), dtype=np.float32)
        for place, of in enumerate(vectors):
            made[place, of[0][0] if of else 0] = float(bool(of))
        return made


def written(name: str, offset: int, number: int = 1, **fields: object) -> tuple[str, EncodedItem]:
    made = EncodedItem(name, 0, offset, vectors={0: bytes([number])})
    return name, msgspec.structs.replace(made, **fields)


def withdrawn(name: str, offset: int) -> tuple[str, EncodedItem]:
    return name, EncodedItem(name, 0, offset, withdrawn=True)


def told(made: Catalogue) -> dict[str, int]:
    """The number that each item's vector tells."""
    return {name: int(made.columns.vectors[row].argmax()) for name, row in made.row_of.items()}


def test_vectors_of_other_encoders_than_the_models_are_refused(caplog: pytest.LogCaptureFixture) -> None:
    made = Catalogue(FlatSpace(), "bank-2")
    made.apply([written("old", 1, 5, encoders="bank-1"), written("new", 2, 6, encoders="bank-2")])
    assert made.columns.vectors[made.row_of["new"]].argmax() == 6
    assert not made.columns.vectors[made.row_of["old"]].any()
    assert "encoded by bank-1 go without vectors" in caplog.text
    assert "trained on those of bank-2" in caplog.text
    caplog.clear()
    made.apply([written("old", 3, 5, encoders="bank-2")])
    assert made.columns.vectors[made.row_of["old"]].argmax() == 5
    assert not caplog.text


def test_a_model_that_was_trained_on_no_encoders_takes_all_vectors(caplog: pytest.LogCaptureFixture) -> None:
    made = Catalogue(FlatSpace())
    made.apply([written("one", 1, 5, encoders="bank-1"), written("two", 2, 6, encoders="bank-2")])
    assert told(made) == {"one": 5, "two": 6}
    assert not caplog.text


def test_the_higher_offset_holds() -> None:
    made = Catalogue(FlatSpace())
    assert made.apply([written("a", 5, 1), written("a", 7, 2), written("a", 6, 3)]) == 2
    assert told(made) == {"a": 2}
    assert made.apply([written("a", 6, 4)]) == 0
    assert told(made) == {"a": 2}


def test_the_same_offset_encoded_anew_holds() -> None:
    made = Catalogue(FlatSpace())
    made.apply([written("a", 5, 1)])
    made.apply([written("a", 5, 2)])
    assert told(made) == {"a": 2}


def test_another_partition_holds_by_the_order_of_the_log() -> None:
    made = Catalogue(FlatSpace())
    made.apply([written("a", 500, 1), written("a", 3, 2, partition=1)])
    assert told(made) == {"a": 2}


def test_a_late_write_does_not_bring_a_withdrawn_item_back() -> None:
    made = Catalogue(FlatSpace())
    made.apply([written("a", 5), withdrawn("a", 6), ("a", None)])
    assert len(made) == 0
    made.apply([written("a", 4), written("a", 5)])
    assert len(made) == 0
    made.apply([written("a", 7, 3)])
    assert told(made) == {"a": 3}


def test_an_item_of_a_topic_made_anew_holds_whatever_its_offset() -> None:
    made = Catalogue(FlatSpace())
    made.apply([written("a", 90, 1, topic=b"o" * 16), written("b", 91, 2)])
    made.apply([written("a", 0, 3, topic=b"n" * 16), written("b", 1, 4, topic=b"n" * 16)])
    assert told(made) == {"a": 3, "b": 4}
    made.apply([("a", EncodedItem("a", 0, 2, withdrawn=True, topic=b"n" * 16)), ("a", None)])
    assert told(made) == {"b": 4}


def test_a_late_withdrawal_and_its_null_do_nothing() -> None:
    made = Catalogue(FlatSpace())
    made.apply([written("a", 7, 2), withdrawn("a", 6), ("a", None)])
    assert told(made) == {"a": 2}


def test_a_null_whose_mark_was_compacted_away_withdraws() -> None:
    made = Catalogue(FlatSpace())
    made.apply([written("a", 5), ("a", None)])
    assert len(made) == 0


def test_a_null_of_an_unknown_item_does_nothing() -> None:
    made = Catalogue(FlatSpace())
    made.apply([("a", None)])
    assert (len(made), made.rows) == (0, 0)


def test_rows_are_used_again() -> None:
    made = Catalogue(FlatSpace())
    made.apply([written("a", 1, 1), written("b", 2, 2)])
    made.apply([withdrawn("a", 3), written("c", 4, 3)])
    assert made.rows == 2
    assert told(made) == {"b": 2, "c": 3}
    assert item_hash("a") not in made.row_of_hash
    assert made.ids[made.row_of_hash[item_hash("c")]] == "c"


def test_columns_grow_and_keep_what_they_hold() -> None:
    made = Catalogue(FlatSpace())
    made.apply([written("first", 0, 9, expires_at=77)])
    made.apply([written(f"i{n}", n + 1, n % 50) for n in range(3000)])
    assert len(made) == 3001
    row = made.row_of["first"]
    assert made.columns.vectors[row, 9] == 1.0
    assert made.columns.expires[row] == 77
    assert made.columns.expires[made.row_of["i2999"]] == FOREVER


def test_a_new_version_with_every_change_alone() -> None:
    made = Catalogue(FlatSpace())
    made.apply([written("a", 5)])
    version = made.version
    made.apply([written("a", 4)])
    assert made.version == version
    made.rate([("a", 1.0)])
    assert (made.version, made.ratings) == (version, 1)
    made.apply([written("a", 6)])
    assert made.version > version


def test_demand_waits_for_its_item() -> None:
    made = Catalogue(FlatSpace())
    made.rate([("a", 3.5)])
    made.apply([written("a", 1)])
    assert made.columns.heights[made.row_of["a"]] == 3.5
    made.rate([("a", 4.5)])
    assert made.columns.heights[made.row_of["a"]] == 4.5


def test_a_row_used_again_takes_no_demand_over() -> None:
    made = Catalogue(FlatSpace())
    made.apply([written("a", 1)])
    made.rate([("a", 3.5)])
    made.apply([withdrawn("a", 2), written("b", 3)])
    assert made.columns.heights[made.row_of["b"]] == -np.inf


def test_vectors_are_those_of_the_model() -> None:
    items = [item(number) for number in range(5)] + [item(9, vectors={})]
    made, fusion = catalogue(items)
    expected = fusion.item_vectors([entry.vectors for entry in items])
    found = made.columns.vectors[[made.row_of[entry.item_id] for entry in items]]
    np.testing.assert_array_equal(found, expected)
    assert not found[-1].any()


def test_topics_are_known_by_their_lower_case() -> None:
    made, _ = catalogue([item(0, tags=("Sea Birds",), categories=("Birds",))])
    assert made.topic_names == {"birds": "Birds", "sea birds": "Sea Birds"}


changes = st.lists(
    st.tuples(st.sampled_from("abc"), st.integers(0, 20), st.booleans(), st.integers(0, 50)), max_size=30
)


@settings(deadline=None)
@given(changes, st.randoms(use_true_random=False))
def test_writes_in_any_order_end_alike(made: list[tuple[str, int, bool, int]], random: object) -> None:
    by_place = {(name, offset): (gone, number) for name, offset, gone, number in made}
    records = [
        withdrawn(name, offset) if gone else written(name, offset, number)
        for (name, offset), (gone, number) in by_place.items()
    ]
    expected = {
        name: by_place[name, last][1]
        for name in "abc"
        if (last := max((offset for other, offset in by_place if other == name), default=-1)) >= 0
        and not by_place[name, last][0]
    }
    random.shuffle(records)  # type: ignore[attr-defined]
    whole, single = Catalogue(FlatSpace()), Catalogue(FlatSpace())
    whole.apply(records)
    for record in records:
        single.apply([record])
    assert told(whole) == told(single) == expected


def test_a_reader_with_the_lock_sees_whole_rows() -> None:
    """One thread gives all items one number after the other; a reader must never see two numbers at once."""
    made = Catalogue(FlatSpace())
    names = [f"i{number}" for number in range(200)]
    made.apply([written(name, 0, 0) for name in names])
    done = threading.Event()

    def write() -> None:
        for turn in range(1, 40):
            made.apply([written(name, turn, turn) for name in names])
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    mixed = 0
    while not done.is_set():
        with made.lock:
            mixed += len(set(told(made).values())) > 1
    writer.join(30)
    assert mixed == 0
    assert set(told(made).values()) == {39}
