"""What of `user-commands` becomes a row, and what is set aside."""

import json
from typing import Any

import pytest

from state.events import Command, RowKind
from streams.encode.user_commands import command_row
from streams.errors import RecordError
from streams.raw import RawRecord

NOW = 1_700_000_000_000


def record(value: Any, key: str | None = "ann") -> RawRecord:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return RawRecord("user-commands", 2, 7, NOW, None if key is None else key.encode(), raw)


def test_a_command_is_a_row_with_its_id_and_time() -> None:
    row = command_row(
        record({"command": "forget", "user_id": "ann", "timestamp": NOW - 5, "command_id": "c-1"})
    )
    assert (row.user_id, row.event_id, row.time, row.broker_time) == ("ann", "c-1", NOW - 5, NOW)
    assert (row.kind, row.offset, row.command) == (RowKind.FORGET, -1, Command())


def test_a_merge_says_into_whom() -> None:
    row = command_row(record({"command": "merge", "user_id": "ann", "into": "bob"}))
    assert (row.kind, row.command, row.time) == (RowKind.MERGE, Command(into="bob"), NOW)
    assert row.event_id == "user-commands-2-7"


def test_a_time_ahead_is_held_back() -> None:
    row = command_row(record({"command": "forget", "user_id": "ann", "timestamp": NOW + 86_400_000}))
    assert row.time == NOW + 300_000


@pytest.mark.parametrize(
    ("value", "key", "reason"),
    [
        (b"{", "ann", "not_json"),
        ({"command": "forget"}, "ann", "invalid_record"),
        ({"command": "burn", "user_id": "ann"}, "ann", "invalid_record"),
        ({"command": "merge", "user_id": "ann"}, "ann", "invalid_record"),
        ({"command": "merge", "user_id": "ann", "into": "ann"}, "ann", "invalid_record"),
        ({"command": "forget", "user_id": "ann", "into": "bob"}, "ann", "invalid_record"),
        ({"command": "forget", "user_id": "ann"}, "bob", "key_mismatch"),
        ({"command": "forget", "user_id": "ann"}, None, "key_mismatch"),
        ({"command": "forget", "user_id": "ann", "timestamp": "yesterday"}, "ann", "bad_timestamp"),
        ({"command": "forget", "user_id": "ann", "timestamp": -1}, "ann", "bad_timestamp"),
    ],
)
def test_what_is_no_command_is_told(value: Any, key: str | None, reason: str) -> None:
    with pytest.raises(RecordError) as caught:
        command_row(record(value, key))
    assert caught.value.reason == reason
