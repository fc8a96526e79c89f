"""Marks of users: found by who has the id, placed as the user is, ended when their time is over."""

import pytest

from state.errors import CodecError
from streams.growth import home
from streams.interests.marks import VERSION, Mark, Marks, mark_key
from streams.partitioning import partition_of
from tests.tastes import row


@pytest.mark.parametrize("user", ["ann", "Zoë", "x" * 512])
def test_a_mark_names_nobody_and_moves_with_its_user(user: str) -> None:
    key = mark_key(user)
    assert user.encode() not in key and len(key) == 21
    assert mark_key(user) == key != mark_key(user + "x")
    for partitions in (1, 3, 8, 17):
        assert home(key, partitions) == home(b"u" + user.encode(), partitions)
        assert home(key, partitions) == partition_of(user.encode(), partitions)


def test_a_mark_covers_what_was_done_or_sent_before() -> None:
    made = Mark(VERSION, 99, forgotten=1_000)
    for time, sent, covered in (
        (999, 2_000, True),
        (1_000, 2_000, True),
        (1_001, 1_000, True),
        (1_001, 1_001, False),
    ):
        assert made.covers(row("ann", 0, None, time=time, broker_time=sent)) == covered
    assert not Mark(VERSION, 99, into="bob").covers(row("ann", 0, None, time=0, broker_time=0))


def test_marks_end_in_order_and_a_renewed_one_later() -> None:
    marks = Marks({})
    assert not marks and marks.get("ann") is None
    stored = dict([marks.put("ann", Mark(VERSION, 10)), marks.put("bob", Mark(VERSION, 20, into="cid"))])
    again = Marks({key: value for key, value in stored.items() if value is not None})
    assert again.get("bob") == Mark(VERSION, 20, into="cid")
    assert again.ended(9) == []
    assert again.ended(10) == again.ended(10) == [mark_key("ann")]
    again.drop(mark_key("ann"))
    again.put("bob", Mark(VERSION, 30))
    assert again.ended(29) == [] and again.ended(30) == [mark_key("bob")]
    assert again.put("bob", None) == (mark_key("bob"), None)
    assert again.ended(99) == [] and not again


@pytest.mark.parametrize(
    "value", [b"", b"\xc1", b"\x91\x01", b"\x94\x01\x05\x06\xa1\xff", Mark(VERSION + 1, 5).encode()]
)
def test_bytes_that_are_no_mark_are_told(value: bytes) -> None:
    with pytest.raises(CodecError, match="mark"):
        Mark.decode(value)
