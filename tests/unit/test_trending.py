import math

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from state.errors import CodecError
from state.events import ACTIONS, Action
from state.trending import WEIGHTS, ItemDelta, ItemSignal, add, decode_signal, encode_signal, height

HALF_LIFE = 3_600_000.0
START = 1_700_000_000_000

deltas = st.builds(
    ItemDelta,
    item_id=st.just("item"),
    time=st.integers(START, START + 20 * 3_600_000),
    counts=st.dictionaries(st.integers(0, len(ACTIONS) - 1), st.integers(1, 9), min_size=1, max_size=4),
)


def fold(many: list[ItemDelta]) -> ItemSignal:
    signal: ItemSignal | None = None
    for delta in many:
        signal = add(signal, delta, HALF_LIFE)
    assert signal is not None
    return signal


def views(item: str, time: int, count: int = 1) -> ItemDelta:
    return ItemDelta(item, time, {ACTIONS.index(Action.VIEW): count})


@given(st.lists(deltas, min_size=1, max_size=20))
def test_the_score_is_the_decayed_sum(many: list[ItemDelta]) -> None:
    signal = fold(many)
    assert signal.time == max(delta.time for delta in many)
    expected = math.fsum(
        WEIGHTS[ACTIONS[action]] * count * 2 ** (-(signal.time - delta.time) / HALF_LIFE)
        for delta in many
        for action, count in delta.counts.items()
    )
    assert signal.score == pytest.approx(expected, abs=1e-6)
    assert signal.events == sum(sum(delta.counts.values()) for delta in many)


def test_heights_order_items_as_their_scores_do_at_any_moment() -> None:
    old = add(None, views("old", START, 10), HALF_LIFE)
    new = add(None, views("new", START + 4 * 3_600_000, 1), HALF_LIFE)
    assert height(new, HALF_LIFE) > height(old, HALF_LIFE)
    much = add(None, views("much", START, 20), HALF_LIFE)
    assert height(much, HALF_LIFE) > height(new, HALF_LIFE)
    assert height(much, HALF_LIFE) - height(old, HALF_LIFE) == pytest.approx(1.0)


def test_an_item_that_is_rejected_on_the_whole_has_no_demand() -> None:
    rejected = ItemDelta("item", START, {ACTIONS.index(Action.DISLIKE): 1, ACTIONS.index(Action.VIEW): 1})
    assert height(add(None, rejected, HALF_LIFE), HALF_LIFE) == -math.inf


def test_signals_survive_their_bytes() -> None:
    signal = add(None, views("item", START), HALF_LIFE)
    assert decode_signal(encode_signal(signal)) == signal


@pytest.mark.parametrize("value", [b"", b"\xc1", msgspec.msgpack.encode([9, "item", 0, 1.0, 1])])
def test_bytes_of_another_form_are_refused(value: bytes) -> None:
    with pytest.raises(CodecError):
        decode_signal(value)
