"""Bytes of `user-commands` to rows that the interests worker obeys; RecordError for what is no command."""

import msgspec

from state.events import Command, Row, RowKind
from streams.encode.parsing import checked_record, event_time, made_event_id
from streams.errors import RecordError
from streams.raw import RawRecord
from streams.records import UserCommand

_commands = msgspec.json.Decoder(UserCommand)
_KINDS = {"forget": RowKind.FORGET, "merge": RowKind.MERGE}


def command_row(record: RawRecord) -> Row:
    """The command as a row: its id in the place of the event's, its time, and whom it is about.

    Raises RecordError with one of the reasons not_json, invalid_record, key_mismatch and bad_timestamp.
    """
    command = checked_record(record, _commands, "user_id")
    if command.command == "merge" and command.into is None:
        raise RecordError("invalid_record", "a merge that does not say `into` whom")
    if command.command == "forget" and command.into is not None:
        raise RecordError("invalid_record", "forgetting leads nowhere: `into` is for merges")
    if command.into == command.user_id:
        raise RecordError("invalid_record", "a merge of a user into itself")
    time = record.timestamp
    if command.timestamp is not None:
        time, _ = event_time(command.timestamp, record)
    return Row(
        user_id=command.user_id,
        event_id=command.command_id or made_event_id(record),
        action=0,
        time=time,
        offset=-1,
        broker_time=record.timestamp,
        kind=int(_KINDS[command.command]),
        command=Command(into=command.into or ""),
    )
