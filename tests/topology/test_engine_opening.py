"""What an opening refuses, and which local stores it does not trust."""

import logging
import time
from collections import deque
from dataclasses import replace

import pytest

from state.store import MemoryStore
from streams.engine.engine import Engine, EngineOptions, Resources
from streams.engine.faults import VARIABLE, fault_from, no_fault
from streams.engine.journal import Chunk
from streams.engine.place import BOOKMARK_KEY, PLACE_KEY, Bookmark, Place
from streams.engine.replica import Replica
from streams.errors import ChangelogCut, EngineError, SettingsError, SourceRecreated
from streams.testing import START_MS, MemoryJournal, MemoryLog
from tests.counting import KIND_USER, CountingProcessor, Event, correction, pack

DAY_MS = 86_400_000


class _Recording(MemoryStore):
    """Tells whether it was cleared."""

    def __init__(self) -> None:
        super().__init__()
        self.cleared = 0
        self.closed = 0

    def clear(self) -> None:
        self.cleared += 1
        super().clear()

    def close(self) -> None:
        self.closed += 1


def open_engine(log: MemoryLog, store: MemoryStore) -> Engine[Event]:
    resources = Resources(lambda _: store, lambda number: MemoryJournal(log, number))
    return Engine(CountingProcessor(), resources, EngineOptions("test", fault=no_fault))


def used(log: MemoryLog, store: MemoryStore) -> None:
    """Five events, the last at source offset 4."""
    engine = open_engine(log, store)
    engine.adopt(engine.open(0))
    engine.process({0: deque((number, pack(number, "a")) for number in range(5))}, START_MS)


def test_without_a_place_the_source_is_read_from_its_beginning() -> None:
    log, store = MemoryLog(), MemoryStore()
    log.facts = replace(log.facts, source_start=40)
    engine = open_engine(log, store)
    assert engine.adopt(engine.open(0)) == 40


@pytest.mark.parametrize("start", [6, 40])
def test_a_source_cut_behind_the_place_goes_on_where_only_markers_were_cut(start: int) -> None:
    """Transactions leave markers behind the last record, one for each producer that wrote there."""
    log, store = MemoryLog(), MemoryStore()
    used(log, store)
    log.facts = replace(log.facts, source_start=start)
    engine = open_engine(log, store)
    assert engine.adopt(engine.open(0)) == start
    outcome = engine.process({0: deque([(start, pack(5, "a"))])}, START_MS)
    assert outcome.rows == 1 and not outcome.holes


def test_a_source_cut_behind_the_place_shows_a_hole_where_records_were_cut() -> None:
    log, store = MemoryLog(), MemoryStore()
    used(log, store)
    log.facts = replace(log.facts, source_start=7)
    engine = open_engine(log, store)
    assert engine.adopt(engine.open(0)) == 7
    outcome = engine.process({0: deque([(7, pack(7, "a"))])}, START_MS)
    assert outcome.rows == 0 and outcome.holes == {0: 7}


def test_what_may_be_lost_of_a_source_without_raw_ranges_is_told(caplog: pytest.LogCaptureFixture) -> None:
    log, store = MemoryLog(), MemoryStore()
    engine = open_engine(log, store)
    engine.adopt(engine.open(0))
    engine.process({0: deque([(0, correction("a"))])}, START_MS)
    log.facts = replace(log.facts, source_start=9)
    with caplog.at_level(logging.WARNING):
        engine = open_engine(log, store)
        assert engine.adopt(engine.open(0)) == 9
    assert "cut up to offset 9" in caplog.text


def test_a_source_made_anew_is_refused() -> None:
    log, store = MemoryLog(), MemoryStore()
    used(log, store)
    log.facts = replace(log.facts, source_topic=b"x" * 16)
    with pytest.raises(SourceRecreated, match=r"interests\.skip_trimmed"):
        open_engine(log, store).open(0)


def test_a_source_made_anew_is_read_from_its_start_on_demand() -> None:
    """Raw ranges tell what was counted already, and the states stay."""
    log, store = MemoryLog(), MemoryStore()
    used(log, store)
    log.facts = replace(log.facts, source_topic=b"x" * 16, source_start=0)
    resources = Resources(lambda _: store, lambda number: MemoryJournal(log, number))
    options = EngineOptions("test", skip_trimmed=True, fault=no_fault)
    engine = Engine(CountingProcessor(), resources, options)
    assert engine.adopt(engine.open(0)) == 0
    outcome = engine.process({0: deque([(0, pack(3, "abc"))])}, START_MS)
    assert (outcome.rows, outcome.holes) == (1, {})
    assert engine.store(0).get(KIND_USER + b"c") is not None
    assert open_engine(log, store).open(0).place.source == 1


def test_a_level_store_is_trusted() -> None:
    log, store = MemoryLog(), _Recording()
    used(log, store)
    assert store.cleared == 1
    open_engine(log, store).open(0)
    assert store.cleared == 1


def test_a_store_ahead_of_the_changelog_is_rebuilt() -> None:
    log, store = MemoryLog(), _Recording()
    used(log, store)
    ahead = Bookmark(1_000, int(time.time() * 1000), bytes(16))
    store.write({BOOKMARK_KEY: ahead.encode(), KIND_USER + b"ghost": b"x"})
    open_engine(log, store).open(0)
    assert store.cleared == 2
    assert store.get(KIND_USER + b"ghost") is None
    assert store.get(KIND_USER + b"a") is not None


def test_a_store_of_another_changelog_is_rebuilt() -> None:
    log, store = MemoryLog(), _Recording()
    used(log, store)
    log.facts = replace(log.facts, changelog_topic=b"y" * 16)
    open_engine(log, store).open(0)
    assert store.cleared == 2


@pytest.mark.parametrize(("behind", "cleared"), [(True, 2), (False, 1)])
def test_a_store_older_than_deletions_last_is_rebuilt_where_it_missed_any(behind: bool, cleared: int) -> None:
    log, store = MemoryLog(), _Recording()
    used(log, store)
    bookmark = Bookmark.decode(store.get(BOOKMARK_KEY) or b"")
    # The marker behind the last record is not a record that was missed, yet nobody can tell it from one.
    offset = bookmark.offset - 2 if behind else log.end(0)
    old = Bookmark(offset, int(time.time() * 1000) - 2 * DAY_MS, bookmark.topic)
    store.write({BOOKMARK_KEY: old.encode()})
    open_engine(log, store).open(0)
    assert store.cleared == cleared


def test_a_store_without_a_bookmark_is_rebuilt() -> None:
    log, store = MemoryLog(), _Recording()
    used(log, store)
    store.write({BOOKMARK_KEY: None, KIND_USER + b"ghost": b"x"})
    open_engine(log, store).open(0)
    assert store.get(KIND_USER + b"ghost") is None


def test_an_interrupted_restore_goes_on_where_it_was() -> None:
    log, store = MemoryLog(), _Recording()
    engine = open_engine(log, store)
    engine.adopt(engine.open(0))
    for number in range(150):
        engine.process({0: deque([(number, pack(number, [f"u{number}"]))])}, START_MS)
    whole = dict(store.scan(b""))
    fresh = _Recording()
    asked = 0

    def cancelled() -> bool:
        nonlocal asked
        asked += 1
        return asked > 3

    with pytest.raises(Exception, match="0"):
        open_engine(log, fresh).open(0, cancelled)
    reached = Bookmark.decode(fresh.get(BOOKMARK_KEY) or b"").offset
    assert 0 < reached < log.end(0)
    open_engine(log, fresh).open(0)
    assert fresh.cleared == 1
    restored = dict(fresh.scan(b""))
    restored.pop(BOOKMARK_KEY)
    whole.pop(BOOKMARK_KEY)
    assert restored == whole


@pytest.mark.parametrize("kept", [True, False])
def test_a_changelog_that_was_cut_is_refused_where_its_states_are_nowhere_else(kept: bool) -> None:
    log, store = MemoryLog(), _Recording()
    used(log, store)
    level = Bookmark.decode(store.get(BOOKMARK_KEY) or b"").offset
    log.facts = replace(log.facts, changelog_start=level - 1)
    behind = Bookmark(level - 2, int(time.time() * 1000), bytes(16))
    store.write({BOOKMARK_KEY: behind.encode() if kept else None})
    with pytest.raises(ChangelogCut, match=f"cut up to offset {level - 1}"):
        open_engine(log, store).open(0)
    assert store.get(KIND_USER + b"a") is not None, "it may be the last that has the state"


def test_a_store_that_has_what_was_cut_goes_on_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    log, store = MemoryLog(), _Recording()
    used(log, store)
    log.facts = replace(log.facts, changelog_start=2)
    with caplog.at_level(logging.WARNING):
        engine = open_engine(log, store)
        assert engine.adopt(engine.open(0)) == 5
    assert "this local store alone" in caplog.text


def test_a_store_read_in_part_is_as_old_as_its_reading() -> None:
    """Deletions behind what it has read may be older than the record it has reached."""
    log, store = MemoryLog(), _Recording()
    used(log, store)
    old = Bookmark(1, int(time.time() * 1000) - DAY_MS // 2, bytes(16))
    store.write({BOOKMARK_KEY: old.encode()})
    replica = Replica(store, "test")
    facts = replace(log.facts, changelog_end=log.end(0))
    assert replica.begin(facts, lambda offset: False) == 1
    replica.take(Chunk({b"k": b"v"}, 1, 3))
    assert Bookmark.decode(store.get(BOOKMARK_KEY) or b"") == replace(old, offset=3)
    replica.settle()
    settled = Bookmark.decode(store.get(BOOKMARK_KEY) or b"")
    assert settled.offset == 3 and settled.written_ms > old.written_ms + DAY_MS // 3


@pytest.mark.parametrize("value", [b"", b"\x09" + bytes(32), Place(1, 2, bytes(16)).encode() + b"x"])
def test_places_of_an_unknown_version_are_refused(value: bytes) -> None:
    with pytest.raises(EngineError, match="version"):
        Place.decode(value)
    with pytest.raises(EngineError, match="version"):
        Bookmark.decode(value)


def test_places_and_bookmarks_come_back_as_they_were() -> None:
    place = Place(2**40, -1, b"0123456789abcdef")
    assert Place.decode(place.encode()) == place
    for own in (False, True):
        bookmark = Bookmark(17, 1_700_000_000_000, b"fedcba9876543210", own)
        assert Bookmark.decode(bookmark.encode()) == bookmark


def test_a_store_whose_place_is_unreadable_is_refused() -> None:
    log, store = MemoryLog(), _Recording()
    used(log, store)
    store.write({PLACE_KEY: b"\x09"})
    with pytest.raises(EngineError, match="version"):
        open_engine(log, store).open(0)


def test_no_fault_is_made_where_none_is_asked_for() -> None:
    assert fault_from({}) is no_fault
    assert fault_from({VARIABLE: ""}) is no_fault


@pytest.mark.parametrize("text", ["7", "kill", "4x", "1.5", "pause 3", "4 x 2"])
def test_a_fault_that_says_nothing_known_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match=VARIABLE):
        fault_from({VARIABLE: text})


@pytest.mark.parametrize("text", ["4", "4x20", "stop 3", "kill 1x2", ".01", "0.5", "stop .001"])
def test_faults_are_read(text: str) -> None:
    assert fault_from({VARIABLE: text}) is not no_fault


def test_a_changelog_made_anew_under_its_owner_is_refused_and_the_store_kept() -> None:
    """It would count again what was counted, or go on without the states of before."""
    log, store = MemoryLog(), _Recording()
    used(log, store)
    engine = open_engine(log, store)
    engine.adopt(engine.open(0))
    engine.close(0)
    cleared, log.facts = store.cleared, replace(log.facts, changelog_topic=b"y" * 16)
    with pytest.raises(ChangelogCut, match=r"test-0: .* made anew"):
        engine.open(0)
    assert store.cleared == cleared and store.get(KIND_USER + b"a") is not None
