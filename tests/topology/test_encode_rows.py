"""Rows of events by the short way and by the long one."""

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from streams.encode.drafts import compose, draft_event, plain_row, plan_event
from streams.encode.item_view import ItemView, KnownItem
from streams.encode.media import EncodedMedia
from streams.encode.parsing import parse_interaction
from streams.raw import RawRecord

NOW = 1_700_000_000_000
CODES = st.integers(0, 3)
TOPICS = st.integers(0, 70).map(lambda count: (*(f"t{count % 5}-{each}" for each in range(count)), "x" * 250))


@given(
    st.dictionaries(CODES, st.sampled_from([bytes(256), b"v" * 256])),
    st.dictionaries(CODES, st.sampled_from(["missing", "broken"])),
    TOPICS,
    TOPICS,
    st.booleans(),
)
@settings(max_examples=100, deadline=None)
def test_an_event_with_an_item_alone_gets_the_row_that_it_would_get_anyway(
    vectors: dict[int, bytes],
    masked: dict[int, str],
    tags: tuple[str, ...],
    categories: tuple[str, ...],
    withdrawn: bool,
) -> None:
    view = ItemView()
    view.apply(KnownItem("i1", 0, 3, vectors, masked, tags, categories, withdrawn))
    fields = {"value": 2.5, "dwell_seconds": 3.0, "watched_fraction": 0.5}
    value = {"user_id": "u1", "action": "like", "timestamp": NOW, "item_id": "i1", **fields}
    record = RawRecord("interactions", 1, 7, NOW, b"u1", json.dumps(value).encode())
    plan = plan_event(parse_interaction(record, {}), view)
    whole, missing = compose(draft_event(plan, EncodedMedia({})), view)
    assert plain_row(plan, view) == (None if withdrawn else whole)
    assert missing == ({"i1"} if withdrawn else set())
