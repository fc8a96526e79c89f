"""Records that cannot be used: their original bytes, and headers that say what was wrong, where and when."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from state.events import NO_TOPIC
from streams.errors import RecordError
from streams.raw import RawHeaders, RawRecord, first_sent, header
from streams.topic_ids import id_text

MAX_MESSAGE = 500
"""Characters of the message."""
ORIGINAL_PREFIX = "original-"
"""What the names of the original headers begin with; `traceparent` keeps its own."""
TRUNCATED = "truncated"
"""Header that is there when not all of the record fitted: the bytes that its value had."""

RECORD_TIME = "record_time"
"""Header with the time when the record came first, epoch milliseconds."""
TOPIC_ID = "topic_id"
"""Header with the id of the record's topic, as Kafka's tools show it: one made anew has another."""
_KEPT = "traceparent"
_RECORD_OVERHEAD = 1024


@dataclass(slots=True, frozen=True)
class DeadLetter:
    """One record set aside, and why. `reason` is a short word, `time` epoch milliseconds."""

    record: RawRecord
    stage: str
    reason: str
    message: str
    time: int


Produce = Callable[[bytes | None, bytes | None, list[tuple[str, bytes | None]]], None]
"""Key, value and headers to `dead-letters`."""


def set_aside(record: RawRecord, stage: str, error: RecordError, now_ms: int | None = None) -> DeadLetter:
    """A dead letter for a record that raised; for a copy, of the record that it was made from."""
    moment = int(time.time() * 1000) if now_ms is None else now_ms
    return DeadLetter(record.original, stage, error.reason, str(error), moment)


def dead_letter_headers(letter: DeadLetter) -> list[tuple[str, bytes | None]]:
    """UTF-8 headers topic, partition, offset, stage, error_class, message, time, record_time; topic_id where
    it is known; then the original ones."""
    record = letter.record
    sent = first_sent(record)
    told = {
        "topic": record.topic,
        "partition": str(record.partition),
        "offset": str(record.offset),
        "stage": letter.stage,
        "error_class": letter.reason,
        "message": letter.message[:MAX_MESSAGE],
        "time": str(letter.time),
        RECORD_TIME: str(record.timestamp if sent is None else sent),
    }
    if record.topic_id != NO_TOPIC:
        told[TOPIC_ID] = id_text(record.topic_id)
    headers: list[tuple[str, bytes | None]] = [
        (name, value.encode(errors="replace")) for name, value in told.items()
    ]
    for name, original in record.headers:
        headers.append((name if name == _KEPT else ORIGINAL_PREFIX + name, original))
    return headers


def original_headers(headers: RawHeaders) -> list[tuple[str, bytes | None]]:
    """The headers that the record had before it was set aside."""
    return [
        (name.removeprefix(ORIGINAL_PREFIX), value)
        for name, value in headers
        if name == _KEPT or name.startswith(ORIGINAL_PREFIX)
    ]


def produce_dead_letter(letter: DeadLetter, max_bytes: int, produce: Produce) -> None:
    """Hand a dead letter to a producer.

    A record that filled `max_bytes` (the topic's `max.message.bytes`) alone does not fit with our headers
    any more. Refusing it would block its partition for ever: its own headers are left out then, and its
    value is cut, which the header TRUNCATED says. The uncut record stays where topic, partition and
    offset say.
    """
    record = letter.record
    room = max_bytes - _RECORD_OVERHEAD
    headers = dead_letter_headers(letter)
    if _size(headers) + _length(record.key) + _length(record.value) <= room:
        produce(record.key, record.value, headers)
        return
    headers = dead_letter_headers(replace(letter, record=replace(record, headers=_traceparent(record))))
    headers.append((TRUNCATED, str(_length(record.value)).encode()))
    room = max(0, room - _size(headers))
    key = None if record.key is None else record.key[:room]
    value = None if record.value is None else record.value[: room - _length(key)]
    produce(key, value, headers)


def _traceparent(record: RawRecord) -> RawHeaders:
    value = header(record.headers, _KEPT)
    return [(_KEPT, value)] if value is not None and len(value) < 256 else []


def _size(headers: RawHeaders) -> int:
    return sum(len(name.encode()) + _length(value) + 8 for name, value in headers)


def _length(part: bytes | None) -> int:
    return 0 if part is None else len(part)
