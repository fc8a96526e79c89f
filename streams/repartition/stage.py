"""The repartition stage: records in, copies under their users' ids out. No Kafka client in here."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from streams.dead_letters import DeadLetter, set_aside
from streams.errors import RecordError
from streams.raw import RawHeaders, RawRecord
from streams.records import Id
from streams.repartition.origin import origin_headers

STAGE = "repartition"
RECORD_OVERHEAD = 1024


class _Owner(msgspec.Struct):
    """All that is read of an event here: whether the rest of it is good, the encode worker tells."""

    user_id: Id


_decoder = msgspec.json.Decoder(_Owner)


@dataclass(slots=True, frozen=True)
class Copy:
    """A record for the topic by user: the value's bytes are the original's."""

    key: bytes
    value: bytes
    headers: RawHeaders


@dataclass(slots=True)
class Outcome:
    """What a batch writes, in the order of the records."""

    copies: list[Copy] = field(default_factory=list)
    dead_letters: list[DeadLetter] = field(default_factory=list)


def rekey(records: Sequence[RawRecord], max_bytes: int) -> Outcome:
    """Copies of the records under their users' ids; those without one are set aside.

    `max_bytes` is what the topic by user takes in one record. Reasons: not_json, invalid_record, too_large.
    """
    outcome = Outcome()
    for record in records:
        try:
            outcome.copies.append(_copy(record, max_bytes))
        except RecordError as error:
            outcome.dead_letters.append(set_aside(record, STAGE, error))
    return outcome


def _copy(record: RawRecord, max_bytes: int) -> Copy:
    if record.value is None:
        raise RecordError("not_json", "the value is null")
    try:
        key = _decoder.decode(record.value).user_id.encode()
    except msgspec.ValidationError as error:
        raise RecordError("invalid_record", str(error)) from error
    except RecursionError:
        raise RecordError("not_json", "nested too deeply") from None
    except (msgspec.MsgspecError, ValueError) as error:
        raise RecordError("not_json", str(error)) from error
    copy = Copy(key, record.value, origin_headers(record, key))
    size = _size(copy)
    if size > max_bytes:
        raise RecordError("too_large", f"{size} bytes with key and headers, yet the topic takes {max_bytes}")
    return copy


def _size(copy: Copy) -> int:
    headers = sum(len(name.encode()) + len(value or b"") + 8 for name, value in copy.headers)
    return len(copy.key) + len(copy.value) + headers + RECORD_OVERHEAD
