"""The producing side: what a batch writes and what it consumed, in one Kafka transaction."""

import logging
import os
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any, NoReturn

from streams.dead_letters import produce_dead_letter
from streams.encode.apart import CallHangs, call_apart
from streams.encode.stage import Outcome
from streams.engine.faults import fault_from
from streams.errors import EngineError, OwnershipLost, PenchantError
from streams.kafka import Config, KafkaError, KafkaException, Producer, TopicPartition, producer
from streams.settings import Settings

_CALL_SECONDS = 10.0
_FULL_SECONDS = 0.05
PATIENCE_SECONDS = 1_800.0
"""How long a broker that is away is waited for, before the process ends."""

_log = logging.getLogger(__name__)

_FENCED = (KafkaError._FENCED, KafkaError.PRODUCER_FENCED, KafkaError.INVALID_PRODUCER_EPOCH)

Offsets = list[TopicPartition]
Headers = list[tuple[str, bytes | None]]


class TransactionAborted(PenchantError):
    """The batch did not become visible, or nobody knows: the worker goes back to the committed offsets."""


class TransactionalSink:
    """One transaction per batch. `beat` is called while waiting for the broker.

    A producer that failed for good is replaced by a new one under the same id, which aborts what was left
    open; after it nobody knows how the last transaction ended, so that the committed offsets must be read
    again. Only one that was fenced within its transaction's time ends the worker: another has its id.
    """

    def __init__(
        self, settings: Settings, transactional_id: str, dead_letter_bytes: int, beat: Callable[[], None]
    ) -> None:
        self._kafka = settings.kafka
        self._topics = settings.topics
        self._id = transactional_id
        self._dead_letter_bytes = dead_letter_bytes
        self._beat = beat
        self._timeout = settings.kafka.transaction_timeout_ms / 1000
        self._begun = 0.0
        self._fault = fault_from(os.environ)
        self._producer = self._make()

    def open(self) -> None:
        """Take the transactional id over: whatever was left open under it is aborted, its owner fenced.

        Waits for a broker that is away. Raises EngineError where that does not help.
        """
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            current = self._producer
            try:
                self._apart(partial(current.init_transactions, _CALL_SECONDS), 3 * _CALL_SECONDS)
            except CallHangs as error:
                cause = str(error)
                self._discard()
            except KafkaException as error:
                cause = _cause(error).str()
                if not _cause(error).retriable():
                    raise EngineError(f"no transaction can be begun: {cause}") from error
            else:
                return
            if time.monotonic() > deadline:
                raise EngineError(f"no transaction can be begun: {cause}")
            _log.warning("init_transactions: %s; trying again", cause)

    def commit(self, outcome: Outcome, offsets: Offsets, metadata: object) -> None:
        """Write the outcome and the offsets, or nothing: see `transact`."""
        self.transact(partial(self._produce, outcome=outcome), offsets, metadata)

    def transact(self, write: Callable[[Producer], None], offsets: Offsets, metadata: object) -> None:
        """What `write` puts, and the offsets, in one transaction, or nothing.

        `write` runs in a thread that may be left behind: it keeps to the producer that it is given. It may
        raise TransactionAborted.
        Raises TransactionAborted where the worker may go on from the committed offsets, EngineError where
        it may not.
        """
        self._begun = time.monotonic()
        try:
            work = partial(self._transact, self._producer, write, offsets, metadata)
            self._apart(work, 4 * self._timeout)
        except CallHangs as error:
            _log.warning("the transaction hangs: %s", error)
            self._replace(str(error))
        except TransactionAborted as error:
            self._abort(KafkaError(KafkaError._STATE, str(error)))
        except KafkaException as error:
            self._abort(_cause(error))

    def finish(
        self, write: Callable[[Producer], None], offsets: Offsets, metadata: object, commit: bool
    ) -> None:
        """What `write` puts, and the offsets, in a transaction that is committed or aborted.

        What a broker forgot to end of this producer in the same places ends with it. Raises EngineError.
        """
        try:
            self._apart(partial(self._finish, write, offsets, metadata, commit), 4 * self._timeout)
        except KafkaException as error:
            raise EngineError(f"a transaction that hangs cannot be ended: {_cause(error).str()}") from error
        except CallHangs as error:
            raise EngineError(f"a transaction that hangs cannot be ended: {error}") from error

    def close(self) -> None:
        """Drop what is not sent; a transaction that is open is left to the next `open` under the id."""
        _bury(self._producer)

    def _transact(
        self, client: Producer, write: Callable[[Producer], None], offsets: Offsets, metadata: object
    ) -> None:
        fault = self._fault

        fault(1)  # 1. Begin.
        client.begin_transaction()

        fault(2)  # 2. What came of the batch: packs, encoded items, copies, dead letters.
        write(client)

        fault(3)  # 3. The consumed offsets, which the group's coordinator refuses from who lost them.
        client.send_offsets_to_transaction(offsets, metadata, _CALL_SECONDS)

        fault(4)  # 4. Commit; all that was produced is out and acknowledged before.
        client.commit_transaction(_CALL_SECONDS)
        fault(5)

    def _finish(
        self, write: Callable[[Producer], None], offsets: Offsets, metadata: object, commit: bool
    ) -> None:
        client = self._producer
        client.begin_transaction()
        write(client)
        if offsets:
            client.send_offsets_to_transaction(offsets, metadata, _CALL_SECONDS)
        # An abort would drop what is not sent yet, and a partition without a record gets no marker.
        client.flush(self._timeout)
        (client.commit_transaction if commit else client.abort_transaction)(_CALL_SECONDS)

    def _apart(self, call: Callable[[], None], seconds: float) -> None:
        self._beat()
        call_apart(call, seconds, self._beat)

    def _make(self) -> Producer:
        overrides: Config = {
            # All of a transaction goes out at its commit, so that lingering would only add to the latency.
            "linger.ms": 0,
            # The coordinator asks to try again while it still writes the last transaction's markers.
            "retry.backoff.ms": 2,
            "message.max.bytes": max(1_000_000, self._dead_letter_bytes),
        }
        return producer(self._kafka, self._id, overrides)

    def _produce(self, client: Producer, outcome: Outcome) -> None:
        for partition, value in outcome.packs:
            self.put(client, self._topics.interactions_encoded, value=value, partition=partition)
        for key, content in outcome.items:
            self.put(client, self._topics.items_encoded, key=key, value=content)
        for letter in outcome.dead_letters:
            produce_dead_letter(letter, self._dead_letter_bytes, partial(self._put_dead_letter, client))

    def _put_dead_letter(
        self, client: Producer, key: bytes | None, value: bytes | None, headers: Headers
    ) -> None:
        self.put(client, self._topics.dead_letters, key=key, value=value, headers=headers)

    def put(self, client: Producer, topic: str, **record: Any) -> None:
        """A full queue empties as the broker acknowledges, or as its records time out."""
        deadline = time.monotonic() + 2 * self._timeout
        while True:
            try:
                client.produce(topic, **record)
            except BufferError:
                if time.monotonic() > deadline:
                    raise KafkaException(KafkaError(KafkaError._QUEUE_FULL)) from None
                client.poll(_FULL_SECONDS)
            else:
                return

    def _abort(self, cause: KafkaError) -> NoReturn:
        _log.warning("the transaction failed: %s", cause.str())
        if not cause.fatal():
            try:
                self._apart(partial(self._producer.abort_transaction, _CALL_SECONDS), 3 * _CALL_SECONDS)
            except CallHangs as error:
                self._replace(str(error))
            except KafkaException as error:
                cause = _cause(error)
            else:
                raise TransactionAborted(cause.str())
        # The broker times out and fences what lasts too long: that speaks of no rival.
        if cause.code() in _FENCED and time.monotonic() - self._begun < self._timeout:
            raise OwnershipLost(f"another producer has this worker's transactional id: {cause.str()}")
        self._replace(cause.str())

    def _replace(self, cause: str) -> NoReturn:
        _log.warning("the producer is made anew: %s", cause)
        self._discard()
        self.open()
        raise TransactionAborted(cause)

    def _discard(self) -> None:
        threading.Thread(target=_bury, args=(self._producer,), name="kafka-burial", daemon=True).start()
        self._producer = self._make()


def _bury(failed: Producer) -> None:
    """Closing a producer may fail, and hang, as its other calls may."""
    try:
        failed.purge()
        failed.flush(1.0)
    except KafkaException as error:
        _log.debug("closing a producer that failed: %s", error)


def _cause(error: KafkaException) -> KafkaError:
    cause = error.args[0]
    assert isinstance(cause, KafkaError)
    return cause
