"""A reader of the outputs that is there all along: what any `read_committed` consumer would see."""

import itertools
import threading
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Sequence

import msgspec

from streams.kafka import OFFSET_BEGINNING, Message, TopicPartition, consumer
from streams.settings import Settings
from tests.counting import count_of


class Sight(msgspec.Struct):
    """What an output tells: `events` counted so far for its user, -1 where it does not say."""

    version: int
    events: int = -1
    partition: int | None = None
    """Source partition."""


def counting_sight(message: Message) -> Sight:
    """Of an output of the counting processor, whose users' names begin with their partition."""
    count = count_of(message.value() or b"")
    return Sight(count, count, int((message.key() or b"").partition(b"-")[0]))


class Watch:
    """Reads output topics in a thread of its own, from `start` to `stop`."""

    def __init__(self, settings: Settings, topics: Sequence[str], look: Callable[[Message], Sight]) -> None:
        self.read = 0
        self.backwards: list[str] = []
        """Outputs whose version was not above the last one of their user in their topic."""
        self._look = look
        self._partitions = settings.topics.partitions
        self._versions: dict[tuple[str, bytes], int] = {}
        self._events: dict[bytes, int] = {}
        self._arrivals: dict[int, list[float]] = defaultdict(list)
        self._stop = threading.Event()
        self._client = consumer(settings.kafka, f"watch-{uuid.uuid4().hex}")
        self._client.assign(
            [
                TopicPartition(topic, number, OFFSET_BEGINNING)
                for topic in topics
                for number in range(self._partitions)
            ]
        )
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(30)
        self._client.close()

    def __enter__(self) -> "Watch":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def counted(self) -> int:
        """Events that the outputs seen so far stand for."""
        return sum(list(self._events.values()))

    def wait_counted(self, events: int, seconds: float) -> bool:
        """Wait until so many events are counted; whether they were."""
        return self._wait(lambda: self.counted() >= events, seconds)

    def wait_read(self, outputs: int, seconds: float) -> bool:
        """Wait until so many outputs were read; whether they were."""
        return self._wait(lambda: self.read >= outputs, seconds)

    def wait_progress(self, seconds: float) -> None:
        """Wait until each source partition has an output that is later than now."""
        began = time.monotonic()
        if not self._wait(lambda: not self._quiet(began), seconds):
            raise AssertionError(f"no outputs of partitions {self._quiet(began)} within {seconds:.0f} s")

    def silence(self, began: float, ended: float) -> float:
        """The longest time without outputs of one source partition between two moments."""
        longest = 0.0
        for number in range(self._partitions):
            inside = [each for each in list(self._arrivals[number]) if began <= each <= ended]
            marks = [began, *inside, ended]
            longest = max(longest, *(after - before for before, after in itertools.pairwise(marks)))
        return longest

    def _quiet(self, since: float) -> list[int]:
        latest = {number: (self._arrivals[number] or [0.0])[-1] for number in range(self._partitions)}
        return [number for number, last in latest.items() if last <= since]

    def _wait(self, holds: Callable[[], bool], seconds: float) -> bool:
        give_up = time.monotonic() + seconds
        while not holds():
            if time.monotonic() > give_up:
                return False
            time.sleep(0.02)
        return True

    def _run(self) -> None:
        while not self._stop.is_set():
            for message in self._client.consume(500, 0.05):
                # What a broker that is away makes the client say is no output.
                if message.error() is None:
                    self._note(message)

    def _note(self, message: Message) -> None:
        sight, topic, user = self._look(message), message.topic() or "", message.key() or b""
        last = self._versions.get((topic, user))
        if last is not None and sight.version <= last:
            self.backwards.append(f"{topic} {user!r}: {sight.version} after {last}")
        self._versions[topic, user] = sight.version
        if sight.events >= 0:
            self._events[user] = max(sight.events, self._events.get(user, 0))
        if sight.partition is not None:
            self._arrivals[sight.partition].append(time.monotonic())
        self.read += 1
