"""Reads the output topics as any consumer would, and remembers what the demo needs."""

import threading
import time
from dataclasses import dataclass, field

import msgspec

from streams import kafka
from streams.records import Interest, InterestDescription, Recommendation
from streams.settings import Settings

_POLL_SECONDS = 0.05
_START_SECONDS = 30.0


@dataclass
class Sight:
    """What came out so far. Read it under `lock`."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    interests: dict[str, Interest] = field(default_factory=dict)
    slates: dict[str, Recommendation] = field(default_factory=dict)
    descriptions: dict[str, list[InterestDescription]] = field(default_factory=dict)
    """All of each user, in order."""
    freshness: list[float] = field(default_factory=list)
    """Seconds from an event's time to the moment when its interest reached this consumer."""
    outputs: int = 0


class Observer:
    """Follows the output topics in a thread until stopped."""

    def __init__(self, settings: Settings) -> None:
        self.sight = Sight()
        self.fresh_slates: list[Recommendation] = []
        self._settings = settings
        self._stop = threading.Event()
        self._reads = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="observer", daemon=True)
        self._interest = msgspec.json.Decoder(Interest)
        self._slate = msgspec.json.Decoder(Recommendation)
        self._description = msgspec.json.Decoder(InterestDescription)
        self.failure: Exception | None = None

    def start(self) -> None:
        """Returns once the topics are read: what came before would look late."""
        self._thread.start()
        self._reads.wait(_START_SECONDS)

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(10)

    def take_slates(self) -> list[Recommendation]:
        """Slates that came since the last call."""
        with self.sight.lock:
            taken, self.fresh_slates = self.fresh_slates, []
        return taken

    def _follow(self) -> None:
        topics = self._settings.topics
        reader = kafka.consumer(self._settings.kafka, "penchant-demo", {"fetch.wait.max.ms": 10})
        try:
            places = [
                kafka.TopicPartition(topic, partition, kafka.OFFSET_BEGINNING)
                for topic in (topics.interests, topics.recommendations, topics.interest_descriptions)
                for partition in range(topics.partitions)
            ]
            reader.assign(places)
            for place in places:
                # Asks the partition's leader, and so waits for the connection to it.
                reader.get_watermark_offsets(place, _START_SECONDS)
            self._reads.set()
            while not self._stop.is_set():
                for message in reader.consume(500, _POLL_SECONDS):
                    if message.error():
                        raise kafka.KafkaException(message.error())
                    self._take(message)
        except Exception as error:
            self.failure = error
        finally:
            self._reads.set()
            reader.close()

    def _take(self, message: kafka.Message) -> None:
        value = message.value()
        if value is None:
            return
        now = time.time()
        with self.sight.lock:
            if message.topic() == self._settings.topics.interest_descriptions:
                words = self._description.decode(value)
                self.sight.descriptions.setdefault(words.user_id, []).append(words)
                return
            self.sight.outputs += 1
            if message.topic() == self._settings.topics.recommendations:
                slate = self._slate.decode(value)
                self.sight.slates[slate.user_id] = slate
                self.fresh_slates.append(slate)
                return
            interest = self._interest.decode(value)
            self.sight.interests[interest.user_id] = interest
            event_time = dict(message.headers() or []).get("event_time")
            if event_time:
                self.sight.freshness.append(now - int(event_time) / 1000)
