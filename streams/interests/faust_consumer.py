"""What Faust reads with: its consumer over aiokafka, but for the parts that would lose or repeat records.

Faust 0.15 keeps read offsets, gaps and acknowledgements of its own. It filters what it delivers by them, and
resumes partitions before it has sought them, so it drops records and commits beyond them. Here the consumer
delivers everything it fetches, straight to the engine, whose place alone says what comes next.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any, Protocol, cast

import aiokafka
from aiokafka.errors import ConsumerStoppedError, IllegalStateError, KafkaError, NoOffsetForPartitionError
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from mode.threads import WorkerThread

from streams.engine.guard import Delivery
from streams.engine.seat import NO_FLOW, Seek
from streams.interests.faust_assignor import Member, WarmAssignor

FETCH_WAIT_MS = 50
"""How long the broker may hold a fetch that has nothing to give; records that come end it at once.

One fetch is in flight a broker, and a seek waits for it: so a long wait would delay what is sought.
"""

_FETCH_SECONDS = 0.2
_BUSY_SECONDS = 0.002
_IDLE_SECONDS = 0.02
_BATCH_RECORDS = 256

_log = logging.getLogger(__name__)


class Sink(Member, Protocol):
    """What the consumer asks of the host."""

    topic: str
    consumer_options: Mapping[str, Any]
    beat: Callable[[], None]

    def full(self) -> bool: ...

    def seeks(self) -> list[Seek]: ...

    def deliver(self, partition: int, flow: int, deliveries: list[Delivery]) -> None: ...

    def hints(self) -> dict[TP, int]: ...

    def show_lag(self, partition: int, end: int) -> None: ...


class _Thread(WorkerThread):
    """One that is left over keeps no process alive that has failed, as a member that does nothing."""

    def __init__(self, *args: Any, **rest: Any) -> None:
        super().__init__(*args, **rest)
        self.daemon = True


class EngineConsumerThread(driver.AIOKafkaConsumerThread):
    """The thread in which aiokafka runs."""

    Worker = _Thread
    logger = logging.getLogger("faust.consumer")

    def _create_worker_consumer(self, transport: Any) -> aiokafka.AIOKafkaConsumer:
        sink = cast(EngineConsumer, self.consumer).sink
        return aiokafka.AIOKafkaConsumer(
            **sink.consumer_options,
            partition_assignment_strategy=[WarmAssignor(sink)],
            isolation_level="read_committed",
            auto_offset_reset="none",
            enable_auto_commit=False,
            fetch_max_wait_ms=FETCH_WAIT_MS,
            max_partition_fetch_bytes=4 * 1024 * 1024,
            max_poll_records=_BATCH_RECORDS,
        )

    async def rejoin(self) -> None:
        """Ask the group for a new assignment. aiokafka has no call of its own for it."""
        await self.call_thread(self._request_rejoin)

    async def _request_rejoin(self) -> None:
        self._ensure_consumer()._coordinator.request_rejoin()

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        """A hint for lag monitors, from which nobody starts: that it fails harms nothing."""
        try:
            places = {aiokafka.TopicPartition(*partition): place for partition, place in offsets.items()}
            await self._ensure_consumer().commit(places)
        except (KafkaError, IllegalStateError) as error:
            _log.warning("the hint for lag monitors was not committed: %r", error)
            return False
        return True


class EngineConsumer(driver.Consumer):
    """One loop seeks and fetches in turn, so a batch never mixes what came before a seek and after it."""

    logger = logging.getLogger("faust.consumer")

    def __init__(self, *args: Any, **rest: Any) -> None:
        super().__init__(*args, **rest)
        self._flows: dict[TP, int] = {}

    @property
    def sink(self) -> Sink:
        return cast(Sink, cast(Any, self.app).sink)

    def _new_consumer_thread(self) -> EngineConsumerThread:
        return EngineConsumerThread(self, loop=self.loop, beacon=self.beacon)

    async def _drain_messages(self, fetcher: Any) -> None:
        try:
            await self._drain(fetcher)
        except asyncio.CancelledError:
            # Faust would take it for a crash where a rebalance goes on just then.
            if not (fetcher.should_stop or self._given_up()):
                raise

    async def _drain(self, fetcher: Any) -> None:
        while not (self.should_stop or fetcher.should_stop):
            self.sink.beat()
            if self.sink.full():
                await asyncio.sleep(_BUSY_SECONDS)
                continue
            if self.flow_active:
                await self._carry_out_seeks()
            if not self._flows or not self.flow_active:
                await asyncio.sleep(_IDLE_SECONDS)
                continue
            try:
                records = await self._getmany(set(self._flows), _FETCH_SECONDS)
            except ConsumerStoppedError:
                return
            except NoOffsetForPartitionError:
                # Of the time before the seek: nothing was committed yet, and nothing need be.
                continue
            for partition, batch in records.items():
                found = [(record.offset, record.value or b"") for record in batch]
                self.sink.deliver(partition.partition, self._flows.get(partition, NO_FLOW), found)

    def _given_up(self) -> bool:
        """Whether it is the thread that fetches which ends, and not this task that is cancelled."""
        task = asyncio.current_task()
        return bool(self.should_stop) and not (task is not None and task.cancelling())

    async def _carry_out_seeks(self) -> None:
        for seek in self.sink.seeks():
            partition = TP(self.sink.topic, seek.partition)
            try:
                await self._thread.seek_wait({partition: seek.offset})
            except IllegalStateError:
                # The group has taken the partition away, and will say so, or give it again.
                self._flows.pop(partition, None)
                continue
            self._flows[partition] = seek.flow

    async def perform_seek(self) -> None:
        """Faust would go to the committed offsets here."""

    async def force_commit(self, topics: Any = None, start_new_transaction: bool = True) -> bool:
        """Faust would commit what was acknowledged; it calls this once in a commit interval."""
        assigned = self.assignment()
        for partition in assigned:
            self.sink.show_lag(partition.partition, self.highwater(partition) or 0)
        offsets = {
            partition: place for partition, place in self.sink.hints().items() if partition in assigned
        }
        return bool(offsets) and bool(await self._commit(offsets))

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Faust would judge by acknowledgements, of which there are none; the watchdog judges instead."""


class EngineTransport(driver.Transport):
    """Faust's transport with this consumer."""

    Consumer = EngineConsumer
