"""The changelog on Kafka as standbys read it: one `read_committed` consumer for all copies of a worker."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from streams import kafka
from streams.engine.journal import Facts
from streams.engine.kafka_facts import FactsReader, JournalNames, chunk_of
from streams.engine.tail import Reading
from streams.errors import EngineError
from streams.settings import KafkaSettings

_BATCH = 500
_FILL_SECONDS = 0.1
"""How long a batch may fill once its first record is there: few large batches cost less than many."""

_ASK_SECONDS = 5.0

_TAIL: kafka.Config = {
    # The end of a partition is an event: markers of transactions may lie behind the last record.
    "enable.partition.eof": True,
    "fetch.wait.max.ms": 200,
    "fetch.message.max.bytes": 1_000_000,
    "queued.max.messages.kbytes": 16_384,
    "fetch.queue.backoff.ms": 20,
}


@contextmanager
def _answered() -> Iterator[None]:
    """Raises EngineError where the broker does not answer."""
    try:
        yield
    except kafka.KafkaException as error:
        raise EngineError(f"the broker does not answer: {error.args[0].str()}") from error


class KafkaTail:
    """See `streams.engine.tail.Tail`. For one thread."""

    def __init__(self, settings: KafkaSettings, names: JournalNames) -> None:
        self._topic = names.changelog
        self._reader = kafka.consumer(settings, f"{names.owner}-standby", _TAIL)
        self._facts = FactsReader(settings, names)
        self._assigned: set[int] = set()

    def facts(self, number: int) -> Facts:
        with _answered():
            return self._facts.read(self._reader, number)

    def undone(self, number: int, offset: int) -> bool | None:
        with _answered():
            return self._facts.undone(number, offset)

    def assign(self, offsets: Mapping[int, int]) -> None:
        gone, fresh = self._assigned - offsets.keys(), offsets.keys() - self._assigned
        if gone:
            self._reader.incremental_unassign([kafka.TopicPartition(self._topic, number) for number in gone])
        if fresh:
            self._reader.incremental_assign(
                [kafka.TopicPartition(self._topic, number, offsets[number]) for number in fresh]
            )
        self._assigned = set(offsets)

    def read(self, positions: Mapping[int, int], seconds: float) -> Reading:
        first = self._reader.poll(seconds)
        found: dict[int, list[kafka.Message]] = defaultdict(list)
        reading = Reading({}, set(), {})
        for message in () if first is None else (first, *self._reader.consume(_BATCH, _FILL_SECONDS)):
            number = message.partition()
            if number is not None and number in positions:
                found[number].append(message)
                self._sort(message, number, reading)
        for number, messages in found.items():
            if number not in reading.failed:
                chunk = chunk_of(messages, positions[number])
                if chunk.end > positions[number]:
                    reading.chunks[number] = chunk
        return reading

    def end(self, number: int) -> int:
        _, end = self._reader.get_watermark_offsets(kafka.TopicPartition(self._topic, number), cached=True)
        return end

    def ask_end(self, number: int) -> int | None:
        try:
            _, end = kafka.watermarks(self._reader, self._topic, number, _ASK_SECONDS)
        except kafka.KafkaException:
            return None
        return end

    def close(self) -> None:
        self._reader.close()

    def _sort(self, message: kafka.Message, number: int, reading: Reading) -> None:
        error = message.error()
        if error is None:
            reading.size += len(message)
            # What comes after the end was not seen yet.
            reading.level.discard(number)
        elif error.code() == kafka.KafkaError._PARTITION_EOF:
            reading.level.add(number)
        elif not kafka.may_pass(error):
            reading.failed[number] = error.str()
