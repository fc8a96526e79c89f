"""The engine's thread: flows, holes, losses, openings, back-pressure and the end. The test is the host."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from state.store import MemoryStore
from streams.engine import runner as runner_module
from streams.engine.engine import Engine, EngineOptions, Resources
from streams.engine.faults import no_fault
from streams.engine.journal import Cancelled, Facts
from streams.engine.runner import Runner, RunnerOptions
from streams.engine.seat import NO_FLOW, Seek
from streams.errors import CommitFailed, EngineError, OwnershipLost, SourceRecreated
from streams.testing import MemoryJournal, MemoryLog
from tests.counting import CountingProcessor, Event, pack

SECONDS = 20.0


def until(condition: Callable[[], bool]) -> None:
    give_up = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < give_up, "waited in vain"
        time.sleep(0.002)


class Bench:
    """A runner on a memory log, and what a host would do for it."""

    def __init__(self, skip_trimmed: bool = False, **options: float) -> None:
        self.log = MemoryLog()
        self.stores: dict[int, MemoryStore] = {}
        self.gate = threading.Event()
        """Openings wait for it."""
        self.gate.set()
        self.fail: Callable[[int], None] = no_fault
        self.flows: dict[int, int] = {}
        self.sought: list[Seek] = []
        engine = Engine(
            CountingProcessor(),
            Resources(self._store, lambda number: _GatedJournal(self, number)),
            EngineOptions("bench", skip_trimmed=skip_trimmed, fault=self._fault),
        )
        settings = replace(RunnerOptions("bench", rest_seconds=0.05), **options)  # type: ignore[arg-type]
        self.runner: Runner[Event] = Runner(engine, settings)

    def _fault(self, step: int) -> None:
        self.fail(step)

    def _store(self, number: int) -> MemoryStore:
        return self.stores.setdefault(number, MemoryStore())

    def take(self, *numbers: int) -> None:
        """Take partitions, and carry the seeks out that follow."""
        self.runner.take(numbers).result(SECONDS)
        until(self.runner.ready)
        self.seek()

    def seek(self) -> None:
        for seek in self.runner.seeks():
            if self.runner.current(seek):
                self.sought.append(seek)
                self.flows[seek.partition] = seek.flow

    def sought_anew(self, partition: int, old: int) -> bool:
        self.seek()
        return self.flows[partition] != old

    def deliver(self, partition: int, *deliveries: tuple[int, bytes]) -> None:
        self.runner.deliver(partition, self.flows.get(partition, NO_FLOW), deliveries)

    def keys(self) -> list[bytes]:
        return [output.key for output in self.log.outputs]


class _GatedJournal(MemoryJournal):
    def __init__(self, bench: Bench, partition: int) -> None:
        super().__init__(bench.log, partition)
        self._bench = bench

    def fence(self, cancelled: Cancelled) -> Facts:
        until(lambda: self._bench.gate.is_set() or cancelled())
        return super().fence(cancelled)


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    made.runner.start()
    yield made
    made.gate.set()
    made.runner.stop(SECONDS)


def test_records_become_outputs(bench: Bench) -> None:
    bench.take(0, 1)
    assert sorted((seek.partition, seek.offset) for seek in bench.sought) == [(0, 0), (1, 0)]
    bench.deliver(0, (0, pack(0, "ab")))
    bench.deliver(1, (0, pack(0, "c")))
    until(lambda: len(bench.keys()) == 3)
    until(lambda: bench.runner.places() == {0: 1, 1: 1})


def test_nothing_is_taken_before_the_seek_or_for_a_strange_partition(bench: Bench) -> None:
    bench.runner.take([0]).result(SECONDS)
    until(bench.runner.ready)
    bench.deliver(0, (0, pack(0, "a")))
    bench.runner.deliver(5, 1, [(0, pack(0, "a"))])
    bench.seek()
    bench.deliver(0, (0, pack(0, "b")))
    until(lambda: bench.keys() == [b"b"])


def test_what_was_read_before_a_seek_is_dropped(bench: Bench) -> None:
    bench.take(0)
    old = bench.flows[0]
    bench.runner.suspend().result(SECONDS)
    bench.runner.deliver(0, old, [(5, pack(-1, [("late", -1)], end=-1))])
    bench.take(0)
    assert bench.flows[0] != old
    bench.runner.deliver(0, old, [(6, pack(-1, [("late", -1)], end=-1))])
    bench.deliver(0, (0, pack(0, "a")))
    until(lambda: bench.keys() == [b"a"])
    assert bench.runner.places() == {0: 1}


def test_a_hole_is_read_again_from_the_place(bench: Bench) -> None:
    bench.take(0)
    bench.deliver(0, (0, pack(0, "a")), (3, pack(7, "z")))
    until(lambda: bench.runner.places() == {0: 1})
    until(lambda: (bench.seek(), bench.sought[-1].offset == 1)[1])
    bench.deliver(0, (1, pack(1, "bcdefg")), (3, pack(7, "z")))
    until(lambda: bench.keys() == [b"a", *(bytes([letter]) for letter in b"bcdefg"), b"z"])


def test_a_hole_that_stays_ends_the_engine(bench: Bench) -> None:
    bench.take(0)
    bench.deliver(0, (0, pack(0, "a")))
    for _ in range(6):
        old = bench.flows[0]
        bench.deliver(0, (3, pack(7, "z")))
        until(lambda old=old: bench.runner.failure is not None or bench.sought_anew(0, old))  # type: ignore[misc]
    with pytest.raises(EngineError, match=r"source offset 1.*retention"):
        bench.runner.check()
    assert bench.keys() == [b"a"]


def test_a_hole_that_stays_is_passed_over_on_demand() -> None:
    skipping = Bench(skip_trimmed=True)
    skipping.runner.start()
    try:
        skipping.take(0)
        skipping.deliver(0, (0, pack(0, "a")))
        for _ in range(6):
            old = skipping.flows[0]
            skipping.deliver(0, (3, pack(7, "z")))
            until(lambda old=old: skipping.sought_anew(0, old))  # type: ignore[misc]
        assert skipping.keys() == [b"a"]
        skipping.deliver(0, (3, pack(7, "z")))
        until(lambda: skipping.keys() == [b"a", b"z"])
        # Once: the next hole is tried as patiently as this one was.
        old = skipping.flows[0]
        skipping.deliver(0, (4, pack(9, "y")))
        until(lambda: skipping.sought_anew(0, old))
        assert skipping.keys() == [b"a", b"z"]
    finally:
        skipping.runner.stop(SECONDS)


def test_a_fenced_partition_rests_and_is_opened_again(bench: Bench) -> None:
    bench.take(0)
    bench.deliver(0, (0, pack(0, "a")))
    until(lambda: bench.keys() == [b"a"])
    bench.log.take(0)
    flow = bench.flows[0]
    bench.deliver(0, (1, pack(1, "b")))
    until(lambda: bench.sought_anew(0, flow))
    assert bench.sought[-1].offset == 1
    bench.deliver(0, (1, pack(1, "b")))
    until(lambda: bench.keys() == [b"a", b"b"])


def test_a_fenced_partition_is_not_opened_while_the_group_decides() -> None:
    bench = Bench(rest_seconds=1.0)
    bench.runner.start()
    bench.take(0, 1)
    bench.log.take(0)
    bench.deliver(0, (0, pack(0, "a")))
    until(lambda: not bench.runner.ready())
    bench.runner.suspend().result(SECONDS)
    assert bench.runner.release([1]).result(SECONDS) == {1: 0}
    owner = bench.log.take(0)
    rested = time.monotonic() + 1.2
    until(lambda: time.monotonic() > rested)
    bench.log.check(0, owner)
    bench.take(0)
    bench.deliver(0, (0, pack(0, "a")))
    until(lambda: bench.keys() == [b"a"])
    bench.runner.stop(SECONDS)


def test_a_fenced_partition_is_opened_at_once_in_a_new_generation() -> None:
    bench = Bench(rest_seconds=3_600.0)
    bench.runner.start()
    bench.take(0)
    bench.log.take(0)
    bench.deliver(0, (0, pack(0, "a")))
    until(lambda: not bench.runner.ready())
    bench.take(0)
    bench.deliver(0, (0, pack(0, "a")))
    until(lambda: bench.keys() == [b"a"])
    bench.runner.stop(SECONDS)


def test_a_failed_commit_is_done_again_from_what_the_log_says(bench: Bench) -> None:
    bench.take(0)
    left = [1]

    def fail_once(step: int) -> None:
        if step == 4 and left:
            left.pop()
            raise CommitFailed("the broker went away")

    bench.fail = fail_once
    flow = bench.flows[0]
    bench.deliver(0, (0, pack(0, "a")))
    until(lambda: bench.sought_anew(0, flow))
    assert not left
    bench.deliver(0, (0, pack(0, "a")))
    until(lambda: bench.keys() == [b"a"])


def test_a_release_closes_and_tells_the_places(bench: Bench) -> None:
    bench.take(0, 1)
    bench.deliver(0, (0, pack(0, "a")))
    until(lambda: bench.keys() == [b"a"])
    assert bench.runner.release([0, 7]).result(SECONDS) == {0: 1}
    assert bench.runner.partitions() == {1}
    bench.deliver(0, (1, pack(1, "b")))
    assert bench.runner.release([1]).result(SECONDS) == {1: 0}
    assert bench.keys() == [b"a"]


def test_a_release_cancels_an_opening(bench: Bench) -> None:
    bench.gate.clear()
    bench.runner.take([0]).result(SECONDS)
    assert not bench.runner.ready()
    bench.runner.release([0]).result(SECONDS)
    bench.gate.set()
    bench.take(0)
    bench.deliver(0, (0, pack(0, "a")))
    until(lambda: bench.keys() == [b"a"])


def test_others_go_on_while_one_is_opened(bench: Bench) -> None:
    bench.take(0)
    bench.gate.clear()
    bench.runner.take([1]).result(SECONDS)
    bench.deliver(0, (0, pack(0, "a")))
    until(lambda: bench.keys() == [b"a"])
    assert not bench.runner.ready()


def test_an_opening_that_is_refused_ends_the_engine(bench: Bench) -> None:
    bench.take(0)
    bench.deliver(0, (0, pack(0, "a")))
    until(lambda: bench.keys() == [b"a"])
    bench.runner.release([0]).result(SECONDS)
    bench.log.facts = replace(bench.log.facts, source_topic=b"z" * 16)
    bench.runner.take([0]).result(SECONDS)
    until(lambda: bench.runner.failure is not None)
    with pytest.raises(SourceRecreated):
        bench.runner.check()


def test_a_bug_ends_the_engine_and_later_calls_do_not_hang(bench: Bench) -> None:
    bench.take(0)

    def bug(step: int) -> None:
        raise ZeroDivisionError("a bug")

    bench.fail = bug
    bench.deliver(0, (0, pack(0, "a")))
    until(lambda: bench.runner.failure is not None)
    with pytest.raises(EngineError, match="ZeroDivisionError"):
        bench.runner.check()
    assert not bench.runner.ready()
    bench.runner.suspend().result(SECONDS)
    bench.runner.take([3]).result(SECONDS)
    bench.runner.release([3]).result(SECONDS)


def test_the_host_is_held_back_while_the_engine_is_busy() -> None:
    bench = Bench(queued_records=4)
    busy, free = threading.Event(), threading.Event()

    def wait(step: int) -> None:
        if step == 1:
            busy.set()
            assert free.wait(SECONDS)

    bench.runner.start()
    bench.take(0)
    bench.fail = wait
    bench.deliver(0, (0, pack(0, "a")))
    assert busy.wait(SECONDS)
    bench.deliver(0, *((number, pack(number, "a")) for number in range(1, 5)))
    assert bench.runner.full()
    assert not bench.runner.wait_for_room(0.0)
    free.set()
    assert bench.runner.wait_for_room(SECONDS)
    until(lambda: len(bench.keys()) == 5)
    bench.runner.stop(SECONDS)


def test_suspending_waits_for_the_batch_in_flight(bench: Bench) -> None:
    bench.take(0)
    busy, free = threading.Event(), threading.Event()

    def wait(step: int) -> None:
        if step == 4:
            busy.set()
            assert free.wait(SECONDS)

    bench.fail = wait
    bench.deliver(0, (0, pack(0, "a")))
    assert busy.wait(SECONDS)
    answer = bench.runner.suspend()
    assert not answer.done()
    free.set()
    answer.result(SECONDS)
    assert bench.keys() == [b"a"]


def test_stopping_ends_the_batch_in_flight_and_opens_nothing_more(bench: Bench) -> None:
    bench.take(0)
    bench.gate.clear()
    bench.runner.take([1]).result(SECONDS)
    bench.deliver(0, (0, pack(0, "a")))
    until(lambda: bench.keys() == [b"a"])
    bench.runner.stop(SECONDS)
    assert bench.runner.failure is None
    assert bench.runner.places() == {}


def test_the_watchdog_is_told_of_every_step() -> None:
    beats: list[int] = []
    bench = Bench(beat=lambda: beats.append(1))  # type: ignore[arg-type]
    bench.runner.start()
    until(lambda: len(beats) > 3)
    bench.runner.stop(SECONDS)


def test_what_a_check_raises_ends_the_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner_module, "_CHECK_SECONDS", 0.01)
    calls: list[int] = []

    def check() -> None:
        calls.append(1)
        if len(calls) == 3:
            raise SourceRecreated("the source is another topic")

    bench = Bench(check=check)  # type: ignore[arg-type]
    bench.runner.start()
    until(lambda: bench.runner.failure is not None)
    with pytest.raises(SourceRecreated):
        bench.runner.check()
    assert len(calls) == 3
    bench.runner.stop(SECONDS)


def test_batches_keep_their_interval() -> None:
    bench = Bench(interval_seconds=3_600.0)
    bench.runner.start()
    bench.take(0)
    bench.deliver(0, (0, pack(0, "a")))
    # The thread serves commands in the meantime, so that a release need not wait.
    assert bench.runner.release([0]).result(SECONDS) == {0: 0}
    assert bench.keys() == []
    bench.runner.stop(SECONDS)


def test_ownership_lost_while_opening_rests(bench: Bench) -> None:
    left = [1]

    class Overtaken(_GatedJournal):
        def fence(self, cancelled: Cancelled) -> Facts:
            if left:
                left.pop()
                raise OwnershipLost("another process has opened the partition meanwhile")
            return super().fence(cancelled)

    engine = Engine(
        CountingProcessor(),
        Resources(lambda _: MemoryStore(), lambda number: Overtaken(bench, number)),
        EngineOptions("overtaken", fault=no_fault),
    )
    runner: Runner[Event] = Runner(engine, RunnerOptions("overtaken", rest_seconds=0.05))
    runner.start()
    runner.take([0]).result(SECONDS)
    until(lambda: not left)
    until(runner.ready)
    assert runner.failure is None
    runner.stop(SECONDS)
