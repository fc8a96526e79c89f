"""Reads stretches of partitions up to ends that are known before, as commands need it."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import inf

from streams import kafka, reach
from streams.errors import TopicError
from streams.partitioning import partition_of
from streams.raw import RawRecord, header_pairs
from streams.settings import Settings

STALL_SECONDS = 30.0
"""Longer than any transaction of ours may stay open."""
_POLL_SECONDS = 0.2
_BATCH = 500


@dataclass(frozen=True, slots=True)
class Stretch:
    """The offsets [first, end) of one partition."""

    topic: str
    partition: int
    first: int
    end: int


def whole(settings: Settings, topic: str, settled: bool) -> list[Stretch]:
    """All partitions of a topic, as of now.

    `settled`: with what open transactions hold back, which a reader then has to wait for. Raises TopicError.
    """
    isolation = "read_uncommitted" if settled else "read_committed"
    client = kafka.consumer(settings.kafka, _group(settings), {"isolation.level": isolation})
    try:
        count = reach.partitions(client, settings, [topic])[topic]
        return [Stretch(topic, number, *reach.marks(client, topic, number)) for number in range(count)]
    finally:
        client.close()


def homes(settings: Settings, topics: Sequence[str], key: bytes) -> list[Stretch]:
    """The key's own partition of each topic, as of now. Raises TopicError."""
    client = kafka.consumer(settings.kafka, _group(settings))
    try:
        counts = reach.partitions(client, settings, topics)
        places = ((topic, partition_of(key, counts[topic])) for topic in topics)
        return [Stretch(*place, *reach.marks(client, *place)) for place in places]
    finally:
        client.close()


def read(
    settings: Settings,
    stretches: Iterable[Stretch],
    tell: Callable[[int], None] = lambda _: None,
    until: float = inf,
) -> Iterator[RawRecord]:
    """Every committed record of the stretches, in order within each partition.

    `tell` hears how many offsets are passed. At the monotonic time `until` it ends, wherever it is. Raises
    TopicError when nothing comes for STALL_SECONDS.
    """
    positions = {(s.topic, s.partition): s.first for s in stretches if s.first < s.end}
    ends = {(s.topic, s.partition): s.end for s in stretches}
    offsets = sum(ends[place] - first for place, first in positions.items())
    # What retention cuts meanwhile is passed over.
    overrides: kafka.Config = {"enable.partition.eof": True, "auto.offset.reset": "earliest"}
    client = kafka.consumer(settings.kafka, _group(settings), overrides)
    try:
        client.assign([kafka.TopicPartition(*place, first) for place, first in positions.items()])
        deadline = time.monotonic() + STALL_SECONDS
        while positions and time.monotonic() < until:
            messages = client.consume(_BATCH, _POLL_SECONDS)
            for message in messages:
                place = (message.topic() or "", message.partition() or 0)
                offset = _offset(message)
                if place not in positions:
                    continue
                positions[place] = offset
                if message.error() is None:
                    positions[place] += 1
                    if offset < ends[place]:
                        yield _record(message)
                if positions[place] >= ends[place]:
                    del positions[place]
            tell(offsets - sum(ends[place] - position for place, position in positions.items()))
            if messages:
                deadline = time.monotonic() + STALL_SECONDS
            elif time.monotonic() > deadline:
                raise _stalled(positions)
    finally:
        client.close()


def read_one(settings: Settings, topic: str, partition: int, offset: int) -> RawRecord | None:
    """The record at a place; none where it was cut, compacted away or never committed. Raises TopicError."""
    found = [s for s in whole(settings, topic, settled=False) if s.partition == partition]
    if not found or not found[0].first <= offset < found[0].end:
        return None
    stretch = Stretch(topic, partition, offset, offset + 1)
    return next((record for record in read(settings, [stretch]) if record.offset == offset), None)


def _offset(message: kafka.Message) -> int:
    """Of the end of a partition: the offset behind it, markers of transactions counted."""
    error = message.error()
    if error is not None and error.code() != kafka.KafkaError._PARTITION_EOF:
        raise TopicError(f"{message.topic()}-{message.partition()}: cannot be read: {error.str()}")
    return message.offset() or 0


def _record(message: kafka.Message) -> RawRecord:
    return RawRecord(
        topic=message.topic() or "",
        partition=message.partition() or 0,
        offset=message.offset() or 0,
        timestamp=message.timestamp()[1],
        key=message.key(),
        value=message.value(),
        headers=header_pairs(message.headers()),
    )


def _stalled(positions: dict[tuple[str, int], int]) -> TopicError:
    (topic, partition), offset = next(iter(positions.items()))
    return TopicError(
        f"{topic}-{partition}: nothing came from offset {offset} on for {STALL_SECONDS:g} s; "
        "does the broker answer, and does a transaction stay open there?"
    )


def _group(settings: Settings) -> str:
    return f"penchant-{settings.app.name}-reading"
