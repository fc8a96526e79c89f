"""Hosts the engine on a consumer group of confluent-kafka, and on nothing else.

librdkafka takes no assignor from outside, so nobody can say who is warm: this host keeps no standbys.
"""

import logging
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from typing import Generic, TypeVar

from streams import kafka
from streams.engine.guard import Delivery
from streams.engine.kafka_journal import settle_seconds
from streams.engine.runner import Runner
from streams.engine.seat import Seek
from streams.errors import EngineError
from streams.metrics import CONSUMER_LAG
from streams.settings import KafkaSettings
from streams.watchdog import no_beat

RowT = TypeVar("RowT")

_BATCH = 256
_POLL_SECONDS = 0.1
_BUSY_SECONDS = 1.0
_HINT_SECONDS = 1.0

_log = logging.getLogger(__name__)


class GroupHost(Generic[RowT]):
    """Reads `topic` as a member of `group`, and tells a runner what comes. `beat` is called at each step."""

    def __init__(
        self,
        settings: KafkaSettings,
        group: str,
        topic: str,
        runner: Runner[RowT],
        beat: Callable[[], None] = no_beat,
    ) -> None:
        self._topic = topic
        self._beat = beat
        self._runner = runner
        self._flows: dict[int, int] = {}
        self._next: dict[int, int] = {}
        """Offset behind the last one delivered, by partition."""
        self._wanted: dict[int, Seek] = {}
        """Seeks to be carried out, the last one of each partition."""
        self._hinted: dict[int, int] = {}
        self._next_hint = 0.0
        self._paused = False
        self._settle_seconds = settle_seconds(settings)
        self._consumer = kafka.consumer(settings, group)

    def run(self, stopped: Callable[[], bool]) -> None:
        """Work until `stopped()` or the engine fails; end the batch, commit the hint, leave the group.

        Raises EngineError.
        """
        self._runner.start()
        self._consumer.subscribe(
            [self._topic], on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._lost
        )
        try:
            while not stopped():
                self._beat()
                self._runner.check()
                self._seek()
                self._hold_back()
                self._deliver()
                self._hint()
        finally:
            try:
                self._runner.suspend().result(self._settle_seconds)
                self._commit(self._runner.places(), wait=True)
            finally:
                self._runner.stop(self._settle_seconds)
                self._consumer.close()
        self._runner.check()

    def _deliver(self) -> None:
        # `consume` alone would wait for a whole batch before it gave the first record away.
        first = self._consumer.poll(_POLL_SECONDS if not self._paused else _POLL_SECONDS / 10)
        if first is None:
            return
        found: dict[int, list[Delivery]] = defaultdict(list)
        for message in (first, *self._consumer.consume(_BATCH, 0)):
            error = message.error()
            if error is not None:
                self._bear(error)
            else:
                delivery = (message.offset() or 0, message.value() or b"")
                found[message.partition() or 0].append(delivery)
        for partition, deliveries in found.items():
            flow = self._flows.get(partition)
            if flow is not None:
                self._next[partition] = deliveries[-1][0] + 1
                self._runner.deliver(partition, flow, deliveries)

    def _seek(self) -> None:
        self._wanted.update({seek.partition: seek for seek in self._runner.seeks()})
        for seek in list(self._wanted.values()):
            if not self._runner.current(seek):
                del self._wanted[seek.partition]
            elif self._read_from(seek.partition, seek.offset):
                del self._wanted[seek.partition]
                self._flows[seek.partition] = seek.flow

    def _read_from(self, partition: int, offset: int) -> bool:
        """Whether what is read from now on begins there; where not yet, it is to be tried again."""
        target = kafka.TopicPartition(self._topic, partition, offset)
        try:
            self._consumer.seek(target)
            self._consumer.resume([target])
        except kafka.KafkaException as error:
            _log.info("%s-%d cannot be sought yet: %s", self._topic, partition, error.args[0].str())
            return False
        self._next[partition] = offset
        return True

    def _hold_back(self) -> None:
        """Records wait in the client while the engine is busy. Where that takes long, the partitions pause,
        since polling must go on; afterwards they are sought, because the client does not promise where a
        paused one goes on that was sought before."""
        room = self._runner.wait_for_room(_BUSY_SECONDS)
        if not room and not self._paused:
            self._paused = True
            self._consumer.pause(self._consumer.assignment())
        elif room and self._paused and all(self._read_from(*each) for each in list(self._next.items())):
            self._paused = False

    def _bear(self, error: kafka.KafkaError) -> None:
        if error.code() == kafka.KafkaError._AUTO_OFFSET_RESET:
            raise EngineError(
                f"{self._topic}: the place is no longer in the topic: {error.str()}; was it cut by retention?"
            )
        if error.fatal():
            raise EngineError(f"{self._topic}: {error.str()}")
        _log.warning("%s: %s", self._topic, error.str())

    def _assigned(self, consumer: kafka.Consumer, partitions: list[kafka.TopicPartition]) -> None:
        for partition in partitions:
            partition.offset = kafka.OFFSET_BEGINNING
        consumer.incremental_assign(partitions)
        # Paused until the engine has opened them and says where they go on.
        consumer.pause(partitions)
        self._runner.take(partition.partition for partition in partitions)

    def _revoked(self, consumer: kafka.Consumer, partitions: list[kafka.TopicPartition]) -> None:
        places = self._release(partitions)
        self._commit(places, wait=True)
        consumer.incremental_unassign(partitions)

    def _lost(self, consumer: kafka.Consumer, partitions: list[kafka.TopicPartition]) -> None:
        self._release(partitions)
        consumer.incremental_unassign(partitions)

    def _release(self, partitions: list[kafka.TopicPartition]) -> dict[int, int]:
        numbers = [partition.partition for partition in partitions]
        for number in numbers:
            for known in (self._flows, self._next, self._wanted, self._hinted):
                known.pop(number, None)
            with suppress(KeyError):
                CONSUMER_LAG.remove(self._topic, str(number))
        return self._runner.release(numbers).result(self._settle_seconds)

    def _hint(self) -> None:
        if time.monotonic() < self._next_hint:
            return
        self._next_hint = time.monotonic() + _HINT_SECONDS
        places = self._runner.places()
        self._commit(places, wait=False)
        for number, place in places.items():
            target = kafka.TopicPartition(self._topic, number)
            _, end = self._consumer.get_watermark_offsets(target, cached=True)
            # The marker of the last transaction is never delivered.
            CONSUMER_LAG.labels(self._topic, str(number)).set(max(0, end - place - 1))

    def _commit(self, places: dict[int, int], wait: bool) -> None:
        """Only a hint for monitors: nobody starts from the group's offsets."""
        news = {number: place for number, place in places.items() if self._hinted.get(number) != place}
        if not news:
            return
        offsets = [kafka.TopicPartition(self._topic, number, place) for number, place in news.items()]
        try:
            if wait:
                self._consumer.commit(offsets=offsets, asynchronous=False)
            else:
                self._consumer.commit(offsets=offsets, asynchronous=True)
        except kafka.KafkaException as error:
            _log.warning(
                "%s: the hint for lag monitors was not committed: %s", self._topic, error.args[0].str()
            )
        self._hinted.update(news)
