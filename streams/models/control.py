"""Reads and writes the board in Kafka. Whoever has fenced a partition asks it again before writing."""

import threading
import time
from collections.abc import Callable, Mapping

from streams import kafka
from streams.engine.journal import Cancelled, OpeningCancelled
from streams.errors import EngineError, PromotionError
from streams.models.board import Board, models_topic
from streams.settings import Settings
from streams.topics import SilentCluster, no_broker, partition_counts

_ASK_SECONDS = 10.0
_READ_SECONDS = 30.0
_AGAIN_SECONDS = 0.2
_WRITE_SECONDS = 15.0


class Control:
    """The board, as of the last `refresh`. May be used from any thread."""

    def __init__(self, settings: Settings) -> None:
        self.board = Board()
        """Read it, never change it: each refresh makes another one."""
        self._settings = settings
        self._topic = models_topic(settings)
        self._admin: kafka.AdminClient | None = None
        self._reader: kafka.Consumer | None = None
        self._position = 0
        self._lock = threading.Lock()

    def refresh(self) -> Board:
        """Read on to where the topic ends now: what was written before this call is in it.

        Raises KafkaException and SilentCluster where the cluster does not answer.
        """
        with self._lock:
            if self._reader is None and not self._begin():
                return self.board
            assert self._reader is not None
            low, end = kafka.watermarks(self._reader, self._topic, 0, _ASK_SECONDS)
            if end > max(low, self._position):
                self._read(self._reader, end)
            return self.board

    def soon(self) -> Board:
        """As `refresh`, bearing a cluster that is away for a moment. Raises TopicError, and EngineError."""
        give_up = time.monotonic() + _READ_SECONDS
        try:
            return self.asked(lambda: time.monotonic() > give_up)
        except OpeningCancelled:
            raise no_broker(self._settings) from None

    def asked(self, cancelled: Cancelled) -> Board:
        """As `refresh`, waiting for a cluster that is away. Raises OpeningCancelled, and EngineError."""
        while True:
            try:
                return self.refresh()
            except (kafka.KafkaException, SilentCluster) as error:
                if isinstance(error, kafka.KafkaException) and not kafka.may_pass(error.args[0]):
                    raise EngineError(f"{self._topic}: cannot be read: {error.args[0].str()}") from error
                if cancelled():
                    raise OpeningCancelled(self._topic) from error
                time.sleep(_AGAIN_SECONDS)

    def close(self) -> None:
        with self._lock:
            if self._reader is not None:
                self._reader.close()
                self._reader = None

    def _begin(self) -> bool:
        if self._admin is None:
            self._admin = kafka.admin_client(self._settings.kafka)
        if self._topic not in partition_counts(self._admin, [self._topic]):
            return False
        overrides: kafka.Config = {"enable.partition.eof": True, "auto.offset.reset": "earliest"}
        reader = kafka.consumer(self._settings.kafka, f"{self._settings.app.name}-board", overrides)
        reader.assign([kafka.TopicPartition(self._topic, 0, kafka.OFFSET_BEGINNING)])
        self._position, self.board, self._reader = 0, Board(), reader
        return True

    def _read(self, reader: kafka.Consumer, end: int) -> None:
        board, give_up = self.board.copy(), time.monotonic() + _READ_SECONDS
        while self._position < end:
            message = reader.poll(0.1)
            if message is None:
                if time.monotonic() > give_up:
                    raise SilentCluster(f"{self._topic}: nothing comes from offset {self._position} on")
                continue
            error = message.error()
            if error is None:
                board.take(message.key() or b"", message.value())
                self._position = (message.offset() or 0) + 1
            elif error.code() == kafka.KafkaError._PARTITION_EOF:
                self._position = max(self._position, message.offset() or 0)
            elif not kafka.may_pass(error):
                raise kafka.KafkaException(error)
        self.board = board


def read_board(settings: Settings) -> Board:
    """The board as it is now. Raises TopicError, and EngineError."""
    control = Control(settings)
    try:
        return control.soon()
    finally:
        control.close()


def write(settings: Settings, topic: str, records: Mapping[bytes, bytes | None]) -> None:
    """Append the records, and wait until they are there. Raises EngineError."""
    # A record that comes twice does no harm, and an id against that takes a while to get.
    client = kafka.producer(settings.kafka, overrides={"linger.ms": 0, "enable.idempotence": False})
    failures: list[str] = []

    def delivered(error: kafka.KafkaError | None, _: kafka.Message) -> None:
        if error is not None:
            failures.append(error.str())

    for key, value in records.items():
        client.produce(topic, value, key, partition=0, on_delivery=delivered)
        client.poll(0)
    if client.flush(_WRITE_SECONDS) or failures:
        client.purge()
        raise EngineError(f"{topic}: cannot be written: {(failures or ['the broker does not answer'])[0]}")


class PointerWriter:
    """Moves the pointer. One command at a time: a later one fences those before it."""

    def __init__(self, settings: Settings) -> None:
        self._topic = models_topic(settings)
        self._producer = kafka.producer(settings.kafka, f"{settings.app.name}-models", {"linger.ms": 0})
        self._do(lambda: self._producer.init_transactions(_WRITE_SECONDS))

    def write(self, records: Mapping[bytes, bytes | None]) -> None:
        """All of the records or none. Raises PromotionError."""

        def send() -> None:
            self._producer.begin_transaction()
            for key, value in records.items():
                self._producer.produce(self._topic, value, key, partition=0)
            self._producer.commit_transaction(_WRITE_SECONDS)

        self._do(send)

    def _do(self, action: Callable[[], None]) -> None:
        try:
            action()
        except kafka.KafkaException as error:
            told = error.args[0].str()
            raise PromotionError(
                f"{self._topic}: cannot be written, or another such command runs: {told}; run it again"
            ) from error
