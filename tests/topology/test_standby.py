"""Standbys on a log in memory, and stores on disk: following, handing over, and what they do not touch."""

import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from state import rocks
from state.rocks import RocksStore
from streams.engine import standby
from streams.engine.engine import Engine, EngineOptions, Resources
from streams.engine.faults import no_fault
from streams.engine.journal import Chunk, Facts
from streams.engine.place import BOOKMARK_KEY, Bookmark
from streams.engine.placement import Rules
from streams.engine.replica import now_ms
from streams.engine.standby import StandbyOptions, Standbys
from streams.engine.tail import Reading
from streams.errors import EngineError
from streams.metrics import STANDBY_LAG
from streams.testing import MemoryJournal, MemoryLog
from tests.counting import CountingProcessor, Event

SECONDS = 20.0
HOUR_MS = 3_600_000


def until(condition: Callable[[], object]) -> None:
    give_up = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < give_up, "waited in vain"
        time.sleep(0.005)


class MemoryTail:
    """Reads a MemoryLog as standbys do, a few records at a time."""

    def __init__(self, log: MemoryLog) -> None:
        self.log = log
        self.facts_of: Callable[[int], Facts] = lambda number: replace(
            log.facts, changelog_end=log.end(number)
        )
        self.failing: dict[int, str] = {}
        self.undone_at: dict[int, bool | None] = {}
        self.may_lock: Callable[[], bool] = lambda: True
        self.asked_without_lock: bool | None = None
        self.held_back = False
        self.assigned: dict[int, int] = {}
        self.closed = 0

    def facts(self, number: int) -> Facts:
        return self.facts_of(number)

    def undone(self, number: int, offset: int) -> bool | None:
        self.asked_without_lock = self.may_lock()
        return self.undone_at.get(offset, False)

    def assign(self, offsets: Mapping[int, int]) -> None:
        self.assigned = dict(offsets)

    def read(self, positions: Mapping[int, int], seconds: float) -> Reading:
        reading = Reading({}, set(), {})
        if self.held_back:
            time.sleep(0.005)
            return reading
        for number in self.assigned:
            end = min(self.log.end(number), positions[number] + 7)
            records = list(self.log.records(number, positions[number], end))
            if end > positions[number]:
                reading.chunks[number] = Chunk({key: value for _, key, value in records}, len(records), end)
            if end == self.log.end(number):
                reading.level.add(number)
            reading.size += sum(len(value or b"") for _, _, value in records)
        reading.failed.update(self.failing)
        if not reading.chunks:
            time.sleep(0.005)
        return reading

    def end(self, number: int) -> int:
        return self.log.end(number)

    def ask_end(self, number: int) -> int | None:
        return self.log.end(number)

    def close(self) -> None:
        self.closed += 1


class Bench:
    def __init__(self, folder: Path) -> None:
        self.log = MemoryLog()
        self.tail = MemoryTail(self.log)
        self.folder = folder
        self.standbys = self.made()

    def made(self, **options: float) -> Standbys:
        made = StandbyOptions("bench", self.folder, Rules(1, tolerance=10), **options)  # type: ignore[arg-type]
        return Standbys(made, lambda: self.tail)

    def fill(self, number: int, first: int, last: int) -> None:
        for each in range(first, last):
            self.log.append(number, {b"k%d" % (each % 20): b"v%d" % each, b"gone%d" % each: b"x"}, ())
            self.log.append(number, {b"gone%d" % each: None}, ())

    def expected(self, number: int) -> dict[bytes, bytes]:
        values = {key: value for _, key, value in self.log.records(number, 0, self.log.end(number))}
        return {key: value for key, value in values.items() if value is not None}

    def on_disk(self, number: int) -> dict[bytes, bytes]:
        store = RocksStore(self.folder / str(number))
        found = {key: value for key, value in store.scan(b"") if key != BOOKMARK_KEY}
        store.close()
        return found


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    made.standbys.start()
    yield made
    made.standbys.stop()


def test_a_standby_follows_and_hands_over_its_open_store(bench: Bench) -> None:
    bench.fill(0, 0, 50)
    bench.standbys.follow({0}, ())
    until(lambda: bench.standbys.level(0))
    bench.fill(0, 50, 90)
    until(lambda: bench.standbys.held() == {0: bench.log.end(0)})
    until(lambda: STANDBY_LAG.labels("bench-0")._value.get() == 0)
    store = bench.standbys.open(0)
    assert dict(store.scan(b"k")) == bench.expected(0)
    # Nobody else writes it from now on.
    bench.fill(0, 90, 95)
    bench.standbys.follow({1}, ())
    until(lambda: bench.standbys.level(1))
    assert store.get(b"k10") == b"v70"
    store.close()


def test_the_engine_goes_on_from_the_standby_without_reading_anew(bench: Bench) -> None:
    bench.fill(0, 0, 50)
    bench.standbys.follow({0}, ())
    until(lambda: bench.standbys.level(0))
    read: list[int] = []

    class Journal(MemoryJournal):
        def replay(self, start: int, end: int, cancelled: Callable[[], bool]) -> Iterator[Chunk]:
            read.append(start)
            return super().replay(start, end, cancelled)

    engine: Engine[Event] = Engine(
        CountingProcessor(),
        Resources(bench.standbys.open, lambda number: Journal(bench.log, number)),
        EngineOptions("bench", fault=no_fault),
    )
    engine.adopt(engine.open(0))
    assert read == [bench.log.end(0)]
    engine.close(0)
    # And back again, when another worker takes the partition.
    bench.fill(0, 50, 60)
    bench.standbys.follow({0}, ())
    until(lambda: bench.standbys.held() == {0: bench.log.end(0)})
    bench.standbys.stop()
    assert bench.on_disk(0) == bench.expected(0)


def test_a_standby_goes_on_after_a_restart_and_tells_what_the_disk_has(bench: Bench) -> None:
    bench.fill(3, 0, 30)
    bench.standbys.follow({3}, ())
    until(lambda: bench.standbys.level(3))
    reached = bench.standbys.held()[3]
    bench.standbys.stop()
    bench.fill(3, 30, 40)
    again = bench.made()
    again.start()
    assert again.held() == {3: reached}
    again.follow({3}, ())
    until(lambda: again.held() == {3: bench.log.end(3)})
    again.stop()
    assert bench.on_disk(3) == bench.expected(3)


def test_what_is_no_longer_wanted_is_closed_and_remembered(bench: Bench) -> None:
    bench.fill(0, 0, 10)
    bench.standbys.follow({0, 1}, ())
    until(lambda: bench.standbys.level(0) and bench.standbys.level(1))
    bench.standbys.follow({1}, ())
    until(lambda: 0 not in bench.standbys._copies)
    RocksStore(bench.folder / "0", lock_seconds=SECONDS).close()
    assert bench.standbys.held() == {0: bench.log.end(0), 1: 0}
    assert ("bench-0",) not in STANDBY_LAG._metrics
    until(lambda: ("bench-1",) in STANDBY_LAG._metrics)


def test_what_is_awaited_is_due_once_all_of_it_is_level(bench: Bench) -> None:
    assert not bench.standbys.due()
    bench.fill(0, 0, 20)
    bench.fill(1, 0, 20)
    bench.tail.held_back = True
    bench.standbys.follow({0, 1, 2}, {0, 1})
    until(lambda: len(bench.standbys._copies) == 3)
    assert not bench.standbys.due()
    bench.tail.held_back = False
    until(bench.standbys.due)
    bench.standbys.follow({0, 1, 2}, ())
    assert not bench.standbys.due()


def test_what_is_awaited_is_due_though_records_keep_coming(bench: Bench) -> None:
    """As under an even load: there is always one more record, so the end itself is never met."""
    bench.fill(0, 0, 30)
    read = bench.tail.read

    def busy(positions: Mapping[int, int], seconds: float) -> Reading:
        reading = read(positions, seconds)
        bench.fill(0, 30, 31)
        reading.level.clear()
        return reading

    bench.tail.read = busy  # type: ignore[method-assign]
    began = now_ms()
    bench.standbys.follow({0}, {0})
    until(bench.standbys.due)
    until(lambda: bench.standbys._copies[0].replica.since_ms > began)


def test_a_copy_that_falls_behind_is_level_no_more(bench: Bench) -> None:
    bench.standbys.follow({0}, {0})
    until(lambda: bench.standbys.level(0))
    bench.tail.held_back = True
    bench.fill(0, 0, 20)
    until(lambda: not bench.standbys.level(0))
    bench.tail.held_back = False
    until(lambda: bench.standbys.level(0))


def bookmarked(bench: Bench, bookmark: Bookmark) -> None:
    store = RocksStore(bench.folder / "0")
    store.write({BOOKMARK_KEY: bookmark.encode(), b"ghost": b"x"})
    store.close()


@pytest.mark.parametrize("how", ["other topic", "too old", "undone", "own, and compacted away"])
def test_a_store_that_cannot_be_trusted_is_copied_anew(bench: Bench, how: str) -> None:
    bench.fill(0, 0, 10)
    topic = b"y" * 16 if how == "other topic" else bytes(16)
    age = 25 * HOUR_MS if how == "too old" else 0
    bench.tail.undone_at = {"undone": {4: True}, "own, and compacted away": {4: None}}.get(how, {})
    bookmarked(bench, Bookmark(4, now_ms() - age, topic, own=how.startswith("own")))
    bench.standbys.follow({0}, ())
    until(lambda: bench.standbys.level(0))
    bench.standbys.stop()
    assert bench.on_disk(0) == bench.expected(0)


@pytest.mark.parametrize(("own", "undone", "cut"), [(False, None, 0), (True, False, 0), (True, None, 4)])
def test_a_store_goes_on_where_nothing_was_taken_back(
    bench: Bench, own: bool, undone: bool | None, cut: int
) -> None:
    """What was read was committed, be it compacted away since; and of a changelog that was cut, the store may
    be the last that has what was there."""
    bench.fill(0, 0, 10)
    bench.log.facts = replace(bench.log.facts, changelog_start=cut)
    bench.tail.undone_at = {4: undone}
    bookmarked(bench, Bookmark(4, now_ms(), bytes(16), own))
    bench.standbys.follow({0}, ())
    until(lambda: bench.standbys.level(0))
    bench.standbys.stop()
    assert b"ghost" in bench.on_disk(0)


def test_nobody_waits_while_the_broker_is_asked(bench: Bench) -> None:
    """Consumers ask for what is held within their session's time."""

    def may_lock() -> bool:
        asking = threading.Thread(target=bench.standbys.held, daemon=True)
        asking.start()
        asking.join(5)
        return not asking.is_alive()

    bench.fill(0, 0, 10)
    bench.tail.may_lock = may_lock
    bookmarked(bench, Bookmark(4, now_ms(), bytes(16)))
    bench.standbys.follow({0}, ())
    until(lambda: bench.standbys.level(0))
    assert bench.tail.asked_without_lock


@pytest.mark.parametrize("how", ["ahead", "cut"])
def test_a_store_that_may_be_the_last_one_is_left_alone(bench: Bench, how: str) -> None:
    """A broker that has just become the leader may not know the end yet; a changelog may have been cut."""
    bench.fill(0, 0, 10)
    if how == "ahead":
        bookmarked(bench, Bookmark(10_000, now_ms(), bytes(16)))
    else:
        bookmarked(bench, Bookmark(4, now_ms(), bytes(16)))
        bench.log.facts = replace(bench.log.facts, changelog_start=8)
    bench.standbys.follow({0}, ())
    until(lambda: bench.standbys._again[0])
    assert bench.standbys._copies == {}
    bench.standbys.stop()
    assert b"ghost" in bench.on_disk(0)


def test_a_copy_that_may_have_missed_deletions_begins_anew(bench: Bench) -> None:
    """As of a process that was stopped for longer than deletions are kept."""
    bench.fill(0, 0, 5)
    bench.standbys.follow({0}, ())
    until(lambda: bench.standbys.level(0))
    bench.tail.held_back = True
    copy = bench.standbys._copies[0]
    copy.replica.since_ms -= 25 * HOUR_MS
    bench.tail.held_back = False
    bench.fill(0, 5, 10)
    until(lambda: bench.standbys._copies.get(0) is not copy)
    assert bench.standbys._again[0] > time.monotonic() - 1


def test_an_idle_copy_stays_young(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standby, "_SETTLE_SECONDS", 0.0)
    bench.fill(0, 0, 5)
    bench.standbys.follow({0}, ())
    until(lambda: bench.standbys.level(0))
    copy = bench.standbys._copies[0]
    copy.replica.since_ms -= HOUR_MS
    until(lambda: now_ms() - copy.replica.since_ms < HOUR_MS / 2)
    assert bench.standbys._copies[0] is copy


def test_a_failing_copy_leaves_the_others_alone(bench: Bench) -> None:
    bench.fill(0, 0, 5)
    bench.fill(1, 0, 5)
    bench.tail.failing = {0: "out of range"}
    bench.standbys.follow({0, 1}, ())
    until(lambda: bench.standbys._again[0])
    bench.tail.failing = {}
    until(lambda: bench.standbys.level(1))
    RocksStore(bench.folder / "0", lock_seconds=SECONDS).close()


def test_a_broker_that_does_not_answer_costs_waiting_only(bench: Bench) -> None:
    def silent(number: int) -> Facts:
        raise EngineError("no answer")

    kept, bench.tail.facts_of = bench.tail.facts_of, silent
    bench.standbys.follow({0}, ())
    until(lambda: bench.standbys._again[0])
    bench.tail.facts_of = kept
    bench.standbys._again[0] = 0.0
    until(lambda: bench.standbys.level(0))


def test_a_bug_ends_the_copies_and_not_the_worker(bench: Bench) -> None:
    broken = threading.Event()

    def bug(number: int) -> int:
        broken.set()
        raise ZeroDivisionError("a bug")

    bench.tail.end = bug  # type: ignore[method-assign]
    bench.standbys.follow({0}, ())
    assert broken.wait(SECONDS)
    until(lambda: bench.tail.closed)
    until(lambda: not bench.standbys._copies)
    bench.standbys.open(0).close()


def test_a_store_is_not_opened_while_its_copy_begins(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy that begins clears its folder, which nobody holds meanwhile."""
    clearing, written, cleared = (threading.Event() for _ in range(3))

    def slowly(path: Path, **options: bool) -> None:
        clearing.set()
        written.wait(1.0)
        shutil.rmtree(path, **options)
        cleared.set()

    monkeypatch.setattr(rocks, "shutil", SimpleNamespace(rmtree=slowly, disk_usage=shutil.disk_usage))
    bench.standbys.follow({0}, ())
    assert clearing.wait(SECONDS)
    store = bench.standbys.open(0)
    store.write({b"k": b"v"})
    store.close()
    written.set()
    assert cleared.wait(SECONDS)
    assert bench.on_disk(0)[b"k"] == b"v"


def test_copies_keep_to_their_pace(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.fill(0, 0, 400)
    slow = bench.made(bytes_per_second=100.0)
    slow.start()
    slow.follow({0}, ())
    until(lambda: slow.held().get(0))
    # At the first chunk it waits: 14 bytes take a seventh of a second. The rest would come in no time.
    assert slow.held()[0] < bench.log.end(0)
    slow.stop()


def test_a_folder_that_another_process_holds_is_no_end(bench: Bench) -> None:
    other = RocksStore(bench.folder / "0")
    again = bench.made()
    again.start()
    assert again.held() == {}
    again.follow({0}, ())
    until(lambda: again._again[0])
    other.close()
    again._again[0] = 0.0
    until(lambda: again.level(0))
    again.stop()


def left(bench: Bench, seconds: float = 0.0) -> Standbys:
    """Standbys on a disk that has stores of 0 and 1, both level, of which 0 was let go."""
    bench.fill(0, 0, 30)
    bench.fill(1, 0, 30)
    bench.standbys.follow({0, 1}, ())
    until(lambda: bench.standbys.level(0) and bench.standbys.level(1))
    bench.standbys.stop()
    again = bench.made(left_seconds=seconds)
    again.start()
    return again


@pytest.mark.parametrize("others", [{1}, set()])
def test_a_store_that_nobody_here_has_used_for_long_is_removed(bench: Bench, others: set[int]) -> None:
    again = left(bench)
    again.follow(others, ())
    until(lambda: [path.name for path in bench.folder.iterdir()] == [str(number) for number in others])
    until(lambda: again.held() == {number: bench.log.end(number) for number in others})
    again.follow({0}, ())
    until(lambda: again.held().get(0) == bench.log.end(0))
    again.stop()
    assert bench.on_disk(0) == bench.expected(0)


def test_a_store_that_is_served_or_was_used_lately_stays(bench: Bench) -> None:
    again = left(bench, seconds=HOUR_MS)
    again.stop()
    again = bench.made(left_seconds=0.0)
    served = again.open(0)
    again.start()
    until(lambda: not (bench.folder / "1").exists())
    assert served.get(b"k10") == b"v10"
    served.close()
    until(lambda: not (bench.folder / "0").exists())
    again.stop()


@pytest.mark.parametrize("how", ["cut", "other topic", "ahead", "silent"])
def test_a_store_that_may_have_what_the_changelog_has_not_is_never_removed(bench: Bench, how: str) -> None:
    facts, asked = bench.tail.facts_of, threading.Event()

    def changed(number: int) -> Facts:
        asked.set()
        if how == "silent":
            raise EngineError("no answer")
        if how == "cut":
            return replace(facts(number), changelog_start=1)
        if how == "other topic":
            return replace(facts(number), changelog_topic=b"y" * 16)
        return replace(facts(number), changelog_end=3)

    again = left(bench, seconds=HOUR_MS)
    again.stop()
    bench.tail.facts_of = changed
    again = bench.made(left_seconds=0.0)
    again.start()
    for _ in range(3):
        asked.clear()
        assert asked.wait(SECONDS)
    again.stop()
    assert bench.on_disk(0) == bench.expected(0)


def test_what_a_killed_process_had_begun_to_remove_is_removed(bench: Bench) -> None:
    (bench.folder / "gone-7").mkdir()
    (bench.folder / "gone-7" / "CURRENT").write_text("x")
    (bench.folder / "notes").write_text("not ours")
    again = bench.made(left_seconds=HOUR_MS)
    again.start()
    again.stop()
    assert sorted(path.name for path in bench.folder.iterdir()) == ["notes"]


def test_a_store_that_was_served_and_then_copied_is_removed_too(bench: Bench) -> None:
    again = left(bench, seconds=HOUR_MS)
    again.stop()
    again = bench.made(left_seconds=0.0)
    again.follow({1}, ())
    served = again.open(0)
    again.start()
    served.close()
    again.follow({0, 1}, ())
    until(lambda: again.level(0))
    again.follow({1}, ())
    until(lambda: not (bench.folder / "0").exists())
    again.stop()


def test_a_copy_waits_until_it_is_opened(bench: Bench) -> None:
    """It was closed where the standbys' thread came first, and its store opened anew from the disk."""
    bench.fill(0, 0, 20)
    bench.standbys.follow({0}, ())
    until(lambda: bench.standbys.level(0))
    copy = bench.standbys._copies[0]
    bench.standbys.follow({1}, (), {0})
    until(lambda: bench.standbys.level(1))
    store = bench.standbys.open(0)
    assert store is copy.store
    store.close()
    bench.standbys.follow({1, 0}, ())
    until(lambda: bench.standbys.level(0))
    bench.standbys.follow({1}, ())
    until(lambda: 0 not in bench.standbys._copies)
