"""The journal on Kafka: one transactional producer per partition, whose id fences the owner before."""

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from streams import kafka
from streams.engine.journal import Cancelled, Changes, Chunk, Facts, OpeningCancelled
from streams.engine.kafka_facts import FactsReader, JournalNames, chunk_of
from streams.engine.processor import Output
from streams.errors import CommitFailed, EngineError, OwnershipLost
from streams.settings import KafkaSettings
from streams.topics import SilentCluster

_CHUNK_RECORDS = 1_000
_READ_SECONDS = 0.2
_FILL_SECONDS = 0.005
"""How long a batch may fill once its first record is there."""
_MARKER_SECONDS = 2.0
"""How long after a transaction the last stable offset may lie behind its marker."""
_SILENCE_SECONDS = 1_800.0
"""How long an opening bears a broker that does not answer, before it gives up."""

_FENCED = (
    kafka.KafkaError._FENCED,
    kafka.KafkaError.PRODUCER_FENCED,
    kafka.KafkaError.INVALID_PRODUCER_EPOCH,
)

__all__ = ["JournalNames", "KafkaJournal", "settle_seconds"]

_log = logging.getLogger(__name__)


def settle_seconds(settings: KafkaSettings) -> float:
    """Longer than any batch takes that waits for a silent broker: it gives its transaction up before."""
    return 3 * settings.transaction_timeout_ms / 1000 + 10


class KafkaJournal:
    """See `streams.engine.journal.Journal`."""

    def __init__(self, settings: KafkaSettings, names: JournalNames, partition: int) -> None:
        self._settings = settings
        self._names = names
        self._partition = partition
        self._label = f"{names.owner}-{partition}"
        self._producer: kafka.Producer | None = None
        self._reader: kafka.Consumer | None = None
        self._facts: FactsReader | None = None
        self._patience: _Patience | None = None
        self._landed: int | None = None
        self._end = 0

    def fence(self, cancelled: Cancelled) -> Facts:
        # A commit waits for no linger: until then, records gather in large batches.
        self._producer = kafka.producer(self._settings, self._label, {"linger.ms": 20})
        self._patience = patience = _Patience(self._label, cancelled)
        while True:
            try:
                self._producer.init_transactions(1.0)
                break
            except kafka.KafkaException as error:
                patience.bear(error)
        self._reader = kafka.consumer(self._settings, f"{self._names.owner}-restore", _RESTORE)
        self._facts = facts = FactsReader(self._settings, self._names)
        forgotten: int | None = None
        while True:
            try:
                found = facts.read(self._reader, self._partition)
                if forgotten is not None or not self._forgotten(facts, found.changelog_end):
                    return replace(found, forgotten=forgotten)
                self._abort_forgotten(facts.output_partitions())
                forgotten = found.changelog_end
            except (kafka.KafkaException, SilentCluster) as error:
                patience.bear(error)

    def undone(self, offset: int) -> bool | None:
        if self._facts is None or self._patience is None:
            raise EngineError(f"{self._label}: the journal must be fenced before it is asked")
        while True:
            try:
                return self._facts.undone(self._partition, offset)
            except (kafka.KafkaException, SilentCluster) as error:
                self._patience.bear(error)

    def replay(self, start: int, end: int, cancelled: Cancelled) -> Iterator[Chunk]:
        reader, self._reader = self._reader, None
        if reader is None:
            raise EngineError(f"{self._label}: the journal must be fenced before it is read")
        try:
            reader.assign([kafka.TopicPartition(self._names.changelog, self._partition, start)])
            patience = _Patience(self._label, cancelled)
            position = start
            while position < end:
                chunk = chunk_of(_messages(reader), position)
                if chunk.end == position:
                    patience.bear(None)
                    continue
                patience.reset()
                position = chunk.end
                if chunk.records:
                    yield chunk
        finally:
            reader.close()

    def produce(self, outputs: Sequence[Output], changes: Changes) -> None:
        producer = self._open_producer()
        try:
            producer.begin_transaction()
            send = producer.produce
            for output in outputs:
                rest: dict[str, Any] = {"headers": list(output.headers)} if output.headers else {}
                try:
                    send(output.topic, output.value, output.key, **rest)
                except BufferError:
                    self._send(output.topic, output.value, output.key, **rest)
            self._landed = None
            left = len(changes)
            topic, place = self._names.changelog, dict[str, Any](partition=self._partition)
            for key, value in changes.items():
                left -= 1
                rest = place if left else {**place, "on_delivery": self._delivered}
                try:
                    send(topic, value, key, **rest)
                except BufferError:
                    self._send(topic, value, key, **rest)
        except kafka.KafkaException as error:
            raise self._failure(error) from error

    def flush(self, seconds: float) -> None:
        """Wait until what was produced is there, or cannot be: the end of the transaction tells why."""
        # Reports that come together with a fatal error break each other.
        with suppress(kafka.KafkaException, SystemError):
            self._open_producer().flush(seconds)

    def commit(self) -> int:
        producer = self._open_producer()
        give_up = time.monotonic() + 2 * self._settings.transaction_timeout_ms / 1000
        self.flush(give_up - time.monotonic())
        if self._landed is not None and self._landed < self._end:
            raise CommitFailed(
                f"{self._label}: the changelog is shorter than it was, and what follows would not fit to it"
            )
        while True:
            try:
                producer.commit_transaction(max(0.1, give_up - time.monotonic()))
                break
            except kafka.KafkaException as error:
                if not error.args[0].retriable() or time.monotonic() > give_up:
                    raise self._failure(error) from error
        producer.poll(0)
        if self._landed is None:
            raise EngineError(
                f"{self._label}: a transaction was committed without a report of its last record"
            )
        self._end = self._landed + 1
        return self._end

    def close(self) -> None:
        if self._reader is not None:
            self._reader.close()
            self._reader = None
        if self._producer is not None:
            # Without this the client would wait for what it can no longer deliver.
            self._producer.purge()
            self._producer = None

    def _forgotten(self, facts: FactsReader, stable: int) -> bool:
        """Whether records lie behind the last stable offset for good, though no transaction is open any more.

        A broker without replicas leaves them so where it stops, or is killed, just when a transaction ends:
        it notes the end and skips the markers.
        """
        give_up = time.monotonic() + _MARKER_SECONDS
        reader = self._reader
        assert reader is not None
        while facts.written_end(self._partition) > stable:
            if time.monotonic() > give_up:
                return True
            time.sleep(0.1)
            _, stable = kafka.watermarks(reader, self._names.changelog, self._partition, _MARKER_SECONDS)
        return False

    def _abort_forgotten(self, places: Sequence[tuple[str, int]]) -> None:
        """Our next commit would commit them, too, and they are about to be done again: abort them."""
        _log.warning("%s: a broker forgot to end a transaction, which is aborted now", self._label)
        producer = self._open_producer()
        producer.begin_transaction()
        for topic, number in [*places, (self._names.changelog, self._partition)]:
            self._send(topic, None, b"", partition=number)
        self.flush(self._settings.transaction_timeout_ms / 1000)
        producer.abort_transaction(self._settings.transaction_timeout_ms / 1000)

    def _send(self, topic: str, value: bytes | None, key: bytes, **rest: Any) -> None:
        """The producer's queue is full: it empties as the broker acknowledges."""
        producer = self._open_producer()
        give_up = time.monotonic() + self._settings.transaction_timeout_ms / 1000
        while True:
            try:
                producer.produce(topic, value, key, **rest)
                return
            except BufferError:
                if time.monotonic() > give_up:
                    raise CommitFailed(f"{self._label}: the broker takes no records") from None
                producer.poll(0.05)

    def _delivered(self, error: kafka.KafkaError | None, message: kafka.Message) -> None:
        if error is None:
            self._landed = message.offset()

    def _open_producer(self) -> kafka.Producer:
        if self._producer is None:
            raise EngineError(f"{self._label}: the journal is closed")
        return self._producer

    def _failure(self, error: kafka.KafkaException) -> EngineError:
        """Fenced or not, nothing is retried here: the log itself knows what has happened."""
        cause = error.args[0]
        if cause.code() in _FENCED:
            return OwnershipLost(f"{self._label}: another process owns the partition now")
        return CommitFailed(f"{self._label}: the transaction did not go through: {cause.str()}")


_RESTORE: kafka.Config = {
    "enable.partition.eof": True,
    "fetch.wait.max.ms": 10,
    "fetch.message.max.bytes": 4_000_000,
    "queued.max.messages.kbytes": 16_384,
    # A full queue is empty again long before librdkafka's second is over.
    "fetch.queue.backoff.ms": 5,
}


class _Patience:
    """Bears failures that may pass, until it is cancelled or the broker has been silent for too long."""

    def __init__(self, label: str, cancelled: Cancelled) -> None:
        self._label = label
        self._cancelled = cancelled
        self.reset()

    def reset(self) -> None:
        self._since = time.monotonic()
        self._said = self._since

    def bear(self, error: kafka.KafkaException | SilentCluster | None) -> None:
        """Return where trying again may help; raise OpeningCancelled or EngineError."""
        if self._cancelled():
            raise OpeningCancelled(self._label)
        if isinstance(error, kafka.KafkaException):
            if error.args[0].code() in _FENCED:
                raise OwnershipLost(f"{self._label}: another process has opened the partition meanwhile")
            if not kafka.may_pass(error.args[0]):
                raise EngineError(f"{self._label}: cannot be opened: {error.args[0].str()}") from error
        now = time.monotonic()
        if now - self._since > _SILENCE_SECONDS:
            raise EngineError(f"{self._label}: the broker has not answered for {now - self._since:.0f} s")
        if now - self._said > 5.0:
            self._said = now
            _log.warning("%s: waiting for the broker since %.0f s", self._label, now - self._since)
        if error is not None:
            time.sleep(0.05)


def _messages(reader: kafka.Consumer) -> list[kafka.Message]:
    """What is there, without waiting for the batch to be full: after the last record nothing comes."""
    first = reader.poll(_READ_SECONDS)
    return [] if first is None else [first, *reader.consume(_CHUNK_RECORDS - 1, _FILL_SECONDS)]
