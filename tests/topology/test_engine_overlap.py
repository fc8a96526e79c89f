"""Commits go on beside the work on other partitions: a slow one holds up no partition but its own."""

import threading
from collections.abc import Iterator

import pytest

from state.store import MemoryStore
from streams.engine.engine import COMMIT_THREADS, Engine, EngineOptions, Resources
from streams.engine.faults import no_fault
from streams.engine.runner import Runner, RunnerOptions
from streams.engine.seat import NO_FLOW
from streams.errors import CommitFailed
from streams.testing import MemoryJournal, MemoryLog
from tests.counting import CountingProcessor, Event, count_of, pack
from tests.topology.test_engine_runner import SECONDS, until


class SlowBroker:
    """Commits of the partitions in `held` wait, until they are taken out of it; those in `failing` fail."""

    def __init__(self) -> None:
        self.log = MemoryLog()
        self.held: set[int] = set()
        self.waiting: set[int] = set()
        self.failing: set[int] = set()
        self.flows: dict[int, int] = {}
        resources = Resources(lambda _: MemoryStore(), lambda number: _SlowJournal(self, number))
        engine = Engine(CountingProcessor(), resources, EngineOptions("overlap", fault=no_fault))
        self.runner: Runner[Event] = Runner(engine, RunnerOptions("overlap", rest_seconds=0.05))

    def take(self, *numbers: int) -> None:
        self.runner.take(numbers).result(SECONDS)
        until(self.runner.ready)
        self.seek()

    def seek(self) -> int:
        """Carry out what seeks there are; the offset of the last one, -1 for none."""
        offset = -1
        for seek in self.runner.seeks():
            if self.runner.current(seek):
                self.flows[seek.partition], offset = seek.flow, seek.offset
        return offset

    def deliver(self, partition: int, offset: int, user: str) -> None:
        record = offset, pack(offset, [user])
        self.runner.deliver(partition, self.flows.get(partition, NO_FLOW), [record])

    def counts(self, user: str) -> list[int]:
        return [count_of(output.value or b"") for output in self.log.outputs if output.key == user.encode()]


class _SlowJournal(MemoryJournal):
    def __init__(self, broker: SlowBroker, partition: int) -> None:
        super().__init__(broker.log, partition)
        self._broker = broker
        self._number = partition

    def commit(self) -> int:
        if self._number in self._broker.held:
            self._broker.waiting.add(self._number)
            until(lambda: self._number not in self._broker.held)
            self._broker.waiting.discard(self._number)
        if self._number in self._broker.failing:
            self._broker.failing.discard(self._number)
            raise CommitFailed("the transaction did not go through")
        return super().commit()


@pytest.fixture
def broker() -> Iterator[SlowBroker]:
    made = SlowBroker()
    made.runner.start()
    made.take(0, 1)
    yield made
    made.held.clear()
    made.runner.stop(SECONDS)


def hold_zero(broker: SlowBroker) -> None:
    """Let partition 0 be at a commit that does not end."""
    broker.held.add(0)
    broker.deliver(0, 0, "a")
    until(lambda: 0 in broker.waiting)


def test_a_slow_commit_delays_no_other_partition(broker: SlowBroker) -> None:
    hold_zero(broker)
    for offset in range(3):
        broker.deliver(1, offset, "b")
        until(lambda expected=offset + 1: len(broker.counts("b")) == expected)  # type: ignore[misc]
    assert broker.counts("a") == []
    broker.held.clear()
    until(lambda: broker.counts("a") == [1])


def test_what_comes_during_a_commit_counts_on_top_of_it(broker: SlowBroker) -> None:
    hold_zero(broker)
    broker.deliver(0, 1, "a")
    broker.deliver(1, 0, "b")
    until(lambda: broker.counts("b") == [1])
    broker.held.clear()
    until(lambda: broker.counts("a") == [1, 2])


def test_others_are_released_during_a_commit_and_it_is_released_behind_it(broker: SlowBroker) -> None:
    hold_zero(broker)
    assert broker.runner.release([1]).result(SECONDS) == {1: 0}
    released = broker.runner.release([0])
    broker.held.clear()
    assert released.result(SECONDS) == {0: 1}
    assert broker.counts("a") == [1]


def test_a_partition_is_released_whose_commit_waits_for_a_thread(broker: SlowBroker) -> None:
    broker.take(*range(12))
    broker.held.update(range(11))
    for number in range(12):
        broker.deliver(number, 0, f"u{number}")
    until(lambda: len(broker.waiting) == COMMIT_THREADS)
    released = broker.runner.release([11])
    broker.held.clear()
    assert released.result(SECONDS) == {11: 1}
    until(lambda: all(broker.counts(f"u{number}") == [1] for number in range(12)))
    assert broker.runner.failure is None


def test_an_assignment_during_a_commit_reads_on_behind_it(broker: SlowBroker) -> None:
    hold_zero(broker)
    taken = broker.runner.take([0])
    broker.held.clear()
    taken.result(SECONDS)
    assert broker.seek() == 1
    broker.deliver(0, 1, "a")
    until(lambda: broker.counts("a") == [1, 2])


def test_a_commit_that_fails_while_others_go_on_is_done_again(broker: SlowBroker) -> None:
    hold_zero(broker)
    broker.deliver(1, 0, "b")
    until(lambda: broker.counts("b") == [1])
    broker.failing.add(0)
    broker.held.clear()
    until(lambda: broker.seek() == 0)
    broker.deliver(0, 0, "a")
    until(lambda: broker.counts("a") == [1])
    assert broker.runner.places() == {0: 1, 1: 1}


def test_the_end_waits_for_commits_in_flight() -> None:
    broker = SlowBroker()
    broker.runner.start()
    broker.take(0, 1)
    hold_zero(broker)
    stopping = threading.Thread(target=broker.runner.stop, args=(SECONDS,))
    stopping.start()
    stopping.join(0.05)
    assert stopping.is_alive()
    broker.held.clear()
    stopping.join(SECONDS)
    assert broker.counts("a") == [1]
