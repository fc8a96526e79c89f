import itertools
import math
from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from state.errors import CodecError
from state.events import ACTIONS, Action, Row, RowKind
from state.profile import (
    DAY_STAMP,
    TIME_STAMP,
    TOPIC_HALF_LIFE_MS,
    Profile,
    decode_profile,
    encode_profile,
    fold_profile,
    topic_shares,
)
from state.recency import mark_of, stamp_of
from state.slots import item_hash

START = 1_700_000_000_000
DAY = 86_400_000
BUDGET = 4096


def event(action: Action, item: str | None = "a", time: int = START, **fields: object) -> Row:
    made = Row("user", f"e-{time}-{action}-{item}", ACTIONS.index(action), time, 0, time, item_id=item)
    return msgspec.structs.replace(made, **fields)


def fold(rows: Sequence[Row], stored: bytes | None = None) -> bytes:
    profile = decode_profile(stored)
    fold_profile(profile, [(row, item_hash(row.item_id) if row.item_id else 0) for row in rows])
    return encode_profile(profile)


def is_disliked(value: bytes, item: str = "a") -> bool:
    return stamp_of(decode_profile(value).disliked, mark_of(item_hash(item)), TIME_STAMP) is not None


def seen_day(value: bytes, item: str = "a") -> int | None:
    return stamp_of(decode_profile(value).seen, mark_of(item_hash(item)), DAY_STAMP)


rows_of_any_kind = st.builds(
    Row,
    user_id=st.just("user"),
    event_id=st.integers(0, 40).map(lambda number: f"e-{number}"),
    action=st.integers(0, len(ACTIONS) - 1),
    time=st.integers(START - 90 * DAY, START + 90 * DAY),
    offset=st.just(0),
    broker_time=st.just(START),
    item_id=st.one_of(st.none(), st.integers(0, 30).map(lambda number: f"item-{number}")),
    topics=st.lists(st.sampled_from([f"topic {n}" for n in range(40)]), max_size=4, unique=True).map(tuple),
    text=st.one_of(st.none(), st.text(max_size=60)),
    kind=st.sampled_from([RowKind.EVENT, RowKind.EVENT, RowKind.EVENT, RowKind.AMEND, RowKind.RETRACT]),
)


@given(st.lists(rows_of_any_kind, max_size=60), st.lists(st.integers(0, 60), max_size=6))
def test_bytes_do_not_hang_on_the_cut_into_batches(rows: list[Row], cuts: list[int]) -> None:
    stored: bytes | None = None
    edges = [0, *sorted(min(cut, len(rows)) for cut in cuts), len(rows)]
    for start, end in itertools.pairwise(edges):
        stored = fold(rows[start:end], stored)
    assert stored == fold(rows)


@given(st.lists(rows_of_any_kind, max_size=40), st.randoms(use_true_random=False))
def test_seen_items_do_not_hang_on_the_order(rows: list[Row], random: object) -> None:
    shuffled = list(rows)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert decode_profile(fold(shuffled)).seen == decode_profile(fold(rows)).seen


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 2**32), st.text(min_size=1, max_size=80))
def test_a_profile_stays_within_its_bytes(seed: int, name: str) -> None:
    rows = []
    for number in range(320):
        action = ACTIONS[(number * 7 + seed) % len(ACTIONS)]
        topics = (f"{name}{number % 50}", f"topic {(number * seed) % 97}")
        rows.append(event(action, f"item-{number}", START + number, topics=topics, text=f"{name} {number}"))
        rows.append(event(Action.DISLIKE, f"bad-{number}", START + number))
        rows.append(event(Action.VIEW, f"odd-{number}", START + number, topics=()))
    assert len(fold(rows)) <= BUDGET


def test_sights_take_the_room_that_dislikes_leave() -> None:
    seen = [event(Action.VIEW, f"item-{number}", START + number) for number in range(600)]
    bad = [event(Action.DISLIKE, f"bad-{number}", START + number) for number in range(300)]
    few, many = decode_profile(fold(seen)), decode_profile(fold([*seen, *bad]))
    assert len(few.seen) // 6 == 433
    assert (len(many.disliked) // 10, len(many.seen) // 6) == (160, 166)
    assert is_disliked(fold([*seen, *bad]), "bad-299")
    assert not is_disliked(fold([*seen, *bad]), "bad-0")


def test_a_dislike_holds_until_a_like() -> None:
    disliked = fold([event(Action.DISLIKE)])
    assert is_disliked(disliked)
    assert is_disliked(fold([event(Action.VIEW, time=START + 5)], disliked))
    assert not is_disliked(fold([event(Action.LIKE, time=START + 5)], disliked))
    assert not is_disliked(fold([event(Action.UNLIKE, time=START + 5)], disliked))


def test_an_older_like_that_comes_late_leaves_the_dislike() -> None:
    assert is_disliked(fold([event(Action.DISLIKE), event(Action.LIKE, time=START - 5)]))


def test_an_older_dislike_that_comes_late_is_void() -> None:
    assert not is_disliked(fold([event(Action.LIKE), event(Action.DISLIKE, time=START - 5)]))


def test_at_one_instant_the_dislike_holds_in_either_order() -> None:
    rows = [event(Action.LIKE), event(Action.DISLIKE)]
    assert is_disliked(fold(rows))
    assert is_disliked(fold(rows[::-1]))


def test_a_retracted_dislike_is_gone() -> None:
    taken_back = event(Action.DISLIKE, kind=int(RowKind.RETRACT))
    assert not is_disliked(fold([event(Action.DISLIKE), taken_back]))


def test_sight_is_kept_by_its_latest_day() -> None:
    rows = [
        event(Action.VIEW),
        event(Action.SKIP, time=START + 3 * DAY),
        event(Action.VIEW, time=START + DAY),
    ]
    assert seen_day(fold(rows)) == (START + 3 * DAY) // DAY


def test_a_search_is_no_sight() -> None:
    assert seen_day(fold([event(Action.SEARCH, text="red boats")])) is None


def test_topics_come_once_with_the_amendment() -> None:
    unknown = event(Action.LIKE, topics=())
    amended = msgspec.structs.replace(unknown, kind=int(RowKind.AMEND), sequence=1, topics=("boats",))
    known = msgspec.structs.replace(unknown, topics=("boats",))
    twice = fold([unknown, amended, msgspec.structs.replace(amended, sequence=2)])
    assert decode_profile(twice).topics == decode_profile(fold([known])).topics


def test_a_vector_that_comes_late_does_not_count_topics_again() -> None:
    known = event(Action.LIKE, topics=("boats",))
    amended = msgspec.structs.replace(known, kind=int(RowKind.AMEND), sequence=1)
    assert fold([known, amended]) == fold([known])


def test_topic_weights_halve_with_event_time() -> None:
    rows = [
        event(Action.VIEW, "a", START, topics=("boats",)),
        event(Action.VIEW, "b", START + TOPIC_HALF_LIFE_MS, topics=("birds",)),
    ]
    for order in (rows, rows[::-1]):
        shares = topic_shares(decode_profile(fold(order)), 5, {})
        assert list(shares) == ["birds", "boats"]
        assert shares["birds"] == pytest.approx(2 / 3, abs=1e-5)
        assert shares["boats"] == pytest.approx(1 / 3, abs=1e-5)


def test_a_rejected_topic_has_no_share() -> None:
    rows = [
        event(Action.VIEW, "a", START, topics=("boats",)),
        event(Action.DISLIKE, "b", START + 1, topics=("boats",)),
        event(Action.VIEW, "c", START + 2, topics=("birds",)),
    ]
    assert topic_shares(decode_profile(fold(rows)), 5, {}) == {"birds": 1.0}


def test_only_so_many_topics_are_told_and_their_shares_sum_to_one() -> None:
    rows = [event(Action.VIEW, str(n), START + n, topics=(f"topic {n}",)) for n in range(12)]
    shares = topic_shares(decode_profile(fold(rows)), 4, {})
    assert len(shares) == 4
    assert math.fsum(shares.values()) == pytest.approx(1.0)


def test_a_searched_word_counts_where_it_is_a_topic() -> None:
    profile = decode_profile(fold([event(Action.SEARCH, None, text="  Red  BOATS ")]))
    assert profile.searches == [(START, "Red BOATS")]
    assert topic_shares(profile, 5, {"boats": "Boats"}) == {"Boats": 1.0}
    assert topic_shares(profile, 5, {}) == {}


def test_a_retracted_search_is_forgotten() -> None:
    search = event(Action.SEARCH, None, text="boats")
    taken_back = msgspec.structs.replace(search, kind=int(RowKind.RETRACT))
    assert decode_profile(fold([search, taken_back])).searches == []


def test_shares_stay_finite_however_far_the_times_lie_apart() -> None:
    rows = [event(Action.VIEW, "a", 0, topics=("old",)), event(Action.VIEW, "b", START, topics=("new",))]
    assert topic_shares(decode_profile(fold(rows)), 5, {}) == {"new": 1.0}
    old = event(Action.SEARCH, None, 0, text="red")
    assert topic_shares(decode_profile(fold([*rows, old])), 5, {"red": "red"}) == {"new": 1.0}


@pytest.mark.parametrize(
    "value", [b"", b"\xc1", b"\x01", msgspec.msgpack.encode([99, b"", b"", b"", b"", {}, []])]
)
def test_bytes_of_another_form_are_refused(value: bytes) -> None:
    with pytest.raises(CodecError):
        decode_profile(value)


def test_a_newer_version_is_told_with_both_numbers_and_the_mend() -> None:
    newer = msgspec.msgpack.encode([2, {"anything": "else"}])
    with pytest.raises(
        CodecError, match=r"of version 2, yet this build reads up to version 1: .* run that build"
    ):
        decode_profile(newer)


def test_nothing_stored_is_a_new_profile() -> None:
    assert decode_profile(None) == Profile()
    assert decode_profile(encode_profile(Profile())) == Profile()
