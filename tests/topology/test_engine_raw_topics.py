"""Raw topics that were deleted and made anew: each counts from its own start, once, and none is skipped."""

import logging
import struct
from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.engine.guard import Delivery, admit
from streams.engine.place import MAX_PAST, NO_RAW, NO_TOPIC, Place
from streams.errors import EngineError
from streams.testing import Driver
from tests.counting import CountingProcessor, correction, pack

ID = bytes(16)
OLD, NEW, NEWER = (bytes([number]) * 16 for number in (1, 2, 3))
decode = CountingProcessor().decode


def place(source: int, raw: int, raw_topic: bytes = OLD, past: tuple[tuple[bytes, int], ...] = ()) -> Place:
    return Place(source, raw, ID, raw_topic, past)


def taken(here: Place, *packs: bytes) -> tuple[list[str], Place, bool]:
    """Users of the rows that are let in, the place that they lead to, and whether a hole is left."""
    queue: deque[Delivery] = deque((here.source + number, value) for number, value in enumerate(packs))
    admission = admit(here, queue, 100, decode)
    return [row.user for row in admission.rows], admission.place, admission.hole


def test_a_topic_made_anew_counts_from_its_own_start() -> None:
    rows, here, hole = taken(
        place(5, 100),
        pack(100, "a", topic=OLD),
        pack(0, "bc", topic=NEW, follows=(OLD, 101)),
        pack(2, "d", topic=NEW),
    )
    assert rows == ["a", "b", "c", "d"]
    assert here == place(8, 3, NEW, ((OLD, 101),))
    assert not hole


def test_what_is_doubled_of_a_topic_made_anew_is_skipped() -> None:
    first = pack(0, "bc", topic=NEW, follows=(OLD, 100))
    rows, here, _ = taken(place(5, 100), first, first, pack(1, "cd", topic=NEW))
    assert rows == ["b", "c", "d"]
    assert here == place(8, 3, NEW, ((OLD, 100),))


def test_a_late_record_of_the_topic_before_is_held_by_where_that_one_ended() -> None:
    """As a zombie may write it, whose transaction ends after its successor's."""
    here = place(5, 3, NEW, ((OLD, 100),))
    rows, after, hole = taken(here, pack(98, "xyz", topic=OLD), pack(3, "e", topic=NEW))
    assert rows == ["z", "e"]
    assert after == place(7, 4, NEW, ((OLD, 101),))
    assert not hole


def test_a_topic_made_anew_is_a_hole_where_records_before_it_are_missing() -> None:
    rows, here, hole = taken(place(5, 90), pack(0, "b", topic=NEW, follows=(OLD, 100)))
    assert (rows, here, hole) == ([], place(5, 90), True)


def test_a_topic_made_anew_is_a_hole_where_another_before_it_is_missing() -> None:
    rows, here, hole = taken(place(5, 90), pack(0, "b", topic=NEWER, follows=(NEW, 3)))
    assert (rows, here, hole) == ([], place(5, 90), True)


def test_a_topic_made_anew_whose_first_record_is_missing_is_a_hole() -> None:
    rows, here, hole = taken(place(5, 100), pack(7, "b", topic=NEW))
    assert (rows, here, hole) == ([], place(5, 100), True)


def test_a_topic_made_anew_may_follow_nothing_that_is_still_there() -> None:
    """The packs of the one before were read, and then cut by retention."""
    rows, here, hole = taken(place(5, 100), pack(0, "b", topic=NEW, follows=(NO_TOPIC, -1)))
    assert (rows, hole) == (["b"], False)
    assert here == place(6, 1, NEW, ((OLD, 100),))


def test_the_first_record_ever_may_name_what_it_follows() -> None:
    rows, here, _ = taken(place(0, NO_RAW, NO_TOPIC), pack(40, "a", topic=NEW, follows=(NO_TOPIC, -1)))
    assert (rows, here) == (["a"], place(1, 41, NEW))


def test_a_place_and_records_of_builds_that_knew_no_topics_go_by_offsets() -> None:
    rows, here, hole = taken(place(5, 10, NO_TOPIC), pack(9, "ab", topic=OLD), pack(11, "c"), pack(12, "d"))
    assert (rows, hole) == (["b", "c", "d"], False)
    assert here == place(8, 13, OLD)
    assert taken(place(5, 10, NO_TOPIC), pack(11, "c", topic=OLD))[2]


def test_a_place_that_knew_no_topic_meets_one_made_anew() -> None:
    rows, here, hole = taken(place(5, 10, NO_TOPIC), pack(0, "a", topic=NEW, follows=(OLD, 10)))
    assert (rows, here, hole) == (["a"], place(6, 1, NEW), False)


def test_a_record_below_the_place_begins_no_topic() -> None:
    queue: deque[Delivery] = deque([(3, pack(0, "b", topic=NEW, follows=(OLD, 100)))])
    admission = admit(place(5, 100), queue, 100, decode)
    assert (admission.rows, admission.place) == ([], place(5, 100))
    assert admission.counts == {"skipped_record": 1}


def test_corrections_belong_to_no_raw_topic() -> None:
    rows, here, _ = taken(place(5, 100), correction("a"))
    assert (rows, here) == (["a"], place(6, 100))


def test_so_many_topics_are_remembered() -> None:
    ids = [bytes([number]) * 16 for number in range(10, 20)]
    befores = [OLD, *ids]
    packs = [
        pack(0, "a", topic=each, follows=(before, 1)) for before, each in zip(befores, ids, strict=False)
    ]
    _, here, _ = taken(place(0, 5), *packs)
    assert here.raw_topic == ids[-1]
    assert [topic for topic, _ in here.past] == ids[-2 : -2 - MAX_PAST : -1]


@given(st.data())
def test_any_delivery_of_a_log_of_several_topics_gives_each_row_once_in_order(data: st.DataObject) -> None:
    """Records come doubled, dropped and out of order; the last delivery is whole, as a seek gives it."""
    log: list[Delivery] = []
    before, expected = (NO_TOPIC, -1), []
    for topic in (OLD, NEW, NEWER):
        raw = data.draw(st.integers(0, 3))
        for number in range(data.draw(st.integers(1, 4))):
            users = [f"{topic[0]}-{raw + index}" for index in range(data.draw(st.integers(0, 2)))]
            follows = before if number == 0 else None
            log.append((len(log), pack(raw, users, end=raw + 2, topic=topic, follows=follows)))
            expected += users
            raw += 2
        before = (topic, raw)
    here, rows = place(0, NO_RAW, NO_TOPIC), []
    # The first record is there at once: before it, any other could be the first.
    wild = data.draw(st.lists(st.sampled_from(log), max_size=20))
    for delivery in [[log[0]], *([each] for each in wild), None]:
        queue = deque([each for each in log if each[0] >= here.source] if delivery is None else delivery)
        while queue:
            admission = admit(here, queue, 2, decode)
            here = admission.place
            rows += [row.user for row in admission.rows]
            if admission.hole:
                break
    assert rows == expected


def test_a_place_comes_back_as_it_was() -> None:
    for each in (place(7, 8), place(7, 8, NEW, ((OLD, 5), (NEWER, 2**40)))):
        assert Place.decode(each.encode()) == each


def test_a_place_of_the_first_version_is_read() -> None:
    value = struct.pack("<Bqq16s", 1, 2**40, 17, b"0123456789abcdef")
    assert Place.decode(value) == Place(2**40, 17, b"0123456789abcdef", NO_TOPIC)


@pytest.mark.parametrize("cut", [1, 20])
def test_a_place_that_is_cut_is_refused(cut: int) -> None:
    with pytest.raises(EngineError, match="version"):
        Place.decode(place(7, 8, NEW, ((OLD, 5),)).encode()[:-cut])


def test_a_topic_made_anew_goes_through_the_engine_and_is_told(caplog: pytest.LogCaptureFixture) -> None:
    processor = CountingProcessor()
    driver = Driver(processor)
    driver.push(pack(0, "abc", topic=OLD, follows=(NO_TOPIC, -1)))
    with caplog.at_level(logging.WARNING):
        driver.push(pack(0, "xy", topic=NEW, follows=(OLD, 3)))
    assert [output.key for output in driver.outputs("out")] == [b"a", b"b", b"c", b"x", b"y"]
    assert "made anew" in caplog.text
    caplog.clear()
    driver.restart(processor, wipe=True)
    driver.push(pack(1, "yz", topic=NEW))
    assert [output.key for output in driver.outputs("out")][5:] == [b"z"]
    assert processor.raw_topics == {0: NEW}


def forgiving(here: Place, *packs: bytes) -> tuple[list[str], Place, int]:
    queue: deque[Delivery] = deque((here.source + number, value) for number, value in enumerate(packs))
    admission = admit(here, queue, 100, decode, forgiving=True)
    assert not admission.hole
    return [row.user for row in admission.rows], admission.place, admission.lost


def test_a_hole_is_passed_over_on_demand_and_counted() -> None:
    rows, here, lost = forgiving(place(5, 10), pack(10, "a", topic=OLD), pack(15, "b", topic=OLD))
    assert (rows, here, lost) == (["a", "b"], place(7, 16), 4)


def test_a_topic_whose_beginning_is_gone_is_taken_on_demand() -> None:
    rows, here, lost = forgiving(place(5, 10), pack(7, "a", topic=NEW), pack(8, "b", topic=NEW))
    assert (rows, lost) == (["a", "b"], 7)
    assert here == place(7, 9, NEW, ((OLD, 10),))
