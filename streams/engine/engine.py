"""The state engine: rows in, values and outputs out, each row once. Knows neither Kafka nor Faust."""

import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from state.store import LASTING_SECONDS, Store
from streams.dead_letters import produce_dead_letter, set_aside
from streams.engine.faults import Fault, fault_from
from streams.engine.guard import Admission, Delivery, admit
from streams.engine.journal import Cancelled, Changes, Journal
from streams.engine.partition import Opening, Partition, opened
from streams.engine.place import BOOKMARK_KEY, PLACE_KEY
from streams.engine.processor import Effects, Output, Processor, Work
from streams.engine.remarks import tell_of_raw
from streams.errors import CommitFailed, EngineError, OwnershipLost
from streams.metrics import (
    BATCH_SIZE,
    COMMIT_TIME,
    DEAD_LETTERS,
    FRESHNESS,
    LOST_OFFSETS,
    RECOVERY,
    ROWS,
    STAGE_SECONDS,
    STATE_BYTES,
)
from streams.raw import RawRecord

RowT = TypeVar("RowT")

COMMIT_THREADS = 8
_LETTER_BYTES = 1_000_000
"""What a dead letter may have: as much as any topic takes that says nothing else."""


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """`name` is the engine's in metrics and logs; `batch_rows` bounds a micro-batch.

    What the processor cannot read of the topic `source` goes to the topic `dead_letters`.
    """

    name: str
    batch_rows: int = 1_024
    source: str = "source"
    dead_letters: str = "dead-letters"
    skip_trimmed: bool = False
    """Whether what is gone of the source unread may be passed over."""
    fault: Fault = field(default_factory=lambda: fault_from(os.environ))


@dataclass(frozen=True, slots=True)
class Resources:
    """How a partition's store and journal are made."""

    store: Callable[[int], Store]
    journal: Callable[[int], Journal]
    check: Callable[[Partition, Cancelled], None] = lambda partition, cancelled: None
    """Sees what was opened; may make it quiet, and raises where it must not take part."""


@dataclass(frozen=True, slots=True)
class Loss:
    """A partition that was closed because its commit did not go through."""

    error: EngineError
    source: int
    """Source offset from which the batch went out."""


@dataclass(slots=True, frozen=True)
class _Flight:
    """A commit on its way, and where the partition must be read again after it."""

    future: Future[Loss | None]
    hole: int | None


@dataclass(slots=True)
class Outcome:
    """What micro-batches came to, by partition."""

    rows: int = 0
    """Rows that a batch has begun with."""
    holes: dict[int, int] = field(default_factory=dict)
    """Source offset from which the partition must be read again."""
    lost: dict[int, Loss] = field(default_factory=dict)


class Engine(Generic[RowT]):
    """Owns partitions. `open` and `discard` may run in any thread; everything else belongs to one.

    While a partition's batch is being committed, the others' next batches are worked on: the partition
    itself waits, so that no value is read before it is committed.
    """

    def __init__(self, processor: Processor[RowT], resources: Resources, options: EngineOptions) -> None:
        self._processor = processor
        self._resources = resources
        self._options = options
        self._partitions: dict[int, Partition] = {}
        self._flights: dict[int, _Flight] = {}
        self._forgiven: set[int] = set()
        self._changelog: bytes | None = None
        self._committers = ThreadPoolExecutor(COMMIT_THREADS, f"{options.name}-commit")

    def open(self, number: int, cancelled: Cancelled = lambda: False) -> Partition:
        """Fence and restore a partition, which may take long. Follow with `adopt` or `discard`."""
        store = self._resources.store(number)

        def opens(journal: Journal) -> Partition:
            skip, used = self._options.skip_trimmed, self._changelog
            opening = Opening(number, self._label(number), store, journal, cancelled, skip, used)
            partition = opening.run()
            self._resources.check(partition, cancelled)
            return partition

        return opened(store, lambda: self._resources.journal(number), opens)

    def adopt(self, partition: Partition) -> int:
        """Let an opened partition take part. Returns the source offset to read it from."""
        self._partitions[partition.number] = partition
        self._changelog = partition.changelog_topic
        self._processor.opened(partition.number, partition.store)
        return partition.place.source

    def close(self, number: int) -> int | None:
        """Let a partition go, once what it commits has ended. Returns the source offset that comes next; None
        where it was not open.
        """
        flight = self._flights.pop(number, None)
        if flight is not None:
            flight.future.result()
        partition = self._partitions.pop(number, None)
        if partition is None:
            return None
        self._processor.closed(number)
        partition.close()
        for gauge in (STATE_BYTES, RECOVERY):
            with suppress(KeyError):
                gauge.remove(partition.label)
        return partition.place.source

    def close_all(self) -> None:
        for number in list(self._partitions):
            self.close(number)
        self._committers.shutdown()

    def forgive(self, number: int) -> bool:
        """Let the next batch of the partition pass over the hole that is before it, if that is allowed."""
        if self._options.skip_trimmed:
            self._forgiven.add(number)
        return self._options.skip_trimmed

    def places(self) -> dict[int, int]:
        """Source offset that comes next, by open partition."""
        return {number: partition.place.source for number, partition in list(self._partitions.items())}

    def tend(self) -> None:
        """To be called every few seconds, while nothing is being committed: bounds what a kill takes, and
        measures.
        """
        for partition in self._partitions.values():
            partition.store.settle(LASTING_SECONDS)
            STATE_BYTES.labels(partition.label).set(partition.store.size())

    def store(self, number: int) -> Store:
        """The store of an open partition, to be read."""
        return self._partitions[number].store

    def process(self, queues: Mapping[int, deque[Delivery]], clock_ms: int) -> Outcome:
        """One micro-batch of all partitions that have something, to the end of its commits."""
        before = self.rest()
        outcome = self.step(queues, clock_ms)
        after = self.rest()
        for each in (before, after):
            outcome.holes.update(each.holes)
            outcome.lost.update(each.lost)
        return outcome

    def step(
        self,
        queues: Mapping[int, deque[Delivery]],
        clock_ms: int,
        settled: Callable[[], None] = lambda: None,
    ) -> Outcome:
        """One micro-batch: take what the guards let in from the queues of open partitions, and begin to
        commit it. Returns without waiting; what the commits came to is told by later calls.

        Partitions that are still at their commits are left out; `settled` is called, in another thread, as
        each commit ends. Raises what the processor or a store raises: the process must end then.
        """
        outcome = self._land([number for number, flight in self._flights.items() if flight.future.done()])
        self._break_silence(queues, outcome)
        admitted = self._admit(queues)
        work = self._work(admitted, clock_ms)
        outcome.rows = sum(len(admission.rows) for admission in admitted.values())
        changed = [n for n in self._partitions if n in work or self._has_moved(n, admitted)]
        if changed:
            self._commit(changed, admitted, work, clock_ms)
            BATCH_SIZE.labels(self._options.name).observe(outcome.rows)
        for number in changed:
            self._flights[number].future.add_done_callback(lambda _: settled())
        for number, admission in admitted.items():
            if admission.hole and number not in self._flights:
                outcome.holes[number] = admission.place.source
        return outcome

    def rest(self, numbers: Iterable[int] | None = None) -> Outcome:
        """Wait until these partitions, by default all, are at no commit. Returns what the commits came to."""
        asked = self._flights if numbers is None else self._flights.keys() & set(numbers)
        return self._land(list(asked))

    def busy(self, number: int) -> bool:
        """Whether the partition is at its commit, so that its records wait."""
        return number in self._flights

    def _land(self, numbers: Iterable[int]) -> Outcome:
        outcome = Outcome()
        for number in numbers:
            flight = self._flights.pop(number)
            loss = flight.future.result()
            COMMIT_TIME.labels(self._options.name).set_to_current_time()
            if loss is not None:
                self.close(number)
                outcome.lost[number] = loss
            elif flight.hole is not None:
                outcome.holes[number] = flight.hole
        return outcome

    def _commit(
        self,
        changed: list[int],
        admitted: Mapping[int, Admission[RowT]],
        work: Mapping[int, Work[RowT]],
        clock_ms: int,
    ) -> None:
        """The commit of the delivery contract, step by step: from 3 on beside the engine's thread, and each
        partition for itself.

        Wherever it ends: before 4 is through, the transaction is aborted, and the log has nothing of this
        batch; afterwards the log has all of it, and the restore brings the store level.
        """
        fault, began = self._options.fault, time.monotonic()

        fault(1)  # 1. Fetch the values that the work wants.
        stored = {number: self._stored(number, wanted) for number, wanted in work.items()}

        fault(2)  # 2. Apply the rows, all partitions at once.
        effects = self._processor.apply(work, stored, clock_ms) if work else {}

        def settle(number: int) -> Loss | None:
            partition, effect = self._partitions[number], effects.get(number, _NO_EFFECTS)
            admission = admitted.get(number) or Admission(partition.place)
            place, outputs = admission.place, self._outputs(number, effect, admission, clock_ms)
            if not effect.puts.keys().isdisjoint(_RESERVED):
                raise EngineError(f"{partition.label}: the processor wrote a reserved key")
            changes = {**effect.puts, PLACE_KEY: place.encode()}
            try:
                fault(3)  # 3. Outputs, values and, last, the place go out in one transaction.
                partition.journal.produce(outputs, changes)

                fault(4)  # 4. The transaction is committed: from here on the batch has happened.
                end = partition.journal.commit()
            except (OwnershipLost, CommitFailed) as error:
                return Loss(error, partition.place.source)

            fault(5)  # 5. The store takes the same values, with the offset that they make it level with.
            partition.store.write({**changes, BOOKMARK_KEY: partition.bookmark(end)})
            if admission.lost:
                LOST_OFFSETS.labels(self._options.source).inc(admission.lost)
                self._forgiven.discard(number)
            tell_of_raw(partition, admission)
            partition.place = place
            if partition.quiet is None:
                self._observe(effect, admission)
            STAGE_SECONDS.labels(self._options.name).observe(time.monotonic() - began)
            fault(6)
            return None

        for number in changed:
            admission = admitted.get(number)
            hole = admission.place.source if admission is not None and admission.hole else None
            self._flights[number] = _Flight(self._committers.submit(settle, number), hole)

    def _admit(self, queues: Mapping[int, deque[Delivery]]) -> dict[int, Admission[RowT]]:
        idle = self._partitions.keys() - self._flights.keys()
        waiting = [number for number, queue in queues.items() if queue and number in idle]
        share = max(1, self._options.batch_rows // max(1, len(waiting)))
        return {number: self._admitted(number, queues[number], share) for number in waiting}

    def _admitted(self, number: int, queue: deque[Delivery], share: int) -> Admission[RowT]:
        """A quiet partition stops short of where it is to speak, so that no batch does both."""
        partition, later = self._partitions[number], deque[Delivery]()
        while partition.quiet is not None and queue and queue[-1][0] >= partition.quiet.until:
            later.appendleft(queue.pop())
        admission = admit(partition.place, queue, share, self._processor.decode, number in self._forgiven)
        queue.extend(later)
        return admission

    def _break_silence(self, queues: Mapping[int, deque[Delivery]], outcome: Outcome) -> None:
        """Quiet partitions that have come to where they are to speak do so from the next record on."""
        for number, partition in list(self._partitions.items()):
            quiet, queue = partition.quiet, queues.get(number)
            if quiet is None or number in self._flights:
                continue
            if partition.place.source < quiet.until and not (queue and queue[0][0] >= quiet.until):
                continue
            try:
                self.amend(number, quiet.changes)
                quiet.told()
            except (OwnershipLost, CommitFailed) as error:
                outcome.lost[number] = Loss(error, partition.place.source)
                self.close(number)
                continue
            partition.quiet = None
            # What it holds in memory of its store may have changed.
            self._processor.closed(number)
            self._processor.opened(number, partition.store)

    def amend(self, number: int, changes: Changes) -> None:
        """Store further values of an open partition that is at no commit, at the place where it is.

        Raises OwnershipLost and CommitFailed: close it then.
        """
        partition = self._partitions[number]
        if changes:
            values = {**changes, PLACE_KEY: partition.place.encode()}
            partition.journal.produce([], values)
            end = partition.journal.commit()
            partition.store.write({**values, BOOKMARK_KEY: partition.bookmark(end)})

    def _work(self, admitted: Mapping[int, Admission[RowT]], clock_ms: int) -> dict[int, Work[RowT]]:
        work = {}
        for number, partition in self._partitions.items():
            if number in self._flights:
                continue
            admission = admitted.get(number)
            rows = admission.rows if admission else []
            quiet = partition.quiet is not None
            due = [] if quiet else self._processor.due(number, clock_ms)
            if rows or due:
                place = admission.place if admission else partition.place
                work[number] = Work(rows, due, place.raw, place.raw_topic, quiet)
        return work

    def _has_moved(self, number: int, admitted: Mapping[int, Admission[RowT]]) -> bool:
        return number in admitted and admitted[number].place != self._partitions[number].place

    def _stored(self, number: int, wanted: Work[RowT]) -> dict[bytes, bytes | None]:
        keys = list(dict.fromkeys(self._processor.keys(wanted)))
        return dict(zip(keys, self._partitions[number].store.get_many(keys), strict=True))

    def _outputs(
        self, number: int, effect: Effects, admission: Admission[RowT], clock_ms: int
    ) -> list[Output]:
        if self._partitions[number].quiet is not None:
            return [output for output in effect.outputs if output.topic == self._options.source]
        return [*self._set_aside(number, admission, clock_ms), *effect.outputs]

    def _set_aside(self, number: int, admission: Admission[RowT], clock_ms: int) -> list[Output]:
        """Dead letters, which go out in the transaction that passes over their records."""
        outputs: list[Output] = []
        for (offset, value), error in admission.refused:
            record = RawRecord(self._options.source, number, offset, clock_ms, None, value)
            produce_dead_letter(
                set_aside(record, self._options.name, error, clock_ms),
                _LETTER_BYTES,
                lambda key, value, headers: outputs.append(
                    Output(self._options.dead_letters, key or b"", value, [(n, v or b"") for n, v in headers])
                ),
            )
        return outputs

    def _observe(self, effect: Effects, admission: Admission[RowT]) -> None:
        for outcome, count in (*effect.counts.items(), *admission.counts.items()):
            ROWS.labels(outcome).inc(count)
        for _, error in admission.refused:
            DEAD_LETTERS.labels(self._options.name, error.reason).inc()
        now = time.time()
        FRESHNESS.observe([max(0.0, now - sent / 1000) for sent in effect.broker_times])

    def _label(self, number: int) -> str:
        return f"{self._options.name}-{number}"


_NO_EFFECTS = Effects()
_RESERVED = frozenset({PLACE_KEY, BOOKMARK_KEY})
