"""Reads `items.encoded` whole and then on, by plain assignment, into the item view."""

import logging
import threading
import time
from typing import Protocol

from state.errors import UNREADABLE
from streams.errors import EngineError, TopicError
from streams.kafka import (
    OFFSET_BEGINNING,
    Config,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
    consumer,
)
from streams.settings import Settings

_BATCH = 2_000
_POLL_SECONDS = 0.1
_METADATA_SECONDS = 30.0
WIDEN_SECONDS = 30.0
"""How often new partitions are looked for."""

_log = logging.getLogger(__name__)


class View(Protocol):
    """Where the items go; `caught_up` is set when all that were there at the start have come."""

    caught_up: threading.Event

    def __len__(self) -> int: ...

    def apply_record(self, value: bytes | None) -> None:
        """Raises msgspec.DecodeError for bytes that are no encoded item."""
        ...


class ItemTail:
    """A thread that ends with `stop`, or with an error that `check` raises in the worker's thread.

    `view.caught_up` is set when the end of every partition was seen once.
    """

    def __init__(self, settings: Settings, view: View) -> None:
        self._settings = settings
        self._view = view
        self._topic = settings.topics.items_encoded
        self.widen_seconds = WIDEN_SECONDS
        self._read: set[int] = set()
        self._stop = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="item-tail", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join(timeout=10.0)

    def check(self) -> None:
        """Raises EngineError where the thread failed."""
        if self._failure is not None:
            raise EngineError(f"reading {self._topic} failed: {self._failure}") from self._failure

    def _run(self) -> None:
        try:
            self._follow()
        except Exception as error:
            _log.debug("the item tail failed", exc_info=True)
            self._failure = error

    def _follow(self) -> None:
        overrides: Config = {
            "auto.offset.reset": "earliest",
            "enable.partition.eof": True,
            "fetch.wait.max.ms": 100,
        }
        source = consumer(self._settings.kafka, f"{self._settings.app.name}-encode-items", overrides)
        try:
            behind = self._widen(source)
            if not behind:
                raise TopicError(f"topic {self._topic} is missing; make it with `penchant topics create`")
            widen_at = time.monotonic() + self.widen_seconds
            while not self._stop.is_set():
                if time.monotonic() >= widen_at:
                    widen_at = time.monotonic() + self.widen_seconds
                    self._widen_while_following(source)
                for message in source.consume(_BATCH, _POLL_SECONDS):
                    self._take(message, behind)
                if not behind and not self._view.caught_up.is_set():
                    self._view.caught_up.set()
                    _log.info("%d items known", len(self._view))
        finally:
            source.close()

    def _widen(self, source: Consumer) -> set[int]:
        """Read partitions that were not there before, from their start; returns them."""
        metadata = source.list_topics(self._topic, timeout=_METADATA_SECONDS).topics[self._topic]
        fresh = set() if metadata.error is not None else metadata.partitions.keys() - self._read
        if fresh:
            source.incremental_assign(
                [TopicPartition(self._topic, number, OFFSET_BEGINNING) for number in sorted(fresh)]
            )
            self._read |= fresh
        return set(fresh)

    def _widen_while_following(self, source: Consumer) -> None:
        try:
            fresh = self._widen(source)
        except KafkaException as error:
            _log.warning("%s: whether it has new partitions is not known: %s", self._topic, error)
        else:
            if fresh:
                _log.info("%s has %d new partitions", self._topic, len(fresh))

    def _take(self, message: Message, behind: set[int]) -> None:
        error = message.error()
        if error is None:
            self._apply(message)
        elif error.code() == KafkaError._PARTITION_EOF:
            behind.discard(message.partition() or 0)
        elif error.fatal():
            raise KafkaException(error)
        else:
            _log.warning("%s: %s", self._topic, error.str())

    def _apply(self, message: Message) -> None:
        try:
            self._view.apply_record(message.value())
        except UNREADABLE as error:
            _log.error(
                "%s-%s offset %s is no encoded item: %s",
                self._topic,
                message.partition(),
                message.offset(),
                error,
            )
