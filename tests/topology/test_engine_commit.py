"""The commit and the recovery, against the reference fold, with a crash at every step."""

from collections import defaultdict, deque
from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from state.store import MemoryStore
from streams.engine.engine import Engine, EngineOptions, Resources
from streams.engine.faults import no_fault
from streams.engine.journal import OpeningCancelled
from streams.engine.place import BOOKMARK_KEY, PLACE_KEY, Place
from streams.engine.processor import KIND_HELD, Effects
from streams.errors import EngineError, OwnershipLost, RecordError
from streams.testing import START_MS, Driver, MemoryJournal, MemoryLog
from tests.counting import KIND_USER, CountingProcessor, Event, count_of, fold, pack

STEPS = range(1, 7)


class Crash(BaseException):
    """Stands for the end of the process: nothing in the engine may catch it."""


class CrashAt:
    """A fault that crashes at the `count`-th passing of `step`."""

    def __init__(self, step: int, count: int = 1) -> None:
        self._step = step
        self._left = count

    def __call__(self, step: int) -> None:
        if step == self._step:
            self._left -= 1
            if self._left == 0:
                raise Crash(step)


class ForgetfulStore(MemoryStore):
    """What a kill leaves of a store without a log of its own: it may forget its latest writes."""

    def __init__(self) -> None:
        super().__init__()
        self._past: list[dict[bytes, bytes]] = []

    def write(self, changes: Mapping[bytes, bytes | None]) -> None:
        self._past.append(dict(self._values))
        super().write(changes)

    def clear(self) -> None:
        self._past.clear()
        super().clear()

    def forget(self, writes: int) -> None:
        for _ in range(min(writes, len(self._past))):
            self._values = self._past.pop()


class Disk:
    """The log and the stores, which outlive an engine."""

    def __init__(self) -> None:
        self.log = MemoryLog()
        self.stores: dict[int, ForgetfulStore] = {}

    def engine(self, fault: object = no_fault, **processor: int) -> Engine[Event]:
        resources = Resources(
            lambda number: self.stores.setdefault(number, ForgetfulStore()),
            lambda number: MemoryJournal(self.log, number),
        )
        return Engine(
            CountingProcessor(**processor),
            resources,
            EngineOptions("test", fault=fault),  # type: ignore[arg-type]
        )


def source(count: int, users: int = 3) -> list[bytes]:
    """One record an event; users take turns."""
    return [pack(number, [f"u{number % users}"]) for number in range(count)]


def expected(count: int, users: int = 3) -> tuple[dict[bytes, bytes], dict[bytes, list[bytes]]]:
    states: dict[bytes, bytes] = {}
    outputs: dict[bytes, list[bytes]] = defaultdict(list)
    for number in range(count):
        user = f"u{number % users}".encode()
        states[user] = fold(states.get(user), Event(user.decode(), number))
        outputs[user].append(states[user])
    return states, outputs


def work_through(engine: Engine[Event], records: list[bytes], partition: int = 0, size: int = 4) -> None:
    start = engine.adopt(engine.open(partition))
    for first in range(start, len(records), size):
        piece = [(offset, records[offset]) for offset in range(first, min(first + size, len(records)))]
        outcome = engine.process({partition: deque(piece)}, START_MS)
        assert not outcome.holes
        assert not outcome.lost


def outputs_of(log: MemoryLog) -> dict[bytes, list[bytes]]:
    found: dict[bytes, list[bytes]] = defaultdict(list)
    for output in log.outputs:
        assert output.value is not None
        found[output.key].append(output.value)
    return found


def states_of(store: MemoryStore) -> dict[bytes, bytes]:
    return {key[1:]: value for key, value in store.scan(KIND_USER)}


@pytest.mark.parametrize("forgotten", [0, 2, 1_000])
@pytest.mark.parametrize("step", STEPS)
def test_a_crash_at_any_step_loses_and_doubles_nothing(step: int, forgotten: int) -> None:
    disk = Disk()
    records = source(20)
    with pytest.raises(Crash):
        work_through(disk.engine(CrashAt(step, 3)), records)
    disk.stores[0].forget(forgotten)
    work_through(disk.engine(), records)
    states, outputs = expected(20)
    assert states_of(disk.stores[0]) == states
    assert outputs_of(disk.log) == outputs


@given(
    st.lists(
        st.tuples(st.integers(1, 6), st.integers(1, 5), st.integers(0, 9), st.integers(1, 5)), max_size=6
    )
)
@settings(max_examples=60, deadline=None)
def test_any_crashes_lose_and_double_nothing(crashes: list[tuple[int, int, int, int]]) -> None:
    disk = Disk()
    records = source(24)
    for step, count, forgotten, size in crashes:
        try:
            work_through(disk.engine(CrashAt(step, count)), records, size=size)
        except Crash:
            disk.stores[0].forget(forgotten)
    work_through(disk.engine(), records)
    states, outputs = expected(24)
    assert states_of(disk.stores[0]) == states
    assert outputs_of(disk.log) == outputs


@pytest.mark.parametrize("compacted", [False, True])
def test_a_wiped_store_is_restored_byte_for_byte(compacted: bool) -> None:
    disk = Disk()
    work_through(disk.engine(), source(50))
    warm = dict(disk.stores[0].scan(b""))
    if compacted:
        disk.log.compact(0)
    disk.stores.clear()
    engine = disk.engine()
    engine.adopt(engine.open(0))
    restored = dict(disk.stores[0].scan(b""))
    assert restored.keys() == warm.keys()
    warm.pop(BOOKMARK_KEY)
    restored.pop(BOOKMARK_KEY)
    assert restored == warm
    assert restored[PLACE_KEY] == Place(50, 50, bytes(16)).encode()


def test_a_fenced_owner_is_refused_and_leaves_nothing() -> None:
    log = MemoryLog()
    records = source(8)
    old, new = Disk(), Disk()
    old.log = new.log = log
    zombie, owner = old.engine(), new.engine()
    zombie.adopt(zombie.open(0))
    zombie.process({0: deque(enumerate(records[:4]))}, START_MS)
    start = owner.adopt(owner.open(0))
    assert start == 4
    outcome = zombie.process({0: deque([(4, records[4])])}, START_MS)
    assert isinstance(outcome.lost[0].error, OwnershipLost)
    assert zombie.places() == {}
    owner.process({0: deque(list(enumerate(records))[4:])}, START_MS)
    assert outputs_of(log) == expected(8)[1]
    assert states_of(new.stores[0]) == expected(8)[0]


def test_an_owner_fenced_in_the_middle_of_its_batch_leaves_nothing() -> None:
    old, new = Disk(), Disk()
    new.log = old.log
    owner = new.engine()
    records = source(8)

    def overtaken(step: int) -> None:
        if step == 4:
            owner.adopt(owner.open(0))

    zombie = old.engine(overtaken)
    zombie.adopt(zombie.open(0))
    outcome = zombie.process({0: deque(enumerate(records))}, START_MS)
    assert isinstance(outcome.lost[0].error, OwnershipLost)
    assert old.log.outputs == []
    assert dict(old.stores[0].scan(b"")) == {}
    owner.process({0: deque(enumerate(records))}, START_MS)
    assert outputs_of(old.log) == expected(8)[1]


def test_the_attack_by_compaction_finds_nothing_of_the_zombie() -> None:
    """A zombie writes, the owner dies between its restore and its next commit, the log is compacted, and an
    owner with an empty disk restores it."""
    zombie_disk, owner_disk, wiped_disk = Disk(), Disk(), Disk()
    owner_disk.log = wiped_disk.log = zombie_disk.log
    records = source(12)
    zombie = zombie_disk.engine()
    zombie.adopt(zombie.open(0))
    zombie.process({0: deque(enumerate(records[:6]))}, START_MS)
    owner = owner_disk.engine()
    owner.adopt(owner.open(0))
    assert zombie.process({0: deque(list(enumerate(records))[6:9])}, START_MS).lost
    zombie_disk.log.compact(0)
    work_through(wiped_disk.engine(), records)
    assert states_of(wiped_disk.stores[0]) == expected(12)[0]
    assert outputs_of(zombie_disk.log) == expected(12)[1]


def test_partitions_commit_side_by_side_and_one_lost_does_not_hold_the_others() -> None:
    disk = Disk()
    engine = disk.engine()
    for number in range(3):
        engine.adopt(engine.open(number))
    disk.log.take(1)
    queues = {number: deque(enumerate(source(4))) for number in range(3)}
    outcome = engine.process(queues, START_MS)
    assert list(outcome.lost) == [1]
    assert engine.places() == {0: 4, 2: 4}
    assert outcome.rows == 12
    engine.adopt(engine.open(1))
    engine.process({1: deque(enumerate(source(4)))}, START_MS)
    for number in range(3):
        assert states_of(disk.stores[number]) == expected(4)[0]


def test_a_held_output_goes_out_when_due_and_once() -> None:
    driver = Driver(CountingProcessor(hold_ms=1_000))
    driver.push_many([pack(0, "a"), pack(1, "a")])
    assert driver.read("out") == []
    driver.advance(999)
    assert driver.read("out") == []
    driver.advance(1)
    assert [count_of(output.value or b"") for output in driver.read("out")] == [2]
    driver.advance(10_000)
    assert driver.read("out") == []
    assert driver.stored(prefix=KIND_HELD) == {}


@pytest.mark.parametrize("wipe", [False, True])
def test_a_held_output_survives_a_restart(wipe: bool) -> None:
    driver = Driver(CountingProcessor(hold_ms=1_000))
    driver.push(pack(0, "a"))
    driver.restart(CountingProcessor(hold_ms=1_000), wipe=wipe)
    driver.advance(1_000)
    assert [output.key for output in driver.read("out")] == [b"a"]
    driver.restart(CountingProcessor(hold_ms=1_000), wipe=wipe)
    driver.advance(1_000)
    assert driver.read("out") == []


@pytest.mark.parametrize("step", STEPS)
def test_a_crash_while_a_held_output_goes_out_neither_drops_nor_doubles_it(step: int) -> None:
    disk = Disk()
    engine = disk.engine(CrashAt(step, 2), hold_ms=1_000)
    engine.adopt(engine.open(0))
    engine.process({0: deque([(0, pack(0, "a"))])}, START_MS)
    with pytest.raises(Crash):
        engine.process({}, START_MS + 1_000)
    heir = disk.engine(hold_ms=1_000)
    heir.adopt(heir.open(0))
    heir.process({}, START_MS + 1_000)
    heir.process({}, START_MS + 2_000)
    assert [output.key for output in disk.log.outputs] == [b"a"]


def test_deleted_keys_are_gone_after_a_restore() -> None:
    driver = Driver(CountingProcessor(hold_ms=1_000))
    driver.push(pack(0, "a"))
    driver.advance(1_000)
    before = driver.stored()
    driver.restart(CountingProcessor(hold_ms=1_000), wipe=True)
    assert driver.stored() == before
    assert KIND_HELD + b"a" not in before


def test_a_user_named_like_a_control_record_is_a_user() -> None:
    driver = Driver(CountingProcessor())
    names = ["p", "h", "\0", "u", "pp"]
    driver.push_many([pack(number, [name]) for number, name in enumerate(names)])
    driver.restart(CountingProcessor(), wipe=True)
    driver.push(pack(len(names), ["p"]))
    assert set(states_of_driver(driver)) == {name.encode() for name in names}
    assert count_of(states_of_driver(driver)[b"p"]) == 2


def states_of_driver(driver: Driver[Event]) -> dict[bytes, bytes]:
    return {key[1:]: value for key, value in driver.stored(prefix=KIND_USER).items()}


class _Grasping(CountingProcessor):
    """Writes under a key that is the engine's own."""

    def __init__(self, key: bytes) -> None:
        super().__init__()
        self._key = key

    def _apply(self, *args: object) -> Effects:
        return Effects(puts={self._key: b"mine"})


@pytest.mark.parametrize("key", [PLACE_KEY, BOOKMARK_KEY])
def test_a_processor_cannot_write_the_engines_own_records(key: bytes) -> None:
    driver = Driver(CountingProcessor())
    driver.restart(_Grasping(key))
    with pytest.raises(EngineError, match="reserved"):
        driver.push(pack(0, "a"))


class _Choosy(CountingProcessor):
    """Cannot read records that begin with `!`."""

    def decode(self, value: bytes):  # type: ignore[no-untyped-def]
        if value.startswith(b"!"):
            raise RecordError("not_a_pack", "begins with an exclamation mark")
        return super().decode(value)


def test_what_cannot_be_read_is_set_aside_and_blocks_nothing() -> None:
    driver = Driver(_Choosy())
    driver.push_many([pack(0, "a"), b"!bad", pack(1, "a")])
    (letter,) = driver.read("dead-letters")
    headers = dict(letter.headers)
    assert letter.value == b"!bad"
    assert headers["error_class"] == b"not_a_pack"
    assert (headers["topic"], headers["partition"], headers["offset"]) == (b"source", b"0", b"1")
    assert len(driver.read("out")) == 2
    driver.restart(_Choosy())
    assert driver.read("dead-letters") == []


def test_a_record_without_rows_moves_the_place() -> None:
    disk = Disk()
    engine = disk.engine()
    engine.adopt(engine.open(0))
    engine.process({0: deque([(7, pack(0, [], end=9))])}, START_MS)
    assert engine.places() == {0: 8}
    heir = disk.engine()
    assert heir.adopt(heir.open(0)) == 8


def test_nothing_new_writes_nothing() -> None:
    disk = Disk()
    engine = disk.engine()
    engine.adopt(engine.open(0))
    engine.process({0: deque([(0, pack(0, "a"))])}, START_MS)
    end = disk.log.end(0)
    engine.process({0: deque([(0, pack(0, "a"))])}, START_MS)
    engine.process({0: deque()}, START_MS)
    assert disk.log.end(0) == end


def test_an_opening_can_be_cancelled() -> None:
    disk = Disk()
    work_through(disk.engine(), source(4))
    with pytest.raises(OpeningCancelled):
        disk.engine().open(0, lambda: True)


class _Failing(CountingProcessor):
    def apply(self, work: Mapping, stored: Mapping, clock_ms: int) -> dict[int, Effects]:  # type: ignore[type-arg]
        raise ValueError("a bug")


def test_a_bug_in_the_processor_ends_the_batch_without_a_trace() -> None:
    driver = Driver(CountingProcessor())
    driver.restart(_Failing())
    with pytest.raises(ValueError, match="a bug"):
        driver.push(pack(0, "a"))
    assert driver.log.outputs == []
    driver.restart(CountingProcessor())
    assert [output.key for output in driver.outputs("out")] == [b"a"]


def test_the_driver_reads_each_topic_once() -> None:
    driver = Driver(CountingProcessor(), partitions=2)
    driver.push(pack(0, "ab"), partition=1)
    assert [output.key for output in driver.read("out")] == [b"a", b"b"]
    assert driver.read("out") == []
    assert [output.key for output in driver.outputs("out")] == [b"a", b"b"]
