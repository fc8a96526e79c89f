import pytest

from state.errors import CodecError
from streams.interests.holdback import VERSION, Held, Holdback
from streams.interests.outputs import CAUSES, Cause

INTERVAL = 1_000
KEY = b"huser"


def cause(name: str, time: int = 5, trace: str | None = None) -> Cause:
    return Cause([name], time, trace)


def test_the_first_goes_out_at_once_and_is_remembered() -> None:
    now, held = Holdback(INTERVAL).decide(None, cause("a"), 10_000)
    assert now == cause("a")
    assert held == Held(VERSION, 10_000, None)


def test_what_follows_waits_and_goes_out_together() -> None:
    holdback = Holdback(INTERVAL)
    now, held = holdback.decide(Held(VERSION, 10_000, None), cause("b", 6, "trace-b"), 10_400)
    assert now is None
    now, held = holdback.decide(held, cause("c", 7), 10_900)
    assert now is None
    now, held = holdback.decide(held, None, 11_000)
    assert now == Cause(["b", "c"], 7, "trace-b")
    assert held == Held(VERSION, 11_000, None)


def test_the_record_goes_when_nothing_followed() -> None:
    assert Holdback(INTERVAL).decide(Held(VERSION, 10_000, None), None, 11_000) == (None, None)


def test_an_event_after_the_interval_goes_out_at_once() -> None:
    now, held = Holdback(INTERVAL).decide(Held(VERSION, 10_000, None), cause("b"), 11_000)
    assert now == cause("b")
    assert held == Held(VERSION, 11_000, None)


def test_without_an_interval_what_was_held_goes_out_and_no_record_stays() -> None:
    now, held = Holdback(0).decide(Held(VERSION, 10_000, cause("b")), cause("c", 9), 10_001)
    assert now == Cause(["b", "c"], 9, None)
    assert held is None


def test_causes_are_bounded_to_the_last() -> None:
    many = Cause([f"e{number}" for number in range(CAUSES)], 1)
    together = many.followed_by(cause("last", 2))
    assert len(together.events) == CAUSES
    assert together.events[-1] == "last"
    assert together.events[0] == "e1"


def test_a_held_slate_keeps_the_latest_context() -> None:
    first = Cause(["a"], 1, None, b'{"page":1}')
    assert first.followed_by(cause("b")).context == b'{"page":1}'
    assert first.followed_by(Cause(["b"], 2, None, b"{}")).context == b"{}"
    assert Held.decode(Held(VERSION, 1, first).encode()).waiting == first


def test_keys_fall_due_in_order_of_their_time() -> None:
    holdback = Holdback(INTERVAL)
    holdback.opened(
        0, [(b"hlate", Held(VERSION, 500, None).encode()), (b"hearly", Held(VERSION, 100, None).encode())]
    )
    assert holdback.due(0, 1_099) == []
    assert holdback.due(0, 1_100) == [b"hearly"]
    assert holdback.due(0, 1_500) == [b"hearly", b"hlate"]
    holdback.note(0, b"hearly", Held(VERSION, 1_100, None))
    holdback.note(0, b"hlate", None)
    assert holdback.due(0, 2_099) == []
    assert holdback.due(0, 2_100) == [b"hearly"]


def test_what_waits_longer_keeps_its_time() -> None:
    holdback = Holdback(INTERVAL)
    holdback.note(0, b"ha", Held(VERSION, 100, None))
    holdback.note(0, b"hb", Held(VERSION, 200, None))
    holdback.note(0, b"ha", Held(VERSION, 100, cause("x")))
    assert holdback.due(0, 1_100) == [b"ha"]


def test_a_closed_partition_has_nothing_due() -> None:
    holdback = Holdback(INTERVAL)
    holdback.opened(3, [(KEY, Held(VERSION, 0, None).encode())])
    holdback.closed(3)
    assert holdback.due(3, 10_000) == []
    holdback.closed(3)


def test_records_survive_their_bytes() -> None:
    held = Held(VERSION, 10_000, Cause(["a", "b"], 7, "trace"))
    assert Held.decode(held.encode()) == held


@pytest.mark.parametrize("value", [b"", b"\xc1", Held(9, 0, None).encode()])
def test_bytes_of_another_form_are_refused(value: bytes) -> None:
    with pytest.raises(CodecError):
        Held.decode(value)
