"""What a partition's last owner waited for, told from its packs."""

import msgspec
import numpy as np

from state.events import ACTIONS, Action, Pack, Row
from streams.encode.drafts import amend, compose
from streams.encode.item_view import ItemView, KnownItem
from streams.encode.recollection import recollect
from streams.encode.vectors import from_wire, to_wire
from tests.fake_media import fake_vector

UNKNOWN = dict.fromkeys(range(4), "unknown_item")
WORDS = to_wire(fake_vector(b"words"))
DOG = to_wire(fake_vector(b"dog"))
CAT = to_wire(fake_vector(b"cat"))


def row(name: str, item_id: str | None = "i1", **fields: object) -> Row:
    made = Row("u", name, ACTIONS.index(Action.COMMENT), 5, 7, 9, item_id=item_id)
    return msgspec.structs.replace(made, **{"masked": UNKNOWN, **fields})


def view() -> ItemView:
    made = ItemView()
    made.apply(KnownItem("i1", 0, 0, {0: CAT}, tags=("cats",)))
    return made


def pack(*rows: Row) -> tuple[int, Pack]:
    return 2, Pack(0, 10, list(rows))


def test_only_events_with_an_unknown_item_wait() -> None:
    rows = (row("a"), row("b", None), row("c", masked={0: "missing"}), row("d"))
    assert [each.draft.row.event_id for each in recollect([pack(*rows)], 10)] == ["a", "d"]


def test_events_of_items_by_other_encoders_wait_too() -> None:
    masked = {0: "other_encoders", 2: "missing"}
    (found,) = recollect([pack(row("a", vectors={1: DOG}, masked=masked))], 10)
    assert found.draft.masked == {2: "missing"}
    composed, missing = compose(found.draft, view())
    assert missing == set()
    assert composed.vectors == {0: CAT, 1: DOG}


def test_what_was_amended_since_does_not_wait() -> None:
    amended = amend(row("a", masked={}, vectors={0: CAT}), 1)
    assert list(recollect([pack(row("a")), pack(amended)], 10)) == []


def test_a_correction_that_left_it_unknown_counts_on() -> None:
    amended = amend(row("a", vectors={1: DOG}, masked={0: "unknown_item"}), 3)
    (found,) = recollect([pack(row("a")), pack(amended)], 10)
    assert (found.sequence, found.draft.partition, found.item_id) == (3, 2, "i1")
    assert set(found.draft.own) == {1}


def test_the_row_it_gives_is_the_one_that_the_draft_would_have_given() -> None:
    original = row("a", text="words", vectors={0: WORDS, 1: DOG}, masked={2: "unknown_item", 3: "missing"})
    (found,) = recollect([pack(original)], 10)
    again, missing = compose(found.draft, ItemView())
    assert missing == {"i1"}
    assert set(again.vectors) == {0, 1}
    assert np.allclose(from_wire(again.vectors[0]), from_wire(WORDS), atol=1e-3)
    composed, missing = compose(found.draft, view())
    assert missing == set()
    assert composed.vectors == {0: CAT, 1: DOG}
    assert (composed.masked, composed.topics, composed.offset) == ({3: "missing"}, ("cats",), 7)


def test_search_words_stay_the_events_own() -> None:
    original = row("a", action=ACTIONS.index(Action.SEARCH), text="words", vectors={0: WORDS})
    (found,) = recollect([pack(original)], 10)
    assert compose(found.draft, view())[0].vectors == {0: WORDS}
