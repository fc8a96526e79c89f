"""Reads the output topics as any consumer would, and the titles of items with them."""

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType

import msgspec

from streams import kafka
from streams.errors import TopicError
from streams.reach import beginnings, ends, partitions
from streams.records import Interest, Recommendation
from streams.settings import Settings

TITLES_SECONDS = 10.0
MOST_TITLES = 200_000
"""Titles kept; of a larger catalogue, items beyond it show by their id."""


@dataclass(frozen=True, slots=True)
class SeenInterest:
    """`freshness`: seconds from the newest event's time to the interest's record; None where not told."""

    interest: Interest
    freshness: float | None


@dataclass(frozen=True, slots=True)
class SeenSlate:
    slate: Recommendation


class _Title(msgspec.Struct):
    title: str = ""


class OutputReader:
    """Follows `interests` and `recommendations` from now on, or from their beginning; owns no group.

    `titles` grows as items are read; those that are there already are read first, for TITLES_SECONDS at
    most. Use it as a context manager. Raises TopicError where a topic is missing or no broker answers.
    """

    def __init__(self, settings: Settings, from_beginning: bool = False) -> None:
        self.titles: dict[str, str] = {}
        self._topics = settings.topics
        self._interest = msgspec.json.Decoder(Interest)
        self._slate = msgspec.json.Decoder(Recommendation)
        self._title = msgspec.json.Decoder(_Title)
        self._consumer = kafka.consumer(
            settings.kafka, f"penchant-{settings.app.name}-outputs", {"enable.partition.eof": True}
        )
        try:
            titles = partitions(self._consumer, settings, [self._topics.items])
            counts = partitions(
                self._consumer, settings, [self._topics.interests, self._topics.recommendations]
            )
            places = beginnings(counts) if from_beginning else ends(self._consumer, counts)
            self._consumer.assign(beginnings(titles))
            self._read_titles(titles[self._topics.items])
            self._consumer.incremental_assign(places)
        except BaseException:
            self.close()
            raise

    def poll(self, seconds: float) -> Iterator[SeenInterest | SeenSlate]:
        """What came within `seconds`. Records that are not as they must be are left out."""
        for message in self._consumer.consume(500, seconds):
            error = message.error()
            if error is not None and error.code() == kafka.KafkaError._PARTITION_EOF:
                continue
            if error is not None:
                raise TopicError(f"{message.topic()}: {error.str()}")
            value = message.value()
            if value is None:
                continue
            with contextlib.suppress(msgspec.MsgspecError, UnicodeDecodeError):
                if message.topic() == self._topics.interests:
                    yield SeenInterest(self._interest.decode(value), _freshness(message))
                elif message.topic() == self._topics.recommendations:
                    yield SeenSlate(self._slate.decode(value))
                else:
                    self._take_title(message)

    def _read_titles(self, ends: int) -> None:
        deadline = time.monotonic() + TITLES_SECONDS
        while ends > 0 and time.monotonic() < deadline:
            for message in self._consumer.consume(500, 0.1):
                error = message.error()
                if error is None:
                    self._take_title(message)
                elif error.code() == kafka.KafkaError._PARTITION_EOF:
                    ends -= 1

    def _take_title(self, message: kafka.Message) -> None:
        value = message.value()
        if value is not None and len(self.titles) < MOST_TITLES:
            with contextlib.suppress(msgspec.MsgspecError, UnicodeDecodeError):
                self.titles[(message.key() or b"").decode()] = self._title.decode(value).title

    def close(self) -> None:
        self._consumer.close()

    def __enter__(self) -> "OutputReader":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _freshness(message: kafka.Message) -> float | None:
    event_time = dict(message.headers() or []).get("event_time")
    kind, written = message.timestamp()
    if event_time is None or not event_time.isdigit() or kind == kafka.TIMESTAMP_NOT_AVAILABLE:
        return None
    return max(0.0, (written - int(event_time)) / 1000)
