"""What a comment's sentiment makes of it: in the fusion record, in topics, in item counts, and old rows."""

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from state.events import ACTIONS, Action, Row
from state.fusion import Fusion
from state.prior import content_prior
from state.profile import Profile, fold_profile
from state.signals import AGAINST, judged, judged_row
from state.slots import item_hash
from tests.fusion_samples import event

FUSION = Fusion(content_prior())
COMMENT = ACTIONS.index(Action.COMMENT)
DISLIKE = ACTIONS.index(Action.DISLIKE)
VIEW = ACTIONS.index(Action.VIEW)


def comment(sentiment: float | None, number: int = 1) -> Row:
    return event(number, action=COMMENT, sentiment=sentiment, topics=("birds",), text="…")


def similarity(row: Row) -> float:
    """Of the interest to the item commented on, after a view of another item."""
    folded = FUSION.fold([None], [[event(0, action=VIEW, item_id="other"), row]])
    readouts = FUSION.read(folded.states)
    (vector,) = FUSION.item_vectors([row.vectors])
    return float(readouts.interest[0] @ vector)


def dislike_mass(row: Row) -> float:
    return float(FUSION.read(FUSION.fold([None], [[row]]).states).dislike_mass[0])


def test_a_comment_nobody_judged_counts_as_it_did() -> None:
    plain = FUSION.fold([None], [[comment(None)]]).states
    neutral = FUSION.fold([None], [[comment(0.0)]]).states
    assert plain == neutral
    assert dislike_mass(comment(None)) == 0


def test_praise_counts_for_more_and_doubt_for_less() -> None:
    assert similarity(comment(-0.2)) < similarity(comment(0.0)) < similarity(comment(0.9))


def test_a_comment_against_counts_as_a_dislike_of_its_strength() -> None:
    mild, strong = dislike_mass(comment(-0.4)), dislike_mass(comment(-0.8))
    assert 0 < mild < strong
    assert strong == pytest.approx(2 * mild, rel=1e-3)
    assert similarity(comment(-0.8)) < similarity(comment(0.0))
    as_dislike = FUSION.fold([None], [[msgspec.structs.replace(comment(None), action=DISLIKE)]]).states
    assert FUSION.fold([None], [[comment(-1.0)]]).states == as_dislike


def test_sentiment_of_another_action_means_nothing() -> None:
    viewed = event(1, action=VIEW)
    judged_view = event(1, action=VIEW, sentiment=-1.0)
    assert FUSION.fold([None], [[viewed]]).states == FUSION.fold([None], [[judged_view]]).states


def topics_after(row: Row) -> tuple[float, float]:
    profile = Profile()
    fold_profile(profile, [(row, item_hash(row.item_id or ""))])
    return profile.topics["birds"]


def test_topics_gain_by_praise_and_lose_by_blame() -> None:
    plain, praise, blame = (topics_after(comment(sounds)) for sounds in (None, 1.0, -1.0))
    assert praise[0] == plain[0] + 1, "a height is a logarithm to base 2"
    assert blame[0] == -np.inf and blame[1] > 0
    profile = Profile()
    fold_profile(profile, [(comment(-1.0), item_hash("item-1"))])
    assert profile.disliked == b"", "who complains of an item has not asked never to see it"


@given(st.integers(0, len(ACTIONS) - 1), st.one_of(st.none(), st.floats(-3, 3)))
def test_one_row_is_judged_as_many_are(action: int, sounds: float | None) -> None:
    codes, factors = judged(np.array([action]), np.array([np.nan if sounds is None else sounds]))
    code, factor = judged_row(event(1, action=action, sentiment=sounds))
    assert int(codes[0]) == code
    assert float(factors[0]) == pytest.approx(factor, rel=1e-6)
    assert 0 <= factor <= 2
    if sounds is not None and action == COMMENT:
        assert (code == DISLIKE) == (sounds <= AGAINST)


def test_rows_of_builds_that_judged_nothing_still_decode() -> None:
    old = msgspec.msgpack.decode(msgspec.msgpack.encode(comment(0.5)))
    found = msgspec.msgpack.decode(msgspec.msgpack.encode(old[:-1]), type=Row)
    assert found == comment(None)
