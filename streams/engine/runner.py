"""The engine's own thread, and what hosts tell it: partitions that come and go, records, the end."""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

from streams.engine.engine import Engine, Loss, Outcome
from streams.engine.failures import converted, raise_it
from streams.engine.guard import Delivery
from streams.engine.journal import OpeningCancelled
from streams.engine.mailbox import Mailbox
from streams.engine.partition import Partition
from streams.engine.seat import NO_FLOW, Seat, Seek
from streams.engine.standby import NoStandbys
from streams.errors import EngineError, OwnershipLost
from streams.metrics import HOLES, QUEUE_DEPTH

RowT = TypeVar("RowT")
AnswerT = TypeVar("AnswerT")

_TICK_SECONDS = 0.02
_MEASURE_SECONDS = 10.0
_AGAIN_SECONDS = 1.0
_CHECK_SECONDS = 5.0
_OPENERS = 4
_TRIES = 5

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RunnerOptions:
    """`queued_records` is where `full` begins; `rest_seconds` how long a fenced partition is left alone.

    The rest must outlast the group's session timeout: a member that was away learns by then that its
    partitions are others' now, and does not fence their owners.
    """

    name: str
    queued_records: int = 256
    rest_seconds: float = 7.0
    interval_seconds: float = 0.0
    """Least time between two batches, for engines that serve throughput rather than freshness."""
    beat: Callable[[], None] = lambda: None
    check: Callable[[], None] = lambda: None
    """Called every few seconds, beside the engine. What it raises ends the engine."""


class Runner(Generic[RowT]):
    """Feeds one engine from its own thread. Public methods may be called from any thread.

    A record is delivered with the flow number of the seek that it was read after. So nothing that was read
    before a seek or an assignment can pass for what follows it, however long it lay in a host's queues.
    """

    def __init__(
        self, engine: Engine[RowT], options: RunnerOptions, standbys: NoStandbys | None = None
    ) -> None:
        self.standbys = NoStandbys() if standbys is None else standbys
        """For hosts that can tell workers what to copy. Started and stopped with the runner."""
        self.failure: EngineError | None = None
        """Why the thread ended, where it was not asked to: the host must end, too."""
        self._engine = engine
        self._options = options
        self._seats: dict[int, Seat] = {}
        self._flows = NO_FLOW
        self._taken = False
        self._suspended = False
        self._measured = 0.0
        self._next_step = 0.0
        self._seeks: SimpleQueue[Seek] = SimpleQueue()
        self._mailbox = Mailbox()
        self._lock = threading.Lock()
        """Held where a queue and its flow number must change together."""
        self._wake = threading.Event()
        self._room = threading.Event()
        self._room.set()
        self._stopping = False
        self._stopped = threading.Event()
        self._openers = ThreadPoolExecutor(_OPENERS, f"{options.name}-open")
        self._checker = threading.Thread(target=self._check, name=f"{options.name}-check", daemon=True)
        self._thread = threading.Thread(target=self._run, name=f"{options.name}-engine", daemon=True)

    def start(self) -> None:
        self.standbys.start()
        self._thread.start()
        self._checker.start()

    def stop(self, seconds: float) -> None:
        """End the batch in flight and close all partitions. Raises EngineError where that takes too long."""
        self._stopping = True
        self._stopped.set()
        self._wake.set()
        self._thread.join(seconds)
        self.standbys.stop()
        if self._thread.is_alive():
            raise EngineError(f"{self._options.name}: the engine did not end within {seconds:.0f} s")

    def take(self, partitions: Iterable[int]) -> "Future[None]":
        """These are ours in the group's new generation: open them, or read them again from their places."""
        numbers = sorted(partitions)
        return self._ask(lambda: self._take(numbers))

    def release(self, partitions: Iterable[int]) -> "Future[dict[int, int]]":
        """These are no longer ours: close them. Done when none has a batch in flight; gives their places."""
        numbers = sorted(partitions)
        return self._ask(lambda: self._release(numbers))

    def suspend(self) -> "Future[None]":
        """Forget what is queued and keep the partitions open until `take` or `release`."""
        return self._ask(self._suspend)

    def turn(self, engine: Engine[RowT]) -> "Future[None]":
        """Let another engine serve from here on: what is open is closed, and opened anew with it."""
        return self._ask(lambda: self._turn(engine))

    def seeks(self) -> Iterator[Seek]:
        """Seeks that the host is to carry out, each once, in this order."""
        while True:
            try:
                yield self._seeks.get_nowait()
            except Empty:
                return

    def current(self, seek: Seek) -> bool:
        """Whether a seek is still wanted."""
        seat = self._seats.get(seek.partition)
        return seat is not None and seat.flow == seek.flow

    def deliver(self, partition: int, flow: int, deliveries: Iterable[Delivery]) -> None:
        """Records in the order of the source; those of another flow than the present one are dropped."""
        with self._lock:
            seat = self._seats.get(partition)
            if seat is None or flow != seat.flow or flow == NO_FLOW:
                return
            seat.queue.extend(deliveries)
        if self.full():
            self._room.clear()
        self._wake.set()

    def full(self) -> bool:
        """Whether the host should deliver no more for now."""
        return self._queued() >= self._options.queued_records

    def wait_for_room(self, seconds: float) -> bool:
        """Wait until the host may deliver; false where that takes longer."""
        return self._room.wait(seconds)

    def places(self) -> dict[int, int]:
        """Source offset that comes next, by open partition: a hint for lag monitors."""
        return self._engine.places()

    def partitions(self) -> set[int]:
        """What the group has given us, open or not."""
        return set(self._seats)

    def ready(self) -> bool:
        """Whether the group has spoken, and all that it gave us is open."""
        return self._taken and self.failure is None and all(seat.open for seat in list(self._seats.values()))

    def check(self) -> None:
        """Raise what the thread failed with."""
        if self.failure is not None:
            raise self.failure

    def _ask(self, action: Callable[[], AnswerT]) -> "Future[AnswerT]":
        answer = self._mailbox.ask(action)
        self._wake.set()
        return answer

    def _run(self) -> None:
        try:
            while not self._stopping:
                self._options.beat()
                self._mailbox.serve()
                self._open_rested()
                if self._next_step <= time.monotonic() and self._step():
                    continue
                self._wake.wait(self._pause())
                self._wake.clear()
        except BaseException as error:
            _log.exception("%s: the engine ends", self._options.name)
            self.failure = converted(error)
        finally:
            self._end()

    def _pause(self) -> float:
        """Seconds until records that wait may be worked on, or until it is time to look what is due."""
        if not self._waiting():
            return _TICK_SECONDS
        return min(_TICK_SECONDS, max(0.0, self._next_step - time.monotonic()))

    def _check(self) -> None:
        while not self._stopped.wait(_CHECK_SECONDS):
            try:
                self._options.check()
            except Exception as error:
                self._ask(partial(raise_it, error))
                return

    def _step(self) -> bool:
        """One micro-batch. Returns whether more waits."""
        self._next_step = time.monotonic() + self._options.interval_seconds
        queues = {number: seat.queue for number, seat in self._seats.items() if seat.open}
        self._conclude(self._engine.step(queues, int(time.time() * 1000), self._wake.set))
        self._measure()
        if not self.full():
            self._room.set()
        return self._waiting()

    def _waiting(self) -> bool:
        """Whether there are records of partitions that are not at a commit."""
        return any(
            seat.open and seat.queue and not self._engine.busy(number) for number, seat in self._seats.items()
        )

    def _conclude(self, outcome: Outcome) -> None:
        for number, loss in outcome.lost.items():
            self._lose(number, loss)
        for number, offset in outcome.holes.items():
            HOLES.inc()
            self._miss(number, offset)
            _log.warning("%s-%d: hole before offset %d: reading again", self._options.name, number, offset)
            self._reread(number, offset)

    def _measure(self) -> None:
        QUEUE_DEPTH.labels(self._options.name).set(self._queued())
        if time.monotonic() - self._measured > _MEASURE_SECONDS:
            self._measured = time.monotonic()
            self._conclude(self._engine.rest())
            self._engine.tend()

    def _take(self, numbers: list[int]) -> None:
        self._taken, self._suspended = True, False
        for number in [] if self._stopping else numbers:
            seat = self._seats.get(number)
            if seat is None:
                self._seats[number] = Seat()
                self._open(number)
                continue
            self._conclude(self._engine.rest([number]))
            if seat.open:
                self._reread(number, self._engine.places()[number])
            elif seat.open_at is not None:
                self._open(number)

    def _release(self, numbers: list[int]) -> dict[int, int]:
        places = {}
        for number in numbers:
            seat = self._seats.pop(number, None)
            if seat is not None:
                seat.cancelled.set()
                place = self._engine.close(number)
                if place is not None:
                    places[number] = place
        return places

    def _turn(self, engine: Engine[RowT]) -> None:
        before, self._engine = self._engine, engine
        for number, seat in list(self._seats.items()):
            seat.cancelled.set()
            self._silence(number)
            # While the group is at it, nothing is opened: this says that it is to be.
            self._seats[number] = Seat(open_at=time.monotonic())
        before.close_all()

    def _suspend(self) -> None:
        self._suspended = True
        self._conclude(self._engine.rest())
        for number in self._seats:
            self._silence(number)

    def _silence(self, number: int, flow: int = NO_FLOW) -> None:
        with self._lock:
            self._seats[number].flow = flow
            self._seats[number].queue.clear()

    def _reread(self, number: int, offset: int) -> None:
        self._flows += 1
        self._silence(number, self._flows)
        self._seeks.put(Seek(number, offset, self._flows))

    def _open(self, number: int) -> None:
        seat = self._seats[number]
        seat.open_at = None
        self._openers.submit(self._open_aside, number, seat, self._engine)

    def _open_aside(self, number: int, seat: Seat, engine: Engine[RowT]) -> None:
        """In a thread of its own: restoring may take minutes, in which the others go on."""
        try:
            partition = engine.open(number, lambda: seat.cancelled.is_set() or self._stopping)
        except OpeningCancelled:
            return
        except BaseException as error:
            failure = error
            self._ask(lambda: self._fail_opening(number, seat, failure))
            return
        self._ask(lambda: self._adopt(seat, partition))

    def _adopt(self, seat: Seat, partition: Partition) -> None:
        number = partition.number
        if self._stopping or self._seats.get(number) is not seat:
            partition.close()
            return
        offset = self._engine.adopt(partition)
        self._reread(number, offset)
        # Who sees it open may count on its seek.
        seat.open = True
        _log.info("%s: open, from source offset %d", partition.label, offset)

    def _fail_opening(self, number: int, seat: Seat, error: BaseException) -> None:
        if self._seats.get(number) is not seat:
            return
        if not isinstance(error, OwnershipLost):
            raise error
        seat.open_at = time.monotonic() + self._options.rest_seconds

    def _lose(self, number: int, loss: Loss) -> None:
        """The log knows what became of the batch: open anew, and read on from what it says."""
        _log.warning("%s", loss.error)
        seat = self._seats[number]
        seat.open = False
        self._silence(number)
        if isinstance(loss.error, OwnershipLost):
            seat.open_at = time.monotonic() + self._options.rest_seconds
        else:
            self._stuck(number, loss.source, str(loss.error))
            seat.open_at = time.monotonic() + _AGAIN_SECONDS

    def _miss(self, number: int, offset: int) -> None:
        """A hole that is still there after some tries is in the log itself."""
        seat = self._seats[number]
        if seat.stuck_at == offset and seat.tries >= _TRIES and self._engine.forgive(number):
            return
        self._stuck(
            number,
            offset,
            "records are missing there; was the source cut by retention? Raise the retention, and set "
            "interests.skip_trimmed for one start, to go on without the lost events",
        )

    def _stuck(self, number: int, offset: int, reason: str) -> None:
        seat = self._seats[number]
        seat.tries = seat.tries + 1 if seat.stuck_at == offset else 1
        seat.stuck_at = offset
        if seat.tries > _TRIES:
            raise EngineError(
                f"{self._options.name}-{number}: cannot go on from source offset {offset}: {reason}"
            )

    def _open_rested(self) -> None:
        if self._suspended:
            # They may be others' already, and opening them would fence their owners.
            return
        now = time.monotonic()
        for number, seat in self._seats.items():
            if seat.open_at is not None and seat.open_at <= now:
                self._open(number)

    def _queued(self) -> int:
        return sum(len(seat.queue) for seat in list(self._seats.values()))

    def _end(self) -> None:
        self._stopping = True
        for seat in self._seats.values():
            seat.cancelled.set()
        self._openers.shutdown(wait=False, cancel_futures=True)
        self._mailbox.close()
        try:
            self._mailbox.serve()
            self._engine.close_all()
        except BaseException as error:
            self.failure = self.failure or converted(error)
