"""Run a processor on the real engine without a broker: push records, move the clock, read outputs.

    driver = Driver(processor)
    driver.push(encoded_record)
    driver.advance(1_000)
    assert [output.key for output in driver.read("interests")] == [b"user"]

The engine, its guards and its commit are the ones that run in operation; only the log and the stores are in
memory, and time stands still until it is moved.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Generic, TypeVar

from state.store import MemoryStore, Store
from streams.engine.engine import Engine, EngineOptions, Outcome, Resources
from streams.engine.faults import no_fault
from streams.engine.guard import Delivery
from streams.engine.journal import Cancelled, Changes, Chunk, Facts, OpeningCancelled
from streams.engine.place import BOOKMARK_KEY
from streams.engine.processor import Output, Processor
from streams.errors import EngineError, OwnershipLost
from streams.partitioning import partition_of

RowT = TypeVar("RowT")

START_MS = 1_700_000_000_000
"""Where a driver's clock stands at first."""

_ID = bytes(16)
_CHUNK = 100


class MemoryLog:
    """What a broker would hold: committed changelog records and outputs, and who owns which partition.

    As in Kafka, the marker that ends a transaction takes an offset, and from a new owner's fence on whatever
    the owner before does fails.
    """

    def __init__(self) -> None:
        self.outputs: list[Output] = []
        self.facts = Facts(_ID, 0, _ID, 0, 86_400_000)
        """What `fence` tells, but for the changelog's end."""
        self._owners: dict[int, int] = {}
        self._records: dict[int, list[tuple[bytes, bytes | None] | None]] = {}

    def take(self, partition: int) -> int:
        self._owners[partition] = self._owners.get(partition, 0) + 1
        return self._owners[partition]

    def check(self, partition: int, owner: int) -> None:
        if self._owners.get(partition) != owner:
            raise OwnershipLost(f"partition {partition} has another owner")

    def end(self, partition: int) -> int:
        return len(self._records.get(partition, ()))

    def append(self, partition: int, changes: Changes, outputs: Sequence[Output]) -> int:
        """Returns the offset behind the last record; the marker takes one more."""
        records = self._records.setdefault(partition, [])
        records.extend(changes.items())
        end = len(records)
        records.append(None)
        self.outputs.extend(outputs)
        return end

    def records(self, partition: int, start: int, end: int) -> Iterator[tuple[int, bytes, bytes | None]]:
        """Offset, key and value of the changelog's records; markers are passed over."""
        for offset, record in enumerate(self._records.get(partition, [])[start:end], start):
            if record is not None:
                yield offset, *record

    def compact(self, partition: int) -> None:
        """Drop every record that a later one of its key replaces, and deletions with it."""
        last = {key: offset for offset, key, _ in self.records(partition, 0, self.end(partition))}
        records = self._records.get(partition, [])
        for offset, record in enumerate(records):
            if record is not None and (last[record[0]] != offset or record[1] is None):
                records[offset] = None


class MemoryJournal:
    """A `Journal` on a MemoryLog."""

    def __init__(self, log: MemoryLog, partition: int) -> None:
        self._log = log
        self._partition = partition
        self._owner = 0
        self._pending: tuple[Changes, Sequence[Output]] | None = None

    def fence(self, cancelled: Cancelled) -> Facts:
        if cancelled():
            raise OpeningCancelled(str(self._partition))
        self._owner = self._log.take(self._partition)
        return replace(self._log.facts, changelog_end=self._log.end(self._partition))

    def replay(self, start: int, end: int, cancelled: Cancelled) -> Iterator[Chunk]:
        for first in range(start, end, _CHUNK):
            if cancelled():
                raise OpeningCancelled(str(self._partition))
            records = list(self._log.records(self._partition, first, min(end, first + _CHUNK)))
            if records:
                yield Chunk({key: value for _, key, value in records}, len(records), records[-1][0] + 1)

    def undone(self, offset: int) -> bool:
        """No broker, so nothing that it could forget."""
        return False

    def produce(self, outputs: Sequence[Output], changes: Changes) -> None:
        self._log.check(self._partition, self._owner)
        self._pending = (changes, outputs)

    def commit(self) -> int:
        self._log.check(self._partition, self._owner)
        if self._pending is None:
            raise EngineError("no transaction has begun")
        changes, outputs = self._pending
        self._pending = None
        return self._log.append(self._partition, changes, outputs)

    def close(self) -> None:
        self._pending = None


class Driver(Generic[RowT]):
    """One worker that owns all partitions of one source, and the source itself."""

    def __init__(
        self,
        processor: Processor[RowT],
        partitions: int = 1,
        options: EngineOptions | None = None,
        loop: str | None = None,
    ) -> None:
        """What the processor writes to the topic `loop` comes back to it, as its source is that topic."""
        self.clock_ms = START_MS
        self.log = MemoryLog()
        self._options = EngineOptions("driver", fault=no_fault) if options is None else options
        self._sources: list[list[bytes]] = [[] for _ in range(partitions)]
        self._stores: dict[int, Store] = {}
        self._read: dict[str, int] = {}
        self._loop = loop
        self._looped = 0
        self._start(processor)

    def push(self, value: bytes, partition: int = 0) -> None:
        """Append a record to the source, and let the engine come to rest."""
        self.push_many([value], partition)

    def push_many(self, values: Sequence[bytes], partition: int = 0) -> None:
        """As `push`, yet all records may share a micro-batch."""
        source = self._sources[partition]
        for value in values:
            self._queues[partition].append((len(source), value))
            source.append(value)
        self._run()

    def advance(self, milliseconds: int) -> None:
        """Move the clock, and let what is due by then go out."""
        self.clock_ms += milliseconds
        self._run()

    def read(self, topic: str) -> list[Output]:
        """Outputs of a topic that were not read before."""
        outputs = self.outputs(topic)
        unread = outputs[self._read.get(topic, 0) :]
        self._read[topic] = len(outputs)
        return unread

    def outputs(self, topic: str) -> list[Output]:
        """All outputs of a topic."""
        return [output for output in self.log.outputs if output.topic == topic]

    def stored(self, partition: int = 0, prefix: bytes = b"") -> dict[bytes, bytes]:
        """What the partition's store holds under keys with the prefix, but for the engine's own bookmark."""
        store = self._engine.store(partition)
        return {key: value for key, value in store.scan(prefix) if key != BOOKMARK_KEY}

    def trim(self) -> None:
        """Let go of all outputs up to now, read or not, and of what the changelog holds replaced: so a long
        run keeps its source and its states alone."""
        for partition in range(len(self._sources)):
            self.log.compact(partition)
        self.log.outputs.clear()
        self._read.clear()
        self._looped = 0

    def restart(self, processor: Processor[RowT], wipe: bool = False) -> None:
        """End the worker as a kill would, and start another, where `wipe` is set with an empty disk."""
        if wipe:
            self._stores.clear()
        self._start(processor)
        self._run()

    def _start(self, processor: Processor[RowT]) -> None:
        resources = Resources(
            lambda number: self._stores.setdefault(number, MemoryStore()),
            lambda number: MemoryJournal(self.log, number),
        )
        self._engine = Engine(processor, resources, self._options)
        self._queues: dict[int, deque[Delivery]] = {}
        for number in range(len(self._sources)):
            self._seek(number, self._engine.adopt(self._engine.open(number)))

    def _seek(self, number: int, offset: int) -> None:
        self._queues[number] = deque(list(enumerate(self._sources[number]))[offset:])

    def _run(self) -> None:
        while True:
            outcome = self._engine.process(self._queues, self.clock_ms)
            self._check(outcome)
            self._come_back()
            if not any(self._queues.values()):
                return

    def _come_back(self) -> None:
        outputs = self.log.outputs[self._looped :]
        self._looped = len(self.log.outputs)
        for output in outputs if self._loop is not None else ():
            if output.topic == self._loop and output.value is not None:
                number = partition_of(output.key, len(self._sources))
                self._queues[number].append((len(self._sources[number]), output.value))
                self._sources[number].append(output.value)

    def _check(self, outcome: Outcome) -> None:
        for loss in outcome.lost.values():
            raise loss.error
        for number, offset in outcome.holes.items():
            raise EngineError(f"partition {number}: the records pushed leave a hole before offset {offset}")
