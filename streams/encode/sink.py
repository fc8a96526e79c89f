"""The producing side: what a batch writes and what it consumed, in one Kafka transaction."""

import logging
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import NoReturn

from streams.dead_letters import produce_dead_letter
from streams.encode.stage import Outcome
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
        self._producer = self._make()

    def open(self) -> None:
        """Take the transactional id over: whatever was left open under it is aborted, its owner fenced."""
        self._settle(
            "init_transactions", lambda: self._producer.init_transactions(_CALL_SECONDS), PATIENCE_SECONDS
        )

    def commit(self, outcome: Outcome, offsets: Offsets, metadata: object) -> None:
        """Write the outcome and the offsets, or nothing.

        Raises TransactionAborted where the worker may go on from the committed offsets, EngineError where
        it may not.
        """
        self._begun = time.monotonic()
        patience = 2 * self._timeout
        try:
            # 1. Begin.
            self._producer.begin_transaction()
            # 2. Packs, encoded items and dead letters.
            self._produce(outcome)
            # 3. The consumed offsets, which the group's coordinator refuses from a worker that lost them.
            self._settle(
                "send_offsets_to_transaction",
                lambda: self._producer.send_offsets_to_transaction(offsets, metadata, _CALL_SECONDS),
                patience,
            )
            # 4. Commit; all that was produced is out and acknowledged before.
            self._settle(
                "commit_transaction", lambda: self._producer.commit_transaction(_CALL_SECONDS), patience
            )
        except KafkaException as error:
            self._abort(_cause(error), patience)

    def close(self) -> None:
        """Drop what is not sent; a transaction that is open is left to the next `open` under the id."""
        try:
            self._producer.purge()
            self._producer.flush(1.0)
        except KafkaException as error:
            _log.debug("closing a producer that failed: %s", error)

    def _make(self) -> Producer:
        overrides: Config = {
            # All of a transaction goes out at its commit, so that lingering would only add to the latency.
            "linger.ms": 0,
            # The coordinator asks to try again while it still writes the last transaction's markers.
            "retry.backoff.ms": 2,
            "message.max.bytes": max(1_000_000, self._dead_letter_bytes),
        }
        return producer(self._kafka, self._id, overrides)

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

    def _settle(self, name: str, call: Callable[[], None], patience: float) -> None:
        """Repeat a call that may be repeated, as while the broker is away. Raises what it raised last."""
        deadline = time.monotonic() + patience
        while True:
            self._beat()
            try:
                call()
            except KafkaException as error:
                cause = _cause(error)
                final = not cause.retriable() or cause.fatal() or cause.txn_requires_abort()
                if final or time.monotonic() > deadline:
                    raise
                _log.warning("%s: %s; trying again", name, cause.str())
            else:
                return

    def _abort(self, cause: KafkaError, patience: float) -> NoReturn:
        _log.warning("the transaction failed: %s", cause.str())
        if not cause.fatal():
            try:
                self._settle(
                    "abort_transaction", lambda: self._producer.abort_transaction(_CALL_SECONDS), patience
                )
            except KafkaException as error:
                cause = _cause(error)
            else:
                raise TransactionAborted(cause.str())
        self._replace(cause)

    def _replace(self, cause: KafkaError) -> NoReturn:
        """The broker times out and fences what lasts too long: that speaks of no rival."""
        if cause.code() in _FENCED and time.monotonic() - self._begun < self._timeout:
            raise OwnershipLost(f"another producer has this worker's transactional id: {cause.str()}")
        _log.warning("the producer is made anew: %s", cause.str())
        self.close()
        self._producer = self._make()
        try:
            self.open()
        except KafkaException as error:
            raise EngineError(f"no transaction can be begun any more: {_cause(error).str()}") from error
        raise TransactionAborted(cause.str())


def _cause(error: KafkaException) -> KafkaError:
    cause = error.args[0]
    assert isinstance(cause, KafkaError)
    return cause
