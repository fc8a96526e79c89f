"""Raw events at an even pace, for the whole way."""

import json
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from streams.kafka import producer
from streams.settings import Settings

USERS = 120
ITEMS = 20
ACTIONS = ("view", "click", "like", "skip", "dislike", "unlike", "save")
TEXTS = 50
"""Few enough that each is encoded once: the failures are what is tested, not the encoders."""
PATIENT = {"delivery.timeout.ms": 600_000}
"""A broker that is away costs waiting."""


class Interactions:
    """Events of a few users with texts, in the order of their numbers."""

    def __init__(self, settings: Settings, seed: int = 1, users: int = USERS) -> None:
        self.sent = 0
        self._users = users
        self._topic = settings.topics.interactions
        self._random = random.Random(seed)
        self._producer = producer(settings.kafka, None, PATIENT)

    def send(self, count: int) -> None:
        for _ in range(count):
            user, value = self._event(self.sent)
            self._produce(user, json.dumps(value).encode())
            self.sent += 1

    def flush(self) -> bool:
        """Whether all that was sent is in the topic."""
        return bool(self._producer.flush(120) == 0)

    @contextmanager
    def sending(self, events_per_second: float) -> Iterator[None]:
        """At the end all of them are in the topic."""
        stop = threading.Event()
        thread = threading.Thread(target=self._keep_sending, args=(stop, events_per_second))
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join(60)
        assert not thread.is_alive()
        assert self.flush()

    def _produce(self, user: str, value: bytes) -> None:
        while True:
            try:
                self._producer.produce(self._topic, value, user.encode())
                self._producer.poll(0)
                return
            except BufferError:
                self._producer.poll(0.1)

    def _keep_sending(self, stop: threading.Event, events_per_second: float) -> None:
        began, sent = time.monotonic(), 0
        while not stop.wait(max(0.0, began + sent / events_per_second - time.monotonic())):
            self.send(2)
            sent += 2

    def _event(self, number: int) -> tuple[str, dict[str, object]]:
        user = f"user-{self._random.randrange(self._users)}"
        return user, {
            "event_id": f"e{number}",
            "user_id": user,
            "action": self._random.choice(ACTIONS),
            "timestamp": int(time.time() * 1000) - self._random.randrange(300_000),
            "item_id": f"item-{self._random.randrange(ITEMS)}",
            "text": f"words about the subject number {self._random.randrange(TEXTS)}",
        }
