"""The producing side: what a batch writes and what it consumed, in one Kafka transaction."""

import logging
import time
from collections.abc import Callable, Sequence
from functools import partial

from streams.dead_letters import produce_dead_letter
from streams.encode.stage import Outcome
from streams.errors import EngineError, OwnershipLost, PenchantError
from streams.kafka import KafkaError, KafkaException, Producer, TopicPartition, producer
from streams.settings import Settings

_CALL_SECONDS = 10.0
_FULL_SECONDS = 0.05
PATIENCE_SECONDS = 1_800.0
"""How long a broker that is away is waited for, before the process ends."""

_log = logging.getLogger(__name__)

Offsets = list[TopicPartition]


class TransactionAborted(PenchantError):
    """Nothing of the batch is visible; the worker goes back to the committed offsets."""


class TransactionalSink:
    """One transaction per batch. `beat` is called while waiting for the broker."""

    def __init__(
        self,
        settings: Settings,
        transactional_id: str,
        dead_letter_bytes: int,
        beat: Callable[[], None],
    ) -> None:
        self._topics = settings.topics
        self._dead_letter_bytes = dead_letter_bytes
        self._beat = beat
        # All of a transaction goes out at its commit, so that lingering would only add to the latency.
        overrides = {
            "linger.ms": 0,
            "retry.backoff.ms": 2,
            "message.max.bytes": max(1_000_000, dead_letter_bytes),
        }
        self._producer: Producer = producer(settings.kafka, transactional_id, overrides)

    def open(self) -> None:
        """Take the transactional id over: whatever was left open under it is aborted, its owner fenced."""
        self._settle("init_transactions", lambda: self._producer.init_transactions(_CALL_SECONDS))

    def commit(self, outcome: Outcome, offsets: Offsets, metadata: object) -> None:
        """Write the outcome and the offsets, or nothing.

        Raises TransactionAborted where nothing became visible and the worker may go on, EngineError where
        it may not.
        """
        try:
            # 1. Begin.
            self._producer.begin_transaction()
            # 2. Packs, encoded items and dead letters.
            self._produce(outcome)
            # 3. The consumed offsets, which the group's coordinator refuses from a worker that lost them.
            self._settle(
                "send_offsets_to_transaction",
                lambda: self._producer.send_offsets_to_transaction(offsets, metadata, _CALL_SECONDS),
            )
            # 4. Commit; all that was produced is out and acknowledged before.
            self._settle("commit_transaction", lambda: self._producer.commit_transaction(_CALL_SECONDS))
        except KafkaException as error:
            self._abort(error)

    def close(self) -> None:
        """Forget the producer; a transaction that is open is left to the next `open` under the id."""
        self._producer.purge()
        self._producer.flush(1.0)

    def _produce(self, outcome: Outcome) -> None:
        write = self._producer.produce
        for partition, value in outcome.packs:
            self._put(partial(write, self._topics.interactions_encoded, value=value, partition=partition))
        for key, content in outcome.items:
            self._put(partial(write, self._topics.items_encoded, key=key, value=content))
        for letter in outcome.dead_letters:
            produce_dead_letter(letter, self._dead_letter_bytes, self._put_dead_letter)

    def _put_dead_letter(
        self, key: bytes | None, value: bytes | None, headers: Sequence[tuple[str, bytes | None]]
    ) -> None:
        self._put(
            partial(
                self._producer.produce, self._topics.dead_letters, key=key, value=value, headers=list(headers)
            )
        )

    def _put(self, produce: Callable[[], None]) -> None:
        """A full queue empties as the broker acknowledges, or as its records time out."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                produce()
            except BufferError:
                if time.monotonic() > deadline:
                    raise EngineError("the producer's queue stays full: the broker takes nothing") from None
                self._beat()
                self._producer.poll(_FULL_SECONDS)
            else:
                return

    def _settle(self, name: str, call: Callable[[], None]) -> None:
        """Repeat a call that may be repeated, as while the broker is away."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            self._beat()
            try:
                call()
            except KafkaException as error:
                cause = _cause(error)
                if not cause.retriable() or cause.fatal() or cause.txn_requires_abort():
                    raise
                if time.monotonic() > deadline:
                    raise EngineError(f"{name}: gave up waiting for the broker: {cause.str()}") from error
                _log.warning("%s: %s; trying again", name, cause.str())
            else:
                return

    def _abort(self, error: KafkaException) -> None:
        cause = _cause(error)
        if cause.fatal():
            raise _ended(cause) from error
        _log.warning("the transaction is aborted: %s", cause.str())
        try:
            self._settle("abort_transaction", lambda: self._producer.abort_transaction(_CALL_SECONDS))
        except KafkaException as failed:
            raise _ended(_cause(failed)) from failed
        raise TransactionAborted(cause.str()) from error


def _ended(cause: KafkaError) -> EngineError:
    if cause.code() in (KafkaError._FENCED, KafkaError.PRODUCER_FENCED, KafkaError.INVALID_PRODUCER_EPOCH):
        return OwnershipLost(f"another producer has this worker's transactional id: {cause.str()}")
    return EngineError(f"the transaction failed for good: {cause.str()}")


def _cause(error: KafkaException) -> KafkaError:
    cause = error.args[0]
    assert isinstance(cause, KafkaError)
    return cause
