"""Hosts the engine on Faust: group membership, assignment, fetching, timers, the order of start and end.

Not used of Faust: tables, changelog recovery, acknowledgements, its producer, its web server and its command.
The app lives in an event loop of the calling thread, which need not be the main one.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any, Generic, TypeVar, cast

import faust
from aiokafka.errors import KafkaError
from faust.app.base import BootStrategy
from faust.tables.manager import TableManager
from faust.types import TP
from yarl import URL

from streams import kafka
from streams.engine.guard import Delivery
from streams.engine.kafka_journal import settle_seconds
from streams.engine.placement import Claim, Told
from streams.engine.runner import Runner
from streams.engine.seat import Seek
from streams.errors import EngineError
from streams.interests.faust_consumer import EngineTransport
from streams.interests.faust_options import consumer_options
from streams.metrics import CONSUMER_LAG
from streams.settings import KafkaSettings
from streams.watchdog import no_beat

RowT = TypeVar("RowT")

_LOOK_SECONDS = 0.05
_ASK_SECONDS = 5.0
_REJOIN_SECONDS = 10.0
"""Between two requests for a new assignment: each holds the whole group up for a moment."""
_SILENCE_SECONDS = 1_800.0
"""How long a broker that does not answer is waited for, before the process gives up."""

_log = logging.getLogger(__name__)


class FaustHost(Generic[RowT]):
    """Reads `topic` as a member of `group`, and tells a runner what comes. `beat` is called at each step."""

    def __init__(
        self,
        settings: KafkaSettings,
        group: str,
        topic: str,
        runner: Runner[RowT],
        beat: Callable[[], None] = no_beat,
    ) -> None:
        self.beat = beat
        self.consumer_options = consumer_options(settings, group)
        self._settings = settings
        self._group = group
        self.topic = topic
        self._runner = runner
        self._standbys = runner.standbys
        self.rules = self._standbys.rules
        self._told = Told()
        self._owned: tuple[int, ...] = ()
        self._next_rejoin = 0.0
        self._settle_seconds = settle_seconds(settings)
        self._hinted: dict[TP, int] = {}

    def run(self, stopped: Callable[[], bool]) -> None:
        """Work until `stopped()` or something fails; end the batch, commit the hint, leave the group.

        Raises EngineError.
        """
        # It shows the engine's watchdog a living thread while the broker is waited for, too.
        self._runner.start()
        try:
            self._serve(stopped)
        finally:
            self._runner.stop(self._settle_seconds)
        self._runner.check()

    def _serve(self, stopped: Callable[[], bool]) -> None:
        began = time.monotonic()
        while self._broker_answers(stopped):
            with asyncio.Runner() as loop:
                if loop.run(self._work(stopped)):
                    return
            if time.monotonic() - began > _SILENCE_SECONDS:
                raise EngineError(f"{self._group}: Faust cannot reach the broker")

    # What the consumer asks for.

    def full(self) -> bool:
        return self._runner.full()

    def seeks(self) -> list[Seek]:
        return [seek for seek in self._runner.seeks() if self._runner.current(seek)]

    def deliver(self, partition: int, flow: int, deliveries: list[Delivery]) -> None:
        self._runner.deliver(partition, flow, deliveries)

    def hints(self) -> dict[TP, int]:
        """Places that were not told yet."""
        places = {TP(self.topic, number): place for number, place in self._runner.places().items()}
        news = {
            partition: place for partition, place in places.items() if self._hinted.get(partition) != place
        }
        self._hinted = places
        return news

    def show_lag(self, partition: int, end: int) -> None:
        place = self._runner.places().get(partition)
        if place is not None:
            # The marker of the last transaction is never delivered.
            CONSUMER_LAG.labels(self.topic, str(partition)).set(max(0, end - place - 1))

    # What the assignor asks and tells, in the consumer's thread.

    def claim(self) -> Claim:
        return Claim(self._told.epoch, self._owned, self._standbys.held())

    def tell(self, owned: tuple[int, ...], told: Told) -> None:
        self._owned, self._told = owned, told

    # What the app tells.

    async def suspend(self) -> None:
        """The group is about to take partitions away, perhaps to give them back at once."""
        await self._settled(self._runner.suspend())

    async def assign(self, partitions: set[TP]) -> None:
        numbers = {partition.partition for partition in partitions if partition.topic == self.topic}
        gone = self._runner.partitions() - numbers
        await self._settled(self._runner.release(gone))
        for number in gone:
            self._hinted.pop(TP(self.topic, number), None)
        # Their stores are closed now, so that the standbys can go on with them.
        self._standbys.follow(set(self._told.standbys) - numbers, self._told.awaited, numbers)
        # Opening goes on in the background: the group waits for this callback, and heartbeats with it.
        await self._settled(self._runner.take(numbers))

    async def _work(self, stopped: Callable[[], bool]) -> bool:
        """False where the broker went away before Faust had started: it is to be begun anew."""
        app = EngineApp(self, self._settings, self._group)
        try:
            started = await self._start(app, stopped)
            while started and not (stopped() or app.crashed or self._runner.failure):
                await asyncio.sleep(_LOOK_SECONDS)
                await self._take_over(app)
            await asyncio.wait_for(app.stop(), self._settle_seconds)
        except Exception as error:
            reason = app.crash_reason or error
            raise EngineError(f"{self._group}: Faust failed: {reason!r}") from reason
        if started and app.crashed:
            raise EngineError(f"{self._group}: Faust failed: {app.crash_reason!r}") from app.crash_reason
        return started

    async def _start(self, app: "EngineApp", stopped: Callable[[], bool]) -> bool:
        """Start Faust, or begin to end where `stopped()` comes first. False where the broker went away."""
        starting = asyncio.ensure_future(app.start())
        while not (starting.done() or stopped() or self._runner.failure):
            self.beat()
            await asyncio.sleep(_LOOK_SECONDS)
        starting.cancel()
        try:
            await starting
        except asyncio.CancelledError:
            return True
        except (KafkaError, OSError) as error:
            _log.warning("%s: the broker went away at the start: %r", self._group, error)
            return False
        return True

    def _broker_answers(self, stopped: Callable[[], bool]) -> bool:
        """Wait for the broker, without which Faust would crash; false where `stopped()` comes first.

        Raises EngineError when it has not answered for long.
        """
        admin, began = kafka.admin_client(self._settings), time.monotonic()
        while not stopped():
            self.beat()
            try:
                admin.list_topics(timeout=_ASK_SECONDS)
            except kafka.KafkaException as error:
                silent = time.monotonic() - began
                if silent > _SILENCE_SECONDS:
                    raise EngineError(f"the broker has not answered for {silent:.0f} s") from error
                _log.warning("waiting for the broker since %.0f s", silent)
            else:
                return True
        return False

    async def _settled(self, answer: Any) -> None:
        await asyncio.wait_for(asyncio.wrap_future(answer), self._settle_seconds)

    async def _take_over(self, app: "EngineApp") -> None:
        """What this worker waits for is level: a new assignment gives it its part."""
        if not app.rebalancing and self._standbys.due() and time.monotonic() > self._next_rejoin:
            self._next_rejoin = time.monotonic() + _REJOIN_SECONDS
            _log.info("%s: copies are level: asking the group for %s", self._group, self._told.awaited)
            await app.rejoin()


class _Boot(BootStrategy):
    enable_kafka_producer = False
    enable_web = False
    enable_sensors = False


class _Tables(TableManager):
    """No tables: there is nothing to wait for, where Faust waits a second."""

    logger = logging.getLogger("faust.tables")

    async def on_start(self) -> None:
        await self._update_channels()
        await self.recovery.start()


class EngineApp(faust.App):
    """A Faust app without agents and tables: records go from its consumer to the sink."""

    BootStrategy = _Boot
    logger = logging.getLogger("faust.app")

    def __init__(self, sink: FaustHost[Any], settings: KafkaSettings, group: str) -> None:
        self.sink = sink
        session = settings.session_timeout_ms / 1000
        super().__init__(
            group,
            broker=[URL(f"kafka://{server}") for server in settings.bootstrap_servers.split(",")],
            TableManager=_Tables,
            store="memory://",
            broker_session_timeout=session,
            broker_request_timeout=max(20.0, session),
            broker_commit_interval=1.0,
            stream_wait_empty=False,
            stream_recovery_delay=0.0,
            topic_disable_leader=True,
            topic_allow_declare=False,
            web_enabled=False,
        )
        self.topics.add(self.topic(sink.topic, key_type=bytes, value_type=bytes, acks=False))

    async def rejoin(self) -> None:
        if self._consumer is not None:
            await cast(Any, self._consumer)._thread.rejoin()

    def _new_transport(self) -> EngineTransport:
        return EngineTransport(self.conf.broker_consumer, self)

    def on_rebalance_return(self) -> None:
        """Faust would tell its sensors, which do not run."""

    def on_rebalance_end(self) -> None:
        self.rebalancing = False

    def _create_directories(self) -> None:
        """Faust would make a data folder, for tables."""

    async def _on_partitions_revoked(self, revoked: set[TP]) -> None:
        await self.sink.suspend()
        await super()._on_partitions_revoked(revoked)

    async def _on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        await super()._on_partitions_assigned(assigned, generation_id)
        if not self.should_stop:
            await self.sink.assign(assigned)

    async def _stop_consumer(self) -> None:
        await self.sink.suspend()
        if self._consumer is not None and self._consumer.started and not self.crashed:
            await self._consumer.commit()
        await super()._stop_consumer()
