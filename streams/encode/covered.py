"""How far packs cover the raw partitions, read back from the end of `interactions.encoded`."""

import time
from collections.abc import Iterable
from contextlib import suppress

import msgspec

from state.errors import UNREADABLE
from state.events import Pack
from streams.encode.placing import NOTHING, RawEnd
from streams.errors import EngineError
from streams.kafka import (
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
    consumer,
    may_pass,
    watermarks,
)
from streams.settings import Settings

FIRST_STEP = 64
"""Records that are read back first; the steps grow fourfold. Corrections cover nothing, and may lie last."""
STALL_SECONDS = 20.0
_CALL_SECONDS = 15.0
_POLL_SECONDS = 0.1
_BATCH = 500

_decoder = msgspec.msgpack.Decoder(Pack)


def covered_ends(settings: Settings, partitions: Iterable[int]) -> dict[int, RawEnd]:
    """By partition, topic and end of the last committed pack that covers a range; NOTHING where none is left.

    Raises KafkaException, and EngineError where the log cannot be read to its end.
    """
    # No offset is ever committed under this group.
    group = f"{settings.app.name}-encode-covered"
    source = consumer(settings.kafka, group, {"enable.partition.eof": True, "auto.offset.reset": "earliest"})
    try:
        topic = settings.topics.interactions_encoded
        return {number: _covered(source, TopicPartition(topic, number)) for number in partitions}
    finally:
        source.close()


def _covered(source: Consumer, partition: TopicPartition) -> RawEnd:
    low, high = _marks(source, partition)
    first, step = high, FIRST_STEP
    while first > low:
        last, first = first, max(low, first - step)
        step *= 4
        found = NOTHING
        for value in _read(source, TopicPartition(partition.topic, partition.partition, first), last):
            with suppress(*UNREADABLE):
                pack = _decoder.decode(value)
                found = (pack.topic, pack.end) if pack.end >= 0 else found
        if found != NOTHING:
            return found
    return NOTHING


def _marks(source: Consumer, partition: TopicPartition) -> tuple[int, int]:
    """A topic that is new, or whose leader just moved, is asked again."""
    deadline = time.monotonic() + _CALL_SECONDS
    while True:
        try:
            return watermarks(source, partition.topic, partition.partition, _CALL_SECONDS)
        except KafkaException as error:
            cause = error.args[0]
            passing = may_pass(cause) or cause.code() == KafkaError.UNKNOWN_TOPIC_OR_PART
            if not passing or time.monotonic() > deadline:
                raise
            time.sleep(_POLL_SECONDS)


def _read(source: Consumer, partition: TopicPartition, end: int) -> Iterable[bytes]:
    """Values from the partition's offset up to `end`."""
    source.assign([partition])
    try:
        deadline = time.monotonic() + STALL_SECONDS
        while time.monotonic() < deadline:
            for message in source.consume(_BATCH, _POLL_SECONDS):
                deadline = time.monotonic() + STALL_SECONDS
                offset, value = message.offset() or 0, message.value()
                if _ended(message) or offset >= end:
                    return
                if value is not None:
                    yield value
    finally:
        source.unassign()
    raise EngineError(
        f"{partition.topic}-{partition.partition}: cannot be read to its end; does the broker answer?"
    )


def _ended(message: Message) -> bool:
    error = message.error()
    if error is not None and error.code() != KafkaError._PARTITION_EOF:
        raise KafkaException(error)
    return error is not None
