"""Slates as text: the same bytes as the records would be written."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from state.reasons import Reasons
from state.slates import SOURCES, Slates
from streams.interests.places import Places
from streams.records import Reason, RecommendedItem

picks = st.tuples(
    st.text(min_size=1, max_size=5),
    st.floats(-2, 2).map(lambda score: round(score, 5)),
    st.integers(0, len(SOURCES) - 1),
    st.none() | st.tuples(st.text(min_size=1, max_size=5), st.lists(st.text(max_size=5), max_size=3)),
)


def pieces(reason: tuple[str, list[str]] | None) -> tuple[bytes, bytes, bytes]:
    if reason is None:
        return b"", b"", b""
    topics = b',"topics":' + msgspec.json.encode(reason[1]) if reason[1] else b""
    return b',"reasons":[{"item_id":', msgspec.json.encode(reason[0]), topics + b"}]"


@given(st.lists(st.lists(picks, max_size=4), max_size=4))
def test_the_text_is_that_of_the_records(
    users: list[list[tuple[str, float, int, tuple[str, list[str]] | None]]],
) -> None:
    flat = [pick for user in users for pick in user]
    reasons = Reasons(
        *(list(part) for part in zip(*(pieces(pick[3]) for pick in flat), strict=True)) if flat else ([],) * 3
    )
    slates = Slates(
        [len(user) for user in users],
        [msgspec.json.encode(pick[0]) for pick in flat],
        [pick[1] for pick in flat],
        [pick[2] for pick in flat],
        reasons,
    )
    wanted = [
        [
            RecommendedItem(name, score, rank, SOURCES[code], [] if reason is None else [Reason(*reason)])
            for rank, (name, score, code, reason) in enumerate(user, 1)
        ]
        for user in users
    ]
    assert Places().texts(slates) == [msgspec.json.encode(places) for places in wanted]
    assert [slate.items for slate in slates.each()] == [[pick[0] for pick in user] for user in users]
    assert [[[why.item_id for why in reasons] for reasons in slate.reasons] for slate in slates.each()] == [
        [[] if pick[3] is None else [pick[3][0]] for pick in user] for user in users
    ]
