"""What the engine lets in: every raw offset once, in order, never past a hole."""

from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from state.store import MemoryStore
from streams.engine.engine import Engine, EngineOptions, Resources
from streams.engine.faults import no_fault
from streams.engine.guard import admit
from streams.engine.place import NO_RAW, Place
from streams.errors import EngineError
from streams.testing import START_MS, Driver, MemoryJournal, MemoryLog
from tests.counting import KIND_USER, CountingProcessor, Event, correction, count_of, fold, pack

ID = bytes(16)
decode = CountingProcessor().decode


def place(source: int = 0, raw: int = NO_RAW) -> Place:
    return Place(source, raw, ID)


def test_a_record_below_the_place_is_skipped() -> None:
    admission = admit(place(5, 10), deque([(4, pack(8, "ab")), (5, pack(10, "c"))]), 100, decode)
    assert [row.user for row in admission.rows] == ["c"]
    assert admission.counts == {"skipped_record": 1}
    assert admission.place == place(6, 11)


def test_a_range_that_was_not_covered_is_taken_wherever_its_record_lies() -> None:
    queue = deque([(9, correction("a")), (6, pack(10, "b")), (7, pack(11, "c")), (5, pack(9, "d"))])
    admission = admit(place(6, 10), queue, 100, decode)
    assert [row.user for row in admission.rows] == ["a", "b", "c"]
    assert admission.counts == {"skipped_record": 1}
    assert admission.place == place(10, 12)


def test_rows_below_the_raw_place_are_skipped_and_the_rest_of_their_record_is_not() -> None:
    admission = admit(place(5, 10), deque([(7, pack(8, "abcd"))]), 100, decode)
    assert [(row.user, row.offset) for row in admission.rows] == [("c", 10), ("d", 11)]
    assert admission.counts == {"skipped_row": 2}
    assert admission.place == place(8, 12)


def test_skipped_rows_are_told(caplog: pytest.LogCaptureFixture) -> None:
    resources = Resources(lambda _: MemoryStore(), lambda number: MemoryJournal(MemoryLog(), number))
    engine = Engine(CountingProcessor(), resources, EngineOptions("test", fault=no_fault))
    engine.adopt(engine.open(0))
    engine.process({0: deque([(0, pack(0, "abc"))])}, START_MS)
    assert not caplog.records
    engine.process({0: deque([(1, pack(0, "xy"))])}, START_MS)
    assert "test-0: 2 rows were counted before and are skipped; raw offset 3 comes next" in caplog.text


def test_a_record_that_starts_beyond_the_raw_place_is_a_hole() -> None:
    queue = deque([(5, pack(10, "a")), (6, pack(12, "b")), (7, pack(13, "c"))])
    admission = admit(place(5, 10), queue, 100, decode)
    assert admission.hole
    assert admission.place == place(6, 11)
    assert [row.user for row in admission.rows] == ["a"]


def test_the_first_range_may_start_anywhere() -> None:
    admission = admit(place(0, NO_RAW), deque([(3, pack(40, "a"))]), 100, decode)
    assert not admission.hole
    assert admission.place == place(4, 41)


def test_jumps_of_the_source_offset_are_markers_and_no_holes() -> None:
    queue = deque([(5, pack(10, "a")), (9, pack(11, "b"))])
    admission = admit(place(2, 10), queue, 100, decode)
    assert admission.place == place(10, 12)
    assert len(admission.rows) == 2


def test_an_empty_record_covers_its_range() -> None:
    queue = deque([(0, pack(0, [], end=7)), (1, pack(7, "a"))])
    admission = admit(place(0, 0), queue, 100, decode)
    assert admission.place == place(2, 8)
    assert [row.user for row in admission.rows] == ["a"]


def test_corrections_are_held_by_the_source_offset_alone() -> None:
    queue = deque([(5, correction("a")), (6, correction("b")), (5, correction("a"))])
    admission = admit(place(5, 10), queue, 100, decode)
    assert [row.user for row in admission.rows] == ["a", "b"]
    assert admission.place == place(7, 10)
    assert admission.counts == {"skipped_record": 1}


def test_a_correction_within_a_record_that_was_seen_is_not_skipped() -> None:
    record = pack(8, [("a", 8), ("b", -1)], end=9)
    admission = admit(place(5, 10), deque([(5, record)]), 100, decode)
    assert [row.user for row in admission.rows] == ["b"]


def test_the_limit_ends_a_batch_and_leaves_the_rest() -> None:
    queue = deque([(number, pack(2 * number, "ab")) for number in range(5)])
    admission = admit(place(0, 0), queue, 3, decode)
    assert len(admission.rows) == 4
    assert len(queue) == 3


@given(st.data())
def test_any_delivery_of_a_log_gives_each_row_once_in_order(data: st.DataObject) -> None:
    """Records come doubled, dropped, out of order and cut into batches anyhow; holes are mended by a seek."""
    sizes = data.draw(st.lists(st.integers(0, 3), min_size=1, max_size=12))
    gaps = data.draw(st.lists(st.integers(1, 3), min_size=len(sizes), max_size=len(sizes)))
    log, raw, offset = [], 0, 0
    for size, gap in zip(sizes, gaps, strict=True):
        log.append((offset, pack(raw, [f"u{raw + index}" for index in range(size)], end=raw + size + 1)))
        raw, offset = raw + size + 1, offset + gap
    here, rows = place(0, 0), []
    wild = data.draw(st.lists(st.sampled_from(log), max_size=30))
    # The last delivery is whole, from the place on, as a seek gives it.
    for delivery in [*([each] for each in wild), None]:
        queue = deque([each for each in log if each[0] >= here.source] if delivery is None else delivery)
        while queue:
            admission = admit(here, queue, 2, decode)
            here = admission.place
            rows += [row.user for row in admission.rows]
            if admission.hole:
                break
    expected = [row.user for _, value in log for row in decode(value).rows]
    assert rows == expected
    assert here == place(log[-1][0] + 1, raw)


def test_a_hole_commits_what_came_before_it_and_asks_for_the_rest() -> None:
    log = MemoryLog()
    resources = Resources(lambda _: MemoryStore(), lambda number: MemoryJournal(log, number))
    engine = Engine(CountingProcessor(), resources, EngineOptions("test", fault=no_fault))
    assert engine.adopt(engine.open(0)) == 0
    outcome = engine.process({0: deque([(0, pack(0, "a")), (2, pack(5, "b"))])}, START_MS)
    assert outcome.holes == {0: 1}
    assert engine.places() == {0: 1}
    assert [output.key for output in log.outputs] == [b"a"]
    outcome = engine.process({0: deque([(1, pack(1, "cccc")), (2, pack(5, "b"))])}, START_MS)
    assert outcome.holes == {}
    assert [output.key for output in log.outputs] == [b"a", *[b"c"] * 4, b"b"]


def test_the_driver_says_where_pushed_records_leave_a_hole() -> None:
    driver = Driver(CountingProcessor())
    driver.push(pack(0, "a"))
    with pytest.raises(EngineError, match="hole"):
        driver.push(pack(3, "b"))


def test_queues_of_partitions_that_are_not_open_wait() -> None:
    log = MemoryLog()
    resources = Resources(lambda _: MemoryStore(), lambda number: MemoryJournal(log, number))
    engine = Engine(CountingProcessor(), resources, EngineOptions("test", fault=no_fault))
    queue = deque([(0, pack(0, "a"))])
    assert engine.process({3: queue}, START_MS).rows == 0
    assert len(queue) == 1
    engine.adopt(engine.open(3))
    assert engine.process({3: queue}, START_MS).rows == 1


def test_a_batch_is_bounded_over_all_partitions() -> None:
    processor = CountingProcessor()
    driver = Driver(processor, partitions=2, options=EngineOptions("test", batch_rows=8, fault=no_fault))
    driver.push_many([pack(number, "a") for number in range(20)], partition=1)
    assert processor.batches == [{1: 8}, {1: 8}, {1: 4}]
    assert processor.next_raw == {1: 20}


def test_the_state_is_the_fold_of_the_rows() -> None:
    driver = Driver(CountingProcessor(), partitions=2)
    for number in range(3):
        driver.push(pack(number, "a"), partition=0)
        driver.push(pack(number, "b"), partition=1)
    expected = None
    for number in range(3):
        expected = fold(expected, Event("a", number))
    assert driver.stored(0)[KIND_USER + b"a"] == expected
    assert count_of(driver.stored(1)[KIND_USER + b"b"]) == 3
    assert [output.value for output in driver.outputs("out") if output.key == b"a"][-1] == expected
