"""Merging two users' records against folding the events of both as one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from state.codec import decode
from state.errors import CodecError
from state.events import Action, Row
from state.fusion import Fusion, item_hash
from state.layout import REMEMBERED
from state.merging import merge_states
from state.prior import content_prior
from state.profile import Profile, decode_profile, encode_profile, fold_profile, merge_profiles
from tests.tastes import item, row

FUSION = Fusion(content_prior())
STOCK = [item(number) for number in range(40)]
ACTIONS = (Action.VIEW, Action.LIKE, Action.DISLIKE, Action.SAVE, Action.SKIP, Action.SHARE)


def fold(rows: list[Row]) -> bytes | None:
    return FUSION.fold([None], [rows]).states[0] if rows else None


def profile(rows: list[Row]) -> Profile:
    made = Profile()
    fold_profile(made, [(each, item_hash(each.item_id or "")) for each in rows])
    return made


def same_picture(merged: bytes, folded: bytes) -> None:
    one, two = FUSION.read([merged]), FUSION.read([folded])
    for name in ("interest", "heads", "head_weights", "modalities"):
        np.testing.assert_allclose(getattr(one, name), getattr(two, name), atol=1e-5, err_msg=name)
    assert one.event_count.tolist() == two.event_count.tolist()
    assert one.version.tolist() == two.version.tolist()
    assert one.time_ms.tolist() == two.time_ms.tolist()
    rings = [decode([state], FUSION.artifact.fingerprint)["ring"][0] for state in (merged, folded)]
    assert sorted(map(bytes, rings[0])) == sorted(map(bytes, rings[1]))
    sums = [decode([state], FUSION.artifact.fingerprint) for state in (merged, folded)]
    for name in ("dislike_norm", "dislike_value", "norm", "value"):
        scale = [np.exp(each["dislike_mass" if name.startswith("dis") else "mass"]) for each in sums]
        parts = [
            each[name].reshape(len(each), np.size(s), -1) * s.reshape(1, -1, 1)
            for each, s in zip(sums, scale, strict=True)
        ]
        np.testing.assert_allclose(parts[0], parts[1], rtol=1e-4, atol=1e-5, err_msg=name)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 39), st.sampled_from(ACTIONS), st.booleans()), max_size=90),
    st.randoms(use_true_random=False),
)
def test_a_merge_is_the_fold_of_both(events: list[tuple[int, Action, bool]], chance: object) -> None:
    rows = [row("u", number, STOCK[place], action) for number, (place, action, _) in enumerate(events)]
    theirs = [each for each, (_, _, mine) in zip(rows, events, strict=True) if not mine]
    ours = [each for each, (_, _, mine) in zip(rows, events, strict=True) if mine]
    chance.shuffle(theirs)  # type: ignore[attr-defined]
    joining, held = fold(theirs), fold(ours)
    if joining is None:
        return
    same_picture(merge_states(FUSION.artifact, held, joining), fold(rows) or b"")


@settings(max_examples=20, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.sampled_from([Action.LIKE, Action.UNLIKE]), st.booleans()),
        max_size=32,
    )
)
def test_what_one_liked_the_other_takes_back(events: list[tuple[int, Action, bool]]) -> None:
    rows = [row("u", number, STOCK[place], action) for number, (place, action, _) in enumerate(events)]
    joining = fold([each for each, (_, _, mine) in zip(rows, events, strict=True) if not mine])
    held = fold([each for each, (_, _, mine) in zip(rows, events, strict=True) if mine])
    if joining is not None:
        same_picture(merge_states(FUSION.artifact, held, joining), fold(rows) or b"")


def test_an_event_that_came_under_both_ids_counts_once() -> None:
    rows = [row("u", number, STOCK[number % 40]) for number in range(60)]
    merged = merge_states(FUSION.artifact, fold(rows[:45]), fold(rows[5:]) or b"")
    assert FUSION.read([merged]).event_count.tolist() == [60]
    doubled = FUSION.fold([merged], [rows[20:]])
    assert {outcome.name for outcome in doubled.outcomes[0]} == {"DUPLICATE"}


def test_the_latest_ids_of_both_are_remembered() -> None:
    ours = [row("u", number, STOCK[number % 40]) for number in range(100)]
    theirs = [row("v", number, STOCK[number % 40]) for number in range(100, 300)]
    merged = merge_states(FUSION.artifact, fold(ours), fold(theirs) or b"")
    half = REMEMBERED // 2
    again = FUSION.fold([merged], [ours[-half:] + theirs[-half:]])
    assert {outcome.name for outcome in again.outcomes[0]} == {"DUPLICATE"}


def test_states_of_another_artifact_do_not_merge() -> None:
    state = bytearray(fold([row("u", 0, STOCK[0])]) or b"")
    state[4] ^= 1
    with pytest.raises(CodecError, match="artifact"):
        merge_states(FUSION.artifact, None, bytes(state))


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 9), st.sampled_from([*ACTIONS, Action.UNLIKE, Action.SEARCH]), st.booleans()
        ),
        max_size=40,
    )
)
def test_a_merged_profile_is_the_fold_of_both(events: list[tuple[int, Action, bool]]) -> None:
    rows = [
        row("u", number, STOCK[place], action, text=f"word {number}" if action is Action.SEARCH else None)
        for number, (place, action, _) in enumerate(events)
    ]
    theirs = profile([each for each, (_, _, mine) in zip(rows, events, strict=True) if not mine])
    ours = profile([each for each, (_, _, mine) in zip(rows, events, strict=True) if mine])
    merged, folded = merge_profiles(ours, theirs), profile(rows)
    assert merged.seen == folded.seen
    assert merged.disliked == folded.disliked
    assert merged.searches == folded.searches
    assert merged.topics.keys() == folded.topics.keys()
    for name, mass in folded.topics.items():
        assert merged.topics[name] == pytest.approx(mass, abs=1e-9)
    assert decode_profile(encode_profile(merged)) == merged


def test_topics_beyond_the_bounds_leave_the_lightest() -> None:
    ours = Profile(topics={f"a{number}": (float(number), -np.inf) for number in range(15)})
    theirs = Profile(topics={f"b{number}": (float(number), -np.inf) for number in range(15)})
    assert {"a14", "b14"} <= merge_profiles(ours, theirs).topics.keys()
    assert len(merge_profiles(ours, theirs).topics) == 16
