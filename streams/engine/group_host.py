"""Hosts the engine on a consumer group of confluent-kafka, and on nothing else."""

import logging
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Generic, TypeVar

from streams import kafka
from streams.engine.guard import Delivery
from streams.engine.runner import NO_FLOW, Runner
from streams.errors import EngineError
from streams.metrics import CONSUMER_LAG
from streams.settings import KafkaSettings

RowT = TypeVar("RowT")

_BATCH = 256
_POLL_SECONDS = 0.1
_HINT_SECONDS = 1.0
_SETTLE_SECONDS = 40.0
"""Longer than any commit may take."""

_log = logging.getLogger(__name__)


class GroupHost(Generic[RowT]):
    """Reads `topic` as a member of `group`, and tells a runner what comes."""

    def __init__(self, settings: KafkaSettings, group: str, topic: str, runner: Runner[RowT]) -> None:
        self._topic = topic
        self._runner = runner
        self._flows: dict[int, int] = {}
        self._hinted: dict[int, int] = {}
        self._next_hint = 0.0
        self._paused = False
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
                self._runner.check()
                self._seek()
                self._hold_back()
                self._deliver()
                self._hint()
        finally:
            try:
                self._runner.suspend().result(_SETTLE_SECONDS)
                self._commit(self._runner.places(), wait=True)
            finally:
                self._runner.stop(_SETTLE_SECONDS)
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
            self._runner.deliver(partition, self._flows.get(partition, NO_FLOW), deliveries)

    def _seek(self) -> None:
        for seek in self._runner.seeks():
            if not self._runner.current(seek):
                continue
            target = kafka.TopicPartition(self._topic, seek.partition, seek.offset)
            try:
                self._consumer.seek(target)
                self._consumer.resume([target])
            except kafka.KafkaException as error:
                # The group has taken the partition away, and will say so, or give it again.
                _log.warning("seek of partition %d: %s", seek.partition, error.args[0].str())
                continue
            self._flows[seek.partition] = seek.flow

    def _hold_back(self) -> None:
        """Records wait in the client while the engine is busy; polling must go on all the same."""
        room = self._runner.wait_for_room(1.0)
        if room == self._paused:
            self._paused = not room
            owned = [kafka.TopicPartition(self._topic, number) for number in self._flows]
            (self._consumer.resume if room else self._consumer.pause)(owned)

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
            self._flows.pop(number, None)
            self._hinted.pop(number, None)
            CONSUMER_LAG.remove(self._topic, str(number))
        return self._runner.release(numbers).result(_SETTLE_SECONDS)

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
