from hypothesis import given
from hypothesis import strategies as st

from state.recency import drop, find, mark_of, stamp_of, touch

LIMIT = 5
touches = st.lists(st.tuples(st.integers(0, 300), st.integers(0, 12)), max_size=40)


def fold(calls: list[tuple[int, int]]) -> bytes:
    entries = b""
    for stamp, item in calls:
        entries = touch(entries, stamp.to_bytes(2, "big"), mark_of(item), LIMIT)
    return entries


@given(touches, st.randoms(use_true_random=False))
def test_the_order_of_touches_does_not_matter(calls: list[tuple[int, int]], random: object) -> None:
    shuffled = list(calls)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert fold(shuffled) == fold(calls)


@given(touches)
def test_it_holds_the_latest_marks_at_their_latest_stamp(calls: list[tuple[int, int]]) -> None:
    latest: dict[int, int] = {}
    for stamp, item in calls:
        latest[item] = max(stamp, latest.get(item, 0))
    kept = sorted((stamp, item) for item, stamp in latest.items())[-LIMIT:]
    entries = fold(calls)
    assert entries == b"".join(stamp.to_bytes(2, "big") + mark_of(item) for stamp, item in kept)
    for item in range(13):
        expected = {item: stamp for stamp, item in kept}.get(item)
        assert stamp_of(entries, mark_of(item), 2) == expected


def test_a_mark_is_not_found_across_two_entries() -> None:
    entries = bytes.fromhex("0001aabbccdd0002eeff0011")
    assert find(entries, bytes.fromhex("ccdd0002"), 2) == -1
    assert find(entries, bytes.fromhex("eeff0011"), 2) == 6


def test_a_false_match_does_not_hide_a_true_one() -> None:
    mark = bytes.fromhex("00010001")
    entries = b"\x00\x01" + bytes.fromhex("00000001") + b"\x00\x01" + mark
    assert find(entries, mark, 2) == 6


def test_dropping_leaves_the_others() -> None:
    entries = fold([(1, 7), (2, 8), (3, 9)])
    left = drop(entries, mark_of(8), 2)
    assert [stamp_of(left, mark_of(item), 2) for item in (7, 8, 9)] == [1, None, 3]
    assert drop(left, mark_of(8), 2) == left
