"""What follows upon what: pairs of a user's events, and the bounded lists that they are counted in."""

from collections import defaultdict

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from state.strategies.following import ENTRY, LEAST, WINDOW, Memory, add_followers, earlier_items, entries_of
from state.trending import ItemDelta, add, decode_signal, encode_signal

HALF_LIFE = 86_400_000.0
START = 1_700_000_000_000
DAY = 86_400_000


def counts(held: bytes) -> dict[int, float]:
    return {int(entry["item"]): float(entry["count"]) for entry in entries_of(held)}


@given(
    st.lists(
        st.tuples(st.integers(1, 2**64 - 1), st.floats(0.5, 3), st.floats(0.5, 1)), min_size=1, max_size=30
    )
)
def test_a_list_holds_the_faded_sums(gains: list[tuple[int, float, float]]) -> None:
    held, expected = b"", defaultdict[int, float](float)
    for item, gained, fade in gains:
        held = add_followers(held, {item: gained}, fade, 100)
        for known in expected:
            expected[known] *= fade
        expected[item] += gained
    found = counts(held)
    assert list(found) == sorted(found)
    assert {item for item, count in expected.items() if count > 2 * LEAST} <= set(found)
    for item, count in found.items():
        assert abs(count - expected[item]) < 1e-3


def test_a_full_list_drops_its_smallest_and_lets_the_new_in() -> None:
    held = add_followers(b"", {1: 5.0, 2: 1.0, 3: 3.0}, 1.0, 3)
    assert counts(add_followers(held, {4: 0.5}, 1.0, 3)) == {1: 5.0, 3: 3.0, 4: 0.5}
    assert len(entries_of(add_followers(held, dict.fromkeys(range(10, 20), 1.0), 1.0, 3))) == 3


def test_what_is_taken_back_or_has_faded_leaves_the_list() -> None:
    held = add_followers(b"", {1: 1.0, 2: 2.0}, 1.0, 9)
    assert counts(add_followers(held, {1: -1.0}, 1.0, 9)) == {2: 2.0}
    assert add_followers(held, {}, 1e-6, 9) == b""
    assert len(held) == 2 * ENTRY.itemsize


def test_an_item_is_paired_with_the_latest_others_before_it() -> None:
    items = [9, 1, 2, 2, 3, 4, 5, 6, 7]
    taken = [True, True, True, True, False, True, True, True, True]
    assert earlier_items(0, items, taken) == [1, 2, 4, 5, 6]
    assert len(earlier_items(0, items, taken) or []) == WINDOW
    assert earlier_items(8, items, taken) == []


def test_an_item_that_was_taken_just_before_is_nothing_new() -> None:
    assert earlier_items(0, [9, 1, 9, 2], [True] * 4) is None
    assert earlier_items(2, [9, 1, 9, 2], [True] * 4) == [2]
    assert earlier_items(0, [9, 1, 9, 2], [True, True, False, True]) == [1, 2]


def test_signals_keep_followers_at_their_own_time() -> None:
    memory = Memory(HALF_LIFE, 8)
    first = add(None, ItemDelta("a", START, {0: 1}, {7: 2.0}, 1), HALF_LIFE, memory)
    second = add(first, ItemDelta("a", START + DAY, {}, {7: 1.0, 8: 1.0}), HALF_LIFE, memory)
    late = add(second, ItemDelta("a", START, {}, {8: 1.0}, 1, 3), HALF_LIFE, memory)
    assert counts(late.followers) == {7: 2.0, 8: 1.5}
    assert (late.taken, late.explored, late.time) == (1.0, 3, START + DAY)
    assert decode_signal(encode_signal(late)) == late


def test_without_a_memory_no_followers_are_kept() -> None:
    signal = add(None, ItemDelta("a", START, {0: 1}, {7: 2.0}, 1), HALF_LIFE)
    assert (signal.followers, signal.taken) == (b"", 0.0)


def test_lists_do_not_hang_on_the_order_while_they_are_not_full() -> None:
    memory = Memory(HALF_LIFE, 64)
    random = np.random.default_rng(1)
    deltas = [
        ItemDelta("a", START + int(random.integers(5)) * DAY, {0: 1}, {int(random.integers(1, 9)): 1.0}, 1)
        for _ in range(40)
    ]
    sums = []
    for order in (deltas, deltas[::-1]):
        signal = None
        for delta in order:
            signal = add(signal, delta, HALF_LIFE, memory)
        assert signal is not None
        sums.append(counts(signal.followers))
    assert sums[0].keys() == sums[1].keys()
    assert all(abs(sums[0][item] - sums[1][item]) < 1e-2 for item in sums[0])
