"""A producer for commands: every record's delivery is checked and counted."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from streams import kafka, reach
from streams.errors import TopicError
from streams.settings import Settings

FLUSH_SECONDS = 60.0
ROOM_SECONDS = 60.0


@dataclass(slots=True)
class Tally:
    """What became of the records. `places`: key to (partition, offset) of its last record."""

    sent: int = 0
    delivered: int = 0
    places: dict[bytes, tuple[int, int]] = field(default_factory=dict)

    @property
    def lost(self) -> int:
        return self.sent - self.delivered


class CheckedProducer:
    """Produces to one topic. `complain` is told each failure, with the `where` that the record came from.

    Raises TopicError, on making it, where the topic is missing or no broker answers.
    """

    def __init__(self, settings: Settings, topic: str, complain: Callable[[str], None]) -> None:
        self.tally = Tally()
        self._topic = topic
        self._complain = complain
        self._producer = kafka.producer(settings.kafka)
        reach.partitions(self._producer, settings, [topic])

    def send(self, where: str, key: bytes | None, value: bytes | None, keep_place: bool = False) -> None:
        """Queue a record. Waits while the queue is full; raises TopicError where that lasts ROOM_SECONDS."""

        def told(error: kafka.KafkaError | None, message: kafka.Message) -> None:
            if error is not None:
                self._complain(f"{where}: not delivered: {error.str()}")
                return
            self.tally.delivered += 1
            partition, offset = message.partition(), message.offset()
            if keep_place and key is not None and partition is not None and offset is not None:
                self.tally.places[key] = (partition, offset)

        self.tally.sent += 1
        deadline = time.monotonic() + ROOM_SECONDS
        while True:
            try:
                self._producer.produce(self._topic, value=value, key=key, on_delivery=told)
                break
            except BufferError:
                if time.monotonic() > deadline:
                    raise TopicError(f"{self._topic}: the broker takes no more records") from None
                self._producer.poll(0.1)
            except kafka.KafkaException as error:
                self._complain(f"{where}: not sent: {error.args[0].str()}")
                break
        self._producer.poll(0)

    def serve(self, seconds: float) -> None:
        """Let delivery reports come for so long."""
        self._producer.poll(seconds)

    def finish(self) -> Tally:
        """Wait until every record is delivered or given up, FLUSH_SECONDS at most."""
        left = self._producer.flush(FLUSH_SECONDS)
        if left:
            self._complain(f"{left} records were not acknowledged within {FLUSH_SECONDS:g} s")
        return self.tally
