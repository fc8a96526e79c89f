"""Reads `items.encoded` and `item-signals` whole, by plain assignment, into the catalogue of a worker."""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence

import msgspec

from state.catalogue import Catalogue, Demand
from state.errors import CodecError
from state.items import EncodedItem
from state.strategies.following import Followers
from state.trending import decode_signal
from streams import kafka, metrics
from streams.errors import EngineError, PenchantError, TopicError
from streams.interests.signals import half_life_ms, learned, memory_of
from streams.settings import Settings

BATCH = 1000
POLL_SECONDS = 0.25
CALL_SECONDS = 5.0
"""Limit of one call to the broker; a broker that is away is asked again."""
MISSING_SECONDS = 15.0
"""A topic that was just made may be unknown to some broker for a moment."""
WIDEN_SECONDS = 30.0
"""How often new partitions are looked for."""
STOP_SECONDS = 10.0

_END_OF_PARTITION = kafka.KafkaError._PARTITION_EOF
_HOPELESS = frozenset(
    {
        kafka.KafkaError.UNKNOWN_TOPIC_OR_PART,
        kafka.KafkaError._UNKNOWN_TOPIC,
        kafka.KafkaError._UNKNOWN_PARTITION,
        kafka.KafkaError.TOPIC_AUTHORIZATION_FAILED,
    }
)

_log = logging.getLogger(__name__)

Place = tuple[str, int]
Learned = tuple[str, Demand, Followers | None]
ConsumerFactory = Callable[[], kafka.Consumer]


class CatalogueTail:
    """A thread that keeps a catalogue level with its topics. It commits nothing and joins no group.

    What goes wrong beyond a broker that is away ends the thread; `check` and `wait` then raise it.
    """

    def __init__(
        self, settings: Settings, catalogue: Catalogue, open_consumer: ConsumerFactory | None = None
    ) -> None:
        self._items = settings.topics.items_encoded
        self._signals = settings.topics.item_signals
        self._catalogue = catalogue
        self._half_life_ms = half_life_ms(settings)
        self._memory = memory_of(settings)
        self._open = open_consumer or (lambda: _consumer(settings))
        self._decoder = msgspec.msgpack.Decoder(EncodedItem)
        self._assigned: set[Place] = set()
        self._behind: dict[Place, int] = {}
        self._error: BaseException | None = None
        self._settled = threading.Event()
        self._stopped = threading.Event()
        self.caught_up = threading.Event()
        """Set when everything that was there at the start has been taken in."""
        self._thread = threading.Thread(target=self._run, name="catalogue-tail", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout: float = STOP_SECONDS) -> bool:
        """End the thread; False where it did not end in time."""
        self._stopped.set()
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def wait(self, timeout: float) -> bool:
        """Wait until caught up; False when the time is over. Raises what ended the thread."""
        self._settled.wait(timeout)
        self.check()
        return self.caught_up.is_set()

    def check(self) -> None:
        """Raise what ended the thread, if anything did."""
        if isinstance(self._error, PenchantError):
            raise self._error
        if self._error is not None:
            raise EngineError(f"the catalogue cannot be read any more: {self._error}") from self._error

    def _run(self) -> None:
        try:
            consumer = self._open()
            try:
                self._follow(consumer)
            finally:
                consumer.close()
        except Exception as error:
            _log.error("the catalogue cannot be read any more: %s", error)
            self._error = error
        self._settled.set()

    def _follow(self, consumer: kafka.Consumer) -> None:
        self._assign_first(consumer)
        looked = time.monotonic()
        while not self._stopped.is_set():
            self._take(consumer.consume(BATCH, POLL_SECONDS))
            if time.monotonic() - looked > WIDEN_SECONDS:
                self._assign_new(consumer)
                looked = time.monotonic()

    def _assign_first(self, consumer: kafka.Consumer) -> None:
        since = time.monotonic()
        while not self._stopped.is_set():
            missing = self._assign_new(consumer)
            if not missing:
                self._note_progress()
                return
            if time.monotonic() - since > MISSING_SECONDS and None not in missing:
                names = ", ".join(sorted(filter(None, missing)))
                raise TopicError(f"topic missing: {names}; run `penchant topics create`")
            self._stopped.wait(POLL_SECONDS)

    def _assign_new(self, consumer: kafka.Consumer) -> set[str | None]:
        """Assign partitions not seen before, from their beginning. Returns topics that are missing, and
        None where the broker did not answer."""
        missing: set[str | None] = set()
        for topic in (self._items, self._signals):
            try:
                numbers = _partitions(consumer, topic)
                if not numbers:
                    missing.add(topic)
                for place in sorted({(topic, number) for number in numbers} - self._assigned):
                    self._assign(consumer, place)
            except kafka.KafkaException as error:
                _log.warning("the broker does not answer for %s: %s", topic, error)
                missing.add(None)
        return missing

    def _assign(self, consumer: kafka.Consumer, place: Place) -> None:
        partition = kafka.TopicPartition(*place, kafka.OFFSET_BEGINNING)
        first, end = kafka.watermarks(consumer, *place, CALL_SECONDS)
        consumer.incremental_assign([partition])
        self._assigned.add(place)
        if not self.caught_up.is_set() and end > first:
            self._behind[place] = end

    def _take(self, messages: Sequence[kafka.Message]) -> None:
        items: list[tuple[str, EncodedItem | None]] = []
        signals: list[Learned] = []
        reached: list[tuple[Place, int | None]] = []
        for message in messages:
            place = (message.topic() or "", message.partition() or 0)
            error = message.error()
            if error is not None:
                if error.code() == _END_OF_PARTITION:
                    reached.append((place, None))
                else:
                    _weigh_error(error)
                continue
            reached.append((place, (message.offset() or 0) + 1))
            try:
                self._sort(message, items, signals)
            except (msgspec.DecodeError, CodecError, UnicodeDecodeError) as problem:
                _log.warning("%s[%d]@%s is set aside: %s", *place, message.offset(), problem)
                metrics.DEAD_LETTERS.labels("catalogue", "unreadable").inc()
        if items:
            self._catalogue.apply(items)
            metrics.CATALOGUE_ITEMS.set(len(self._catalogue))
        if signals:
            self._catalogue.learn(signals)
        self._note(reached)

    def _sort(
        self,
        message: kafka.Message,
        items: list[tuple[str, EncodedItem | None]],
        signals: list[Learned],
    ) -> None:
        item_id, value = (message.key() or b"").decode(), message.value()
        if message.topic() == self._items:
            items.append((item_id, None if value is None else self._decoder.decode(value)))
        elif value is not None:
            signals.append((item_id, *learned(decode_signal(value), self._half_life_ms, self._memory)))

    def _note(self, reached: Iterable[tuple[Place, int | None]]) -> None:
        for place, offset in reached:
            if offset is None or offset >= self._behind.get(place, offset + 1):
                self._behind.pop(place, None)
        self._note_progress()

    def _note_progress(self) -> None:
        if not self._behind and self._assigned and not self.caught_up.is_set():
            _log.info("the catalogue is level with its topics: %d items", len(self._catalogue))
            self.caught_up.set()
            self._settled.set()


def _consumer(settings: Settings) -> kafka.Consumer:
    # The end of a partition is an event: markers of transactions may lie behind the last record.
    overrides: dict[str, str | int | float | bool] = {
        "enable.partition.eof": True,
        "auto.offset.reset": "earliest",
    }
    return kafka.consumer(settings.kafka, f"{settings.app.name}-catalogue", overrides)


def _partitions(consumer: kafka.Consumer, topic: str) -> list[int]:
    found = consumer.list_topics(topic, timeout=CALL_SECONDS).topics.get(topic)
    if found is None or found.error is not None:
        return []
    return sorted(found.partitions)


def _weigh_error(error: kafka.KafkaError) -> None:
    if error.fatal() or error.code() in _HOPELESS:
        raise TopicError(f"the catalogue's topics cannot be read: {error.str()}")
    _log.warning("the catalogue waits for the broker: %s", error.str())
