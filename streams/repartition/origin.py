"""What a copy says of the record that it was made from: two headers, behind those of the record itself."""

from dataclasses import replace

import msgspec

from streams.raw import RawHeaders, RawRecord
from streams.topic_ids import id_bytes, id_text

ORIGIN = "penchant-origin"
"""JSON: topic, partition, offset, the record's time in epoch milliseconds, and the topic's id."""
ORIGIN_KEY = "penchant-origin-key"
"""Key of the record, null where it had none; left out where it is the copy's own."""


class _Place(msgspec.Struct, array_like=True):
    topic: str
    partition: int
    offset: int
    timestamp: int
    topic_id: str = ""


_decoder = msgspec.json.Decoder(_Place)
_encoder = msgspec.json.Encoder()


def origin_headers(record: RawRecord, key: bytes) -> list[tuple[str, bytes | None]]:
    """Headers of a copy of `record` under `key`: those of the record, then its origin."""
    place = _Place(record.topic, record.partition, record.offset, record.timestamp, id_text(record.topic_id))
    headers = [*record.headers, (ORIGIN, _encoder.encode(place))]
    if record.key != key:
        headers.append((ORIGIN_KEY, record.key))
    return headers


def with_origin(copy: RawRecord) -> RawRecord:
    """A copy as it was read, with its origin: headers and time are the original's, the place is its own.

    What has no origin, or one that cannot be read, was written by somebody else and stays as it is.
    """
    at = _last(copy.headers)
    if at is None:
        return copy
    try:
        place = _decoder.decode(copy.headers[at][1] or b"")
    except msgspec.MsgspecError:
        return copy
    keys = [value for name, value in copy.headers[at:] if name == ORIGIN_KEY]
    original = RawRecord(
        topic=place.topic,
        partition=place.partition,
        offset=place.offset,
        timestamp=place.timestamp,
        key=keys[0] if keys else copy.key,
        value=copy.value,
        headers=list(copy.headers[:at]),
        topic_id=id_bytes(place.topic_id),
    )
    return replace(copy, timestamp=place.timestamp, headers=original.headers, origin=original)


def _last(headers: RawHeaders) -> int | None:
    """Where our headers begin: a record may come with headers of these names."""
    places = [at for at, (name, _) in enumerate(headers) if name == ORIGIN]
    return places[-1] if places else None
