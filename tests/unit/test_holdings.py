"""What an export says of a user's records is what was folded into them."""

import msgspec
import numpy as np
import pytest

from state.events import Action, RowKind
from state.fusion import Fusion, item_hash
from state.holdings import Names, held_profile, held_state
from state.layout import HALF_LIVES_SECONDS, RING
from state.prior import content_prior
from state.profile import Profile, encode_profile, fold_profile
from state.slots import event_hash
from tests.tastes import DAY, item, row

FUSION = Fusion(content_prior())
STOCK = [item(number) for number in range(12)]
NAMES = Names([each.item_id for each in STOCK])
ACTIONS = [Action.LIKE, Action.VIEW, Action.DISLIKE, Action.SAVE]


def test_the_latest_events_are_told_as_they_were_sent() -> None:
    rows = [
        row("ann", number, STOCK[number % 12], ACTIONS[number % 4], dwell_seconds=30.0)
        for number in range(50)
    ]
    taken_back = msgspec.structs.replace(rows[45], kind=int(RowKind.RETRACT), sequence=1)
    state = FUSION.fold([None], [[*rows, taken_back]]).states[0]
    held = held_state(state, NAMES)
    assert (held.version, held.event_count, held.artifact) == (51, 50, f"{FUSION.artifact.fingerprint:08x}")
    assert [each.time for each in held.events] == [each.time for each in rows[: -RING - 1 : -1]]
    assert [each.items for each in held.events] == [[each.item_id] for each in rows[: -RING - 1 : -1]]
    assert [each.action for each in held.events] == [ACTIONS[each % 4] for each in range(49, 49 - RING, -1)]
    assert [each.retracted for each in held.events] == [each == 45 for each in range(49, 49 - RING, -1)]
    assert held.remembered_events == [f"{event_hash(each.event_id):016x}" for each in reversed(rows)]
    assert held.events[0].modalities == {"image": 1.0}
    vectors = FUSION.item_vectors([each.vectors for each in rows[: -RING - 1 : -1]])
    np.testing.assert_allclose([each.vector for each in held.events], vectors, atol=0.02)
    assert [each.half_life_seconds for each in held.sums] == [*HALF_LIVES_SECONDS[:-1], None]
    assert all(each.norm > 0 for each in held.sums) and held.dislikes.norm > 0
    assert held.sums_time == rows[49 - RING].time
    assert msgspec.json.decode(msgspec.json.encode(held), type=type(held)) == held


def test_a_new_user_has_empty_sums() -> None:
    held = held_state(FUSION.fold([None], [[row("ann", 0, None, Action.SEARCH)]]).states[0], NAMES)
    assert held.sums_time is None and held.dislikes_time is None
    assert [each.mass for each in held.sums] == [None] * len(HALF_LIVES_SECONDS)
    assert held.events[0].items == [] and held.events[0].item_hash is None
    assert b"Infinity" not in msgspec.json.encode(held)


def test_a_profile_is_told_with_the_names_of_its_items() -> None:
    profile = Profile()
    rows = [
        row("ann", 0, STOCK[0]),
        row("ann", 1, STOCK[1], Action.DISLIKE),
        row("ann", 2, STOCK[2], Action.LIKE),
        row("ann", 3, None, Action.SEARCH, text="red boats"),
    ]
    fold_profile(profile, [(each, item_hash(each.item_id or "")) for each in rows])
    held = held_profile(encode_profile(profile), NAMES)
    assert {tuple(each.items) for each in held.seen} == {("item-0",), ("item-1",), ("item-2",)}
    assert {each.time for each in held.seen} == {rows[0].time // DAY * DAY}
    assert [(each.items, each.time) for each in held.disliked] == [(["item-1"], rows[1].time)]
    assert [(each.items, each.time) for each in held.liked] == [(["item-2"], rows[2].time)]
    assert held.searches == [(rows[3].time, "red boats")]
    assert held.topics["cakes"][0] == pytest.approx(profile.topics["cakes"][0])
    assert held.topics["boats"] == (None, pytest.approx(profile.topics["boats"][1]))


def test_items_whose_names_are_lost_are_told_by_their_hash() -> None:
    state = FUSION.fold([None], [[row("ann", 0, STOCK[3])]]).states[0]
    (event,) = held_state(state, Names()).events
    assert event.items == [] and event.item_hash == f"{item_hash('item-3'):016x}"
