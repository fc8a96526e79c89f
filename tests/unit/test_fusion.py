"""What becomes of single events: outcomes, taking back, rejecting, and the shapes of what is read."""

import numpy as np
import pytest

from state.errors import CodecError
from state.events import ACTIONS, Action, Row, RowKind
from state.fusion import HALF_LIVES_SECONDS, Fusion, Outcome, Readouts, item_hash
from tests.fusion_samples import FUSIONS, NOW, correction, event, fold, learned, media

FUSION = FUSIONS["prior"]
DAY = 86_400_000


def act(number: int, action: Action, **fields: object) -> Row:
    return event(number, action=ACTIONS.index(action), **fields)


def outcome(rows: list[Row]) -> Outcome:
    """Of the last row."""
    return FUSION.fold([None], [rows]).outcomes[0][-1]


def read(rows: list[Row]) -> Readouts:
    return FUSION.read([fold(FUSION, rows)])


def crowd(first: int, count: int) -> list[Row]:
    return [event(number) for number in range(first, first + count)]


def test_shapes_and_types() -> None:
    out = FUSION.read([fold(FUSION, crowd(0, count)) for count in (1, 40, 200)])
    expected = {
        "version": ((3,), np.int64),
        "event_count": ((3,), np.int64),
        "time_ms": ((3,), np.int64),
        "interest": ((3, 64), np.float32),
        "heads": ((3, 8, 64), np.float32),
        "head_weights": ((3, 8), np.float32),
        "modalities": ((3, 4), np.float32),
        "dislike": ((3, 64), np.float32),
        "dislike_mass": ((3,), np.float32),
        "recent": ((3, 32, 64), np.float32),
        "recent_mask": ((3, 32), np.bool_),
        "recent_items": ((3, 32), np.uint64),
    }
    assert {name: (getattr(out, name).shape, getattr(out, name).dtype) for name in expected} == expected
    assert out.event_count.tolist() == [1, 40, 200]
    assert out.time_ms.tolist() == [NOW, NOW + 39 * 60_000, NOW + 199 * 60_000]
    assert out.recent_mask.sum(axis=1).tolist() == [1, 32, 32]
    assert out.recent_items[1, :2].tolist() == [item_hash("item-39"), item_hash("item-38")]


def test_nothing_is_known_of_nobody() -> None:
    folded = FUSION.fold([None], [[]])
    out = FUSION.read(folded.states)
    assert folded.outcomes == [[]]
    assert not any(getattr(out, name).any() for name in out.__slots__)
    assert FUSION.fold([], []).states == []
    assert FUSION.read([]).interest.shape == (0, 64)


def test_one_event_is_the_interest() -> None:
    out, item = read([event(3)]), FUSION.item_vectors([media(3)])[0]
    assert out.interest[0] @ item > 0.9999
    assert out.recent[0, 0] @ item > 0.9999
    halves = out.heads[0] @ item
    assert halves[0] ** 2 + halves[1] ** 2 == pytest.approx(1, abs=1e-3)
    assert out.head_weights[0] == pytest.approx(1 / 8)


def test_an_event_without_vector_takes_its_place_but_says_nothing() -> None:
    blind = event(1, vectors={}, masked={0: "timeout"})
    assert outcome([blind]) == Outcome.APPLIED
    out = read([event(0), blind])
    assert (out.event_count[0], out.time_ms[0], out.version[0]) == (2, blind.time, 2)
    assert out.recent_mask[0].tolist() == [False, True] + [False] * 30
    np.testing.assert_allclose(out.interest, read([event(0)]).interest, atol=1e-6)
    assert read([blind]).interest.any() == np.False_


def test_a_weight_of_zero_says_nothing() -> None:
    out = read([event(0), act(1, Action.VIEW, watched_fraction=0.0)])
    np.testing.assert_allclose(out.interest, read([event(0)]).interest, atol=1e-6)
    assert out.event_count[0] == 2


def test_same_id_is_a_duplicate() -> None:
    assert outcome([event(1), event(1, vectors=media(9))]) == Outcome.DUPLICATE
    assert read([event(1), event(1, vectors=media(9))]).version[0] == 1


def test_late_events_count() -> None:
    late = event(-500, vectors=media(7))
    rows = [*crowd(0, 32), late]
    assert outcome(rows) == Outcome.LATE
    assert outcome([*crowd(0, 31), late]) == Outcome.APPLIED
    assert read(rows).time_ms[0] == NOW + 31 * 60_000
    forever = read(rows).heads[0, 7] - read(crowd(0, 32)).heads[0, 7]
    assert np.linalg.norm(forever) > 1e-3


@pytest.mark.parametrize("behind", [0, 5, 31])
def test_an_amendment_replaces_the_vector(behind: int) -> None:
    after = crowd(1, behind)
    rows = [event(0, vectors={}), *after, correction(0, RowKind.AMEND, 1, vectors=media(0))]
    assert outcome(rows) == Outcome.AMENDED
    amended, whole = read(rows), read([event(0), *after])
    np.testing.assert_array_equal(amended.interest, whole.interest)
    np.testing.assert_array_equal(amended.heads, whole.heads)
    assert amended.version[0] == whole.version[0] + 1
    assert amended.event_count[0] == whole.event_count[0]


def test_a_stale_correction_is_ignored() -> None:
    newer = correction(0, RowKind.AMEND, 2, vectors=media(5))
    for sequence in (0, 1, 2):
        rows = [event(0), newer, correction(0, RowKind.RETRACT, sequence)]
        assert outcome(rows) == Outcome.IGNORED
        assert fold(FUSION, rows) == fold(FUSION, rows[:2])


def test_corrections_of_the_unknown_are_ignored() -> None:
    for kind in (RowKind.AMEND, RowKind.RETRACT):
        assert outcome([event(0), correction(1, kind, 1)]) == Outcome.IGNORED
    assert outcome([*crowd(0, 33), correction(0, RowKind.AMEND, 1)]) == Outcome.IGNORED


def test_a_retraction_in_the_ring_is_exact() -> None:
    rows = [event(0), event(1), correction(0, RowKind.RETRACT, 1)]
    assert outcome(rows) == Outcome.RETRACTED
    out = read(rows)
    np.testing.assert_allclose(out.interest, read([event(1)]).interest, atol=1e-6)
    assert out.recent_mask[0, :2].tolist() == [True, False]
    gone = read([*rows, *crowd(2, 40)]).heads[0, 7]
    np.testing.assert_allclose(gone, read(crowd(1, 41)).heads[0, 7], atol=1e-5)


def test_a_retraction_after_the_ring_is_answered_once() -> None:
    rows = [act(0, Action.LIKE), *crowd(1, 32)]
    retraction = correction(0, RowKind.RETRACT, 1, action=ACTIONS.index(Action.LIKE))
    answered = [*rows, retraction]
    assert outcome(answered) == Outcome.COMPENSATED
    assert outcome([*answered, retraction]) == Outcome.DUPLICATE
    out = read(answered)
    assert out.dislike_mass[0] == pytest.approx(0.5, rel=1e-3)
    assert out.dislike[0] @ FUSION.item_vectors([media(0)])[0] > 0.999
    assert out.event_count[0] == 33


def test_a_dislike_that_left_is_not_turned_into_another() -> None:
    rows = [act(0, Action.DISLIKE), *crowd(1, 32)]
    retraction = correction(0, RowKind.RETRACT, 1, action=ACTIONS.index(Action.DISLIKE))
    assert outcome([*rows, retraction]) == Outcome.IGNORED


def test_unlike_takes_back_the_likes_of_its_item() -> None:
    likes = [
        act(0, Action.LIKE, item_id="a"),
        act(1, Action.LIKE, item_id="a"),
        act(2, Action.LIKE, item_id="b"),
    ]
    unlike = act(3, Action.UNLIKE, item_id="a")
    assert outcome([*likes, unlike]) == Outcome.APPLIED
    out = read([*likes, unlike])
    assert out.recent_mask[0, :4].tolist() == [False, True, False, False]
    assert out.dislike_mass[0] == 0
    np.testing.assert_allclose(out.interest, read([likes[2]]).interest, atol=1e-6)
    np.testing.assert_array_equal(read([unlike, *likes]).interest, out.interest)


def test_a_like_after_the_unlike_stands() -> None:
    rows = [
        act(0, Action.LIKE, item_id="a"),
        act(1, Action.UNLIKE, item_id="a"),
        act(2, Action.LIKE, item_id="a"),
    ]
    assert read(rows).recent_mask[0, :3].tolist() == [True, False, False]


def test_a_like_taken_back_leaves_nothing_in_the_sums() -> None:
    rows = [act(0, Action.LIKE, item_id="a"), act(1, Action.UNLIKE, item_id="a"), *crowd(2, 60)]
    out, without = read(rows), read(crowd(2, 60))
    np.testing.assert_allclose(out.heads, without.heads, atol=1e-5)
    assert out.dislike_mass[0] == 0


def test_unlike_after_the_ring_is_answered() -> None:
    rows = [
        act(0, Action.LIKE, item_id="a"),
        *crowd(1, 40),
        act(41, Action.UNLIKE, item_id="a", vectors=media(0)),
    ]
    assert outcome(rows) == Outcome.COMPENSATED
    out = read(rows)
    assert out.dislike_mass[0] == pytest.approx(0.5)
    assert not out.recent_mask[0, 0]


@pytest.mark.parametrize(("action", "mass"), [(Action.DISLIKE, 1.0), (Action.SKIP, 0.25)])
def test_rejection_goes_to_the_dislike_bank_alone(action: Action, mass: float) -> None:
    out = read([event(0), act(1, action)])
    assert out.dislike_mass[0] == pytest.approx(mass)
    assert out.dislike[0] @ FUSION.item_vectors([media(1)])[0] > 0.999
    np.testing.assert_allclose(out.interest, read([event(0)]).interest, atol=1e-6)
    assert out.recent_mask[0, :2].tolist() == [False, True]


def test_dislikes_fade_with_event_time() -> None:
    rows = [act(0, Action.DISLIKE, time=NOW), event(1, time=NOW + 30 * DAY)]
    assert read(rows).dislike_mass[0] == pytest.approx(0.5)
    rows += [event(number, time=NOW + 60 * DAY) for number in range(2, 40)]
    assert read(rows).dislike_mass[0] == pytest.approx(0.25)


def test_heads_forget_at_their_own_pace() -> None:
    """An event, then another a half-life later: the head's mass is three quarters of one that keeps all."""
    for head, seconds in enumerate(HALF_LIVES_SECONDS[:-1]):
        rows = [event(0, time=NOW), event(1, time=NOW + round(seconds * 1000))]
        shares = read(rows).head_weights[0]
        forever = shares[7]
        assert shares[head] / forever == pytest.approx(1.5 / 2, rel=1e-4)


def test_modalities_are_shares_of_attention() -> None:
    text = {0: media(0)[min(media(0))]}
    image = {1: text[0]}
    rows = [
        event(0, time=NOW, vectors=text),
        event(1, time=NOW, vectors=image),
        event(2, time=NOW, vectors=image),
    ]
    assert read(rows).modalities[0] == pytest.approx([1 / 3, 2 / 3, 0, 0], abs=1e-4)


def test_states_of_another_artifact_are_refused() -> None:
    state = fold(FUSION, crowd(0, 3))
    other = Fusion(learned())
    with pytest.raises(CodecError, match="artifact"):
        other.read([state])
    with pytest.raises(CodecError, match="artifact"):
        other.fold([state], [[event(9)]])


def test_times_at_the_ends_of_the_scale() -> None:
    times = [2**63 - 1, -(2**63), 0, NOW]
    out = read([event(number, time=time) for number, time in enumerate(times)])
    assert np.isfinite(out.interest).all()
    first = FUSION.item_vectors([media(0)])[0]
    minute = out.heads[0, :2] @ first
    assert minute[0] ** 2 + minute[1] ** 2 == pytest.approx(1, abs=1e-3)
    assert out.recent_mask[0, :5].tolist() == [True] * 4 + [False]


def test_ids_of_any_text() -> None:
    odd = ["", "\ud800", "用户", "a" * 5_000]
    rows = [event(number, event_id=text, item_id=text) for number, text in enumerate(odd)]
    assert FUSION.fold([None], [rows]).outcomes == [[Outcome.APPLIED] * 4]
    assert len({item_hash(text) for text in odd}) == 4


def test_an_amended_unlike_stays_answered() -> None:
    rows = [act(0, Action.LIKE, item_id="a"), act(1, Action.UNLIKE, item_id="a", vectors={}), *crowd(2, 31)]
    amendment = correction(
        1, RowKind.AMEND, 1, action=ACTIONS.index(Action.UNLIKE), item_id="a", vectors=media(0)
    )
    assert outcome([*rows, amendment]) == Outcome.AMENDED
    assert read([*rows, amendment]).dislike_mass[0] == 0
