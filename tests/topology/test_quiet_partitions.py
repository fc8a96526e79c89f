"""Quiet partitions: they follow in silence, speak from one offset on, and obey under another model."""

import threading
from collections import deque

import numpy as np
import pytest

from state.artifact import Artifact
from state.codec import model_of, version_of
from state.events import Row
from state.fusion import Fusion
from state.prior import content_prior
from state.store import MemoryStore
from streams.engine.engine import Engine, EngineOptions, Resources
from streams.engine.faults import no_fault
from streams.engine.guard import Delivery
from streams.engine.partition import FOREVER, Partition, Quiet
from streams.errors import CommitFailed
from streams.interests.identity import IdentityProcessor
from streams.interests.marks import KIND_MARK
from streams.interests.processor import KIND_FUSION, InterestsProcessor
from streams.partitioning import partition_of
from streams.settings import Settings
from streams.testing import START_MS, MemoryJournal, MemoryLog
from tests.counting import CountingProcessor, count_of, pack
from tests.identity_world import PARTITIONS, STOCK, TOPICS, alone, event, forget, home, merge
from tests.models_world import other_artifact
from tests.tastes import MINUTE, START
from tests.tastes import catalogue as made_catalogue

OTHER = other_artifact()


class Side:
    """One model's engine over a source that several share; what it writes to the source goes there."""

    def __init__(self, source: "Source", artifact: Artifact, quiet: Quiet | None) -> None:
        self.source, self.log, self.artifact = source, MemoryLog(), artifact
        self.stores = {number: MemoryStore() for number in range(PARTITIONS)}
        self._quiet, self._looped = quiet, 0
        self.start()

    def start(self, quiet: Quiet | None = None) -> None:
        """As a new process."""
        self._quiet = quiet or self._quiet
        catalogue, _ = made_catalogue(STOCK)
        interests = InterestsProcessor(Fusion(self.artifact), catalogue, Settings())
        processor = IdentityProcessor(interests, self.artifact, Settings())
        options = EngineOptions("side", source=TOPICS.interactions_encoded, fault=no_fault)
        resources = Resources(
            self.stores.__getitem__, lambda number: MemoryJournal(self.log, number), self._hush
        )
        self.engine = Engine(processor, resources, options)
        self.queues: dict[int, deque[Delivery]] = {}
        for number in range(PARTITIONS):
            offset = self.engine.adopt(self.engine.open(number))
            self.queues[number] = deque(list(enumerate(self.source.records[number]))[offset:])

    def _hush(self, partition: Partition, _: object) -> None:
        partition.quiet = self._quiet

    def run(self) -> None:
        """To the end of the source."""
        while any(self.queues.values()):
            outcome = self.engine.process(self.queues, START_MS)
            assert not outcome.lost
            assert not outcome.holes
            outputs, self._looped = self.log.outputs[self._looped :], len(self.log.outputs)
            for output in outputs:
                if output.topic == TOPICS.interactions_encoded and output.value is not None:
                    self.source.append(partition_of(output.key, PARTITIONS), output.value)

    def states(self) -> dict[str, bytes]:
        return {
            key[1:].decode(): value
            for store in self.stores.values()
            for key, value in store.scan(KIND_FUSION)
        }

    def shown(self) -> set[str]:
        """Topics that have outputs."""
        return {output.topic for output in self.log.outputs}


class Source:
    def __init__(self) -> None:
        self.records: dict[int, list[bytes]] = {number: [] for number in range(PARTITIONS)}
        self.sides: list[Side] = []

    def append(self, number: int, value: bytes) -> None:
        for side in self.sides:
            side.queues[number].append((len(self.records[number]), value))
        self.records[number].append(value)

    def send(self, *rows: Row) -> None:
        for each in rows:
            self.append(home(each.user_id), alone(each))
        self.rest()

    def rest(self) -> None:
        while any(any(side.queues.values()) for side in self.sides):
            for side in self.sides:
                side.run()

    def side(self, artifact: Artifact, quiet: Quiet | None = None) -> Side:
        made = Side(self, artifact, quiet)
        self.sides.append(made)
        self.rest()
        return made


def assert_fold(side: Side, user: str, rows: list[Row]) -> None:
    fusion = Fusion(side.artifact)
    found = fusion.read([side.states()[user]])
    wanted = fusion.read(fusion.fold([None], [rows]).states)
    for name in ("interest", "heads", "head_weights", "event_count", "time_ms"):
        np.testing.assert_allclose(getattr(found, name), getattr(wanted, name), atol=1e-5, err_msg=name)


def two(apart: bool = True) -> tuple[str, str]:
    """Users of different partitions."""
    names = [f"user-{number}" for number in range(40)]
    return names[0], next(name for name in names if (home(name) != home(names[0])) == apart)


def history(source: Source) -> tuple[str, str, list[Row]]:
    one, other = two()
    rows = [event((one, other)[number % 2], number) for number in range(90)]
    source.send(*rows)
    return one, other, rows


@pytest.mark.parametrize("late", [False, True], ids=["beside", "afterwards"])
def test_a_merge_is_folded_under_the_model_that_is_quiet(late: bool) -> None:
    """Whether its states are made while the merge happens, or of the whole log long after it."""
    source = Source()
    live = source.side(content_prior())
    quiet = None if late else source.side(OTHER, Quiet(FOREVER))
    one, other, rows = history(source)
    source.send(merge(one, other, 200))
    rows += [event(one, number) for number in range(300, 310)]
    source.send(*rows[-10:])
    quiet = quiet or source.side(OTHER, Quiet(FOREVER))
    assert_fold(live, other, rows)
    assert_fold(quiet, other, rows)
    assert quiet.states().keys() == live.states().keys() == {other}
    assert version_of(quiet.states()[other]) >= version_of(live.states()[other])
    assert quiet.shown() <= {TOPICS.interactions_encoded}
    assert {model_of(state) for state in quiet.states().values()} == {OTHER.fingerprint}


def test_what_was_forgotten_does_not_come_back_with_a_late_half_of_a_merge() -> None:
    """The forget command has the earlier time, and was obeyed after the merge."""
    source = Source()
    live = source.side(content_prior())
    one, other, _ = history(source)
    source.send(merge(one, other, 200))
    source.send(forget(other, 150))
    assert live.states() == {}
    quiet = source.side(OTHER, Quiet(FOREVER))
    assert quiet.states() == {}


def test_a_merge_under_way_to_one_who_merges_on() -> None:
    source = Source()
    live = source.side(content_prior())
    one, other, rows = history(source)
    third = next(f"third-{n}" for n in range(40) if home(f"third-{n}") not in (home(one), home(other)))
    rows += [event(third, number) for number in range(100, 110)]
    source.send(*rows[-10:])
    source.send(merge(one, other, 200))
    source.send(merge(other, third, 210))
    rows.append(event(one, 300))
    source.send(rows[-1])
    quiet = source.side(OTHER, Quiet(FOREVER))
    for side in (live, quiet):
        assert_fold(side, third, rows)
        assert side.states().keys() == {third}


def test_marks_end_when_they_did_for_the_model_that_served() -> None:
    """A replay of a long log: what came after a mark's end began a new user then, and does so again."""
    source = Source()
    live = source.side(content_prior())
    one, other, _ = history(source)
    source.send(merge(one, other, 200))
    year = 365 * 86_400_000
    late = [
        event(one, number, broker_time=START + year + number, time=START + year + number * MINUTE)
        for number in (400, 401)
    ]
    # Under the model that serves the mark ended by the clock of that day.
    for number, store in live.stores.items():
        gone = {key: None for key, _ in store.scan(KIND_MARK)}
        live.engine.amend(number, gone)
        live.engine._processor.closed(number)
        live.engine._processor.opened(number, store)
    source.send(*late)
    assert live.states().keys() == {one, other}
    quiet = source.side(OTHER, Quiet(FOREVER))
    assert quiet.states().keys() == {one, other}
    assert_fold(quiet, one, late)


def test_a_partition_speaks_from_one_offset_on() -> None:
    """What came before is in the state and in no output; what comes then is in both, and told first."""
    log, told = MemoryLog(), list[int]()
    records = [(number, pack(number, ["u"])) for number in range(10)]
    quiet = Quiet(6, {b"k1": b"kept"}, lambda: told.append(len(log.outputs)))
    engine = counting(log, quiet)
    queues = {0: deque(records)}
    while queues[0]:
        engine.process(queues, START_MS)
    assert [count_of(output.value or b"") for output in log.outputs] == [7, 8, 9, 10]
    assert told == [0]
    assert engine.store(0).get(b"k1") == b"kept"


def test_a_partition_that_is_there_already_speaks_without_waiting_for_a_record() -> None:
    log, told = MemoryLog(), list[int]()
    first = counting(log, None)
    first.process({0: deque([(0, pack(0, ["u"]))])}, START_MS)
    first.close_all()
    engine = counting(log, Quiet(1, {}, lambda: told.append(1)))
    engine.process({0: deque()}, START_MS)
    assert told == [1]


def test_one_that_cannot_tell_is_opened_anew() -> None:
    def fails() -> None:
        raise CommitFailed("the broker is away")

    log = MemoryLog()
    engine = counting(log, Quiet(0, {}, fails))
    outcome = engine.process({0: deque([(0, pack(0, ["u"]))])}, START_MS)
    assert set(outcome.lost) == {0}
    assert log.outputs == []
    assert engine.places() == {}


def test_a_partition_whose_commit_waits_for_a_thread_can_be_closed() -> None:
    """There are more partitions than threads that commit."""
    log, hold = MemoryLog(), threading.Event()

    class Waiting(MemoryJournal):
        def commit(self) -> int:
            assert hold.wait(30)
            return super().commit()

    resources = Resources(lambda _: MemoryStore(), lambda number: Waiting(log, number))
    engine = Engine(CountingProcessor(), resources, EngineOptions("many", fault=no_fault))
    numbers = range(12)
    for number in numbers:
        engine.adopt(engine.open(number))
    engine.step({number: deque([(0, pack(0, [f"u-{number}"]))]) for number in numbers}, START_MS)
    threading.Timer(0.05, hold.set).start()
    places = [engine.close(number) for number in reversed(numbers)]
    assert places == [1] * 12


def counting(log: MemoryLog, quiet: Quiet | None) -> Engine:  # type: ignore[type-arg]
    def hush(partition: Partition, _: object) -> None:
        partition.quiet = quiet

    stores = MemoryStore()
    resources = Resources(lambda _: stores, lambda number: MemoryJournal(log, number), hush)
    engine = Engine(CountingProcessor(), resources, EngineOptions("quiet", fault=no_fault))
    engine.adopt(engine.open(0))
    return engine
