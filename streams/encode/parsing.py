"""Bytes of `interactions` and `items` to checked records; whatever they are, it raises RecordError alone."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

import msgspec

from state.events import ACTIONS, NO_TOPIC
from state.times import parse_time
from streams.encode.timestamps import clamp
from streams.errors import RecordError
from streams.raw import RawRecord, first_sent, header
from streams.records import MAX_ID_LENGTH, Interaction, Item, Timestamp
from streams.topic_ids import id_text

_ACTION_CODES = {action.value: code for code, action in enumerate(ACTIONS)}
_TRACEPARENT = re.compile(rb"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")

MAX_CONTEXT_BYTES = 4_096
"""It goes through two topics, and waits with slates in the state."""

_json = msgspec.json.Encoder()
_interactions = msgspec.json.Decoder(Interaction)
_items = msgspec.json.Decoder(Item)

RecordT = TypeVar("RecordT")


@dataclass(slots=True)
class Event:
    """A good interaction. `action` indexes ACTIONS, `time` is epoch milliseconds."""

    record: RawRecord
    interaction: Interaction
    event_id: str
    action: int
    time: int
    clamped: bool
    """Whether the time lay too far in the future and was held back."""
    traceparent: str | None
    context: bytes | None = None
    """JSON, as outputs pass it on."""
    sent: int | None = None
    """When it came first, where it was sent again since."""


@dataclass(slots=True, frozen=True)
class NewItem:
    """A good item, with its times in epoch milliseconds."""

    record: RawRecord
    item: Item
    published_at: int | None
    expires_at: int | None


@dataclass(slots=True, frozen=True)
class Withdrawal:
    """A null value on `items`."""

    record: RawRecord
    item_id: str


def parse_interaction(record: RawRecord, actions: Mapping[str, str]) -> Event:
    """Check one record of `interactions`. `actions` maps foreign action names to the known ones.

    Raises RecordError with one of the reasons not_json, invalid_record, key_mismatch, unknown_action and
    bad_timestamp.
    """
    interaction = checked_record(record, _interactions, "user_id")
    if interaction.item_id is None and interaction.text is None and not interaction.media:
        raise RecordError("invalid_record", "none of item_id, text and media is there")
    action = _ACTION_CODES.get(actions.get(interaction.action, interaction.action))
    if action is None:
        raise RecordError(
            "unknown_action",
            f"unknown action {interaction.action[:80]!r}: neither one of {', '.join(ACTIONS)} "
            "nor mapped to one by the settings' table [actions]",
        )
    time, clamped = event_time(interaction.timestamp, record)
    event_id = interaction.event_id
    if event_id is None:
        event_id = made_event_id(record.original)
    context = _context(interaction)
    trace, sent = _traceparent(record), first_sent(record)
    return Event(record, interaction, event_id, action, time, clamped, trace, context, sent)


def event_time(value: Timestamp, record: RawRecord) -> tuple[int, bool]:
    """Epoch milliseconds, and whether they lay too far in the future and were held back."""
    time = _time(value, "timestamp")
    if time < 0:
        raise RecordError("bad_timestamp", "timestamp: an event before 1970")
    sent = first_sent(record)
    return clamp(time, record.timestamp if sent is None else sent)


def made_event_id(record: RawRecord) -> str:
    """The id of an event that has none of its own: its place, and the topic's id where that is known.

    A topic that is made anew has the same places again.
    """
    place = f"{record.topic}-{record.partition}-{record.offset}"
    return place if record.topic_id == NO_TOPIC else f"{place}@{id_text(record.topic_id)}"


def parse_item(record: RawRecord) -> NewItem | Withdrawal:
    """Check one record of `items`. Raises RecordError as `parse_interaction` does."""
    if record.value is None:
        return Withdrawal(record, _key_text(record))
    item = checked_record(record, _items, "item_id")
    published = None if item.published_at is None else _time(item.published_at, "published_at")
    expires = None if item.expires_at is None else _time(item.expires_at, "expires_at")
    return NewItem(record, item, published, expires)


def checked_record(record: RawRecord, decoder: msgspec.json.Decoder[RecordT], key: str) -> RecordT:
    """The value, whose field `key` must be the record's key."""
    decoded = _decode(record, decoder)
    _check_key(record, getattr(decoded, key), key)
    return decoded


def _decode(record: RawRecord, decoder: msgspec.json.Decoder[RecordT]) -> RecordT:
    if record.value is None:
        raise RecordError("not_json", "the value is null")
    try:
        return decoder.decode(record.value)
    except msgspec.ValidationError as error:
        raise RecordError("invalid_record", str(error)) from error
    except RecursionError:
        raise RecordError("not_json", "nested too deeply") from None
    except (msgspec.MsgspecError, ValueError) as error:
        raise RecordError("not_json", str(error)) from error


def _check_key(record: RawRecord, identifier: str, field: str) -> None:
    if record.key is None:
        raise RecordError("key_mismatch", f"the record has no key; it must be the {field}")
    if record.key != identifier.encode():
        raise RecordError("key_mismatch", f"the record's key is not its {field}")


def _key_text(record: RawRecord) -> str:
    if record.key is None:
        raise RecordError("key_mismatch", "a withdrawal without a key")
    try:
        text = record.key.decode()
    except UnicodeDecodeError as error:
        raise RecordError("invalid_record", f"the key is not UTF-8: {error.reason}") from error
    if not 1 <= len(text) <= MAX_ID_LENGTH:
        raise RecordError("invalid_record", f"the key must have 1 to {MAX_ID_LENGTH} characters")
    return text


def _time(value: Timestamp, field: str) -> int:
    try:
        return parse_time(value)
    except ValueError as error:
        raise RecordError("bad_timestamp", f"{field}: {error}") from error


def _context(interaction: Interaction) -> bytes | None:
    if not interaction.context:
        return None
    context = _json.encode(interaction.context)
    if len(context) > MAX_CONTEXT_BYTES:
        raise RecordError(
            "invalid_record",
            f"context: {len(context)} bytes of JSON; at most {MAX_CONTEXT_BYTES} are passed on",
        )
    return context


def _traceparent(record: RawRecord) -> str | None:
    if not record.headers:
        return None
    value = header(record.headers, "traceparent")
    return value.decode() if value is not None and _TRACEPARENT.fullmatch(value) else None
