"""Parsing of interactions, items and times: every odd input has its reason."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from state.events import ACTIONS, NO_TOPIC
from state.times import LATEST, parse_time
from streams.encode.parsing import Event, NewItem, Withdrawal, parse_interaction, parse_item
from streams.encode.timestamps import FUTURE_MS, clamp
from streams.errors import RecordError
from streams.raw import RawRecord

NOW = 1_700_000_000_000
GOOD: dict[str, Any] = {"user_id": "u1", "action": "like", "timestamp": NOW, "item_id": "i1"}

REASONS = {"not_json", "invalid_record", "key_mismatch", "unknown_action", "bad_timestamp"}


def record(value: Any, key: bytes | None = b"u1", headers: Any = ()) -> RawRecord:
    raw = value if value is None or isinstance(value, bytes) else json.dumps(value).encode()
    return RawRecord("interactions", 2, 41, NOW, key, raw, headers)


def reason_of(value: Any, key: bytes | None = b"u1") -> str:
    with pytest.raises(RecordError) as caught:
        parse_interaction(record(value, key), {})
    return caught.value.reason


def without(field: str) -> dict[str, Any]:
    return {name: value for name, value in GOOD.items() if name != field}


def test_good_event() -> None:
    event = parse_interaction(record(GOOD), {})
    assert (event.time, ACTIONS[event.action], event.clamped) == (NOW, "like", False)
    assert event.event_id == "interactions-2-41"


def test_an_event_of_a_topic_made_anew_is_another_though_its_place_is_the_same() -> None:
    ids = {
        parse_interaction(replace(record(GOOD), topic_id=topic), {}).event_id
        for topic in (NO_TOPIC, b"o" * 16, b"n" * 16)
    }
    assert len(ids) == 3


def test_own_event_id_is_kept() -> None:
    assert parse_interaction(record({**GOOD, "event_id": "e"}), {}).event_id == "e"


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "not_json"),
        (b"", "not_json"),
        (b"\xff\xfe", "not_json"),
        (b'{"user_id":"\xff"}', "not_json"),
        (b"{", "not_json"),
        (b"[" * 300_000, "invalid_record"),
        (b'{"z":' + b"[" * 300_000 + b"]" * 300_000 + b"}", "not_json"),
        (json.dumps(GOOD).replace(str(NOW), "NaN").encode(), "not_json"),
        (b'{"user_id": "\\ud800"}', "not_json"),
        (b"null", "invalid_record"),
        (b"[]", "invalid_record"),
        (without("user_id"), "invalid_record"),
        (without("timestamp"), "invalid_record"),
        (without("item_id"), "invalid_record"),
        ({**without("item_id"), "media": []}, "invalid_record"),
        ({**GOOD, "user_id": ""}, "invalid_record"),
        ({**GOOD, "user_id": 7}, "invalid_record"),
        ({**GOOD, "item_id": "i" * 513}, "invalid_record"),
        ({**GOOD, "event_id": "e" * 513}, "invalid_record"),
        ({**GOOD, "dwell_seconds": -1}, "invalid_record"),
        ({**GOOD, "watched_fraction": 1.5}, "invalid_record"),
        ({**GOOD, "media": [{"modality": "smell", "text": "x"}]}, "invalid_record"),
        ({**GOOD, "timestamp": True}, "invalid_record"),
        (json.dumps(GOOD).replace(str(NOW), "1e400").encode(), "invalid_record"),
        ({**GOOD, "action": "stare"}, "unknown_action"),
        ({**GOOD, "action": "LIKE"}, "unknown_action"),
        ({**GOOD, "timestamp": "yesterday"}, "bad_timestamp"),
        ({**GOOD, "timestamp": "2023-11-14"}, "bad_timestamp"),
        ({**GOOD, "timestamp": "2023-11-14T22:13:20"}, "bad_timestamp"),
        ({**GOOD, "timestamp": "2023-02-30T00:00:00Z"}, "bad_timestamp"),
        ({**GOOD, "timestamp": ""}, "bad_timestamp"),
        ({**GOOD, "timestamp": -1}, "bad_timestamp"),
    ],
)
def test_odd_values(value: Any, reason: str) -> None:
    assert reason_of(value) == reason


@pytest.mark.parametrize("key", [None, b"", b"u2", b"u1 ", b"\xff"])
def test_key_must_be_the_user(key: bytes | None) -> None:
    assert reason_of(GOOD, key) == "key_mismatch"


def test_foreign_actions_are_mapped() -> None:
    event = parse_interaction(record({**GOOD, "action": "thumbs_up"}), {"thumbs_up": "like"})
    assert ACTIONS[event.action] == "like"


def test_action_mapped_to_nothing_known() -> None:
    with pytest.raises(RecordError, match="unknown action"):
        parse_interaction(record({**GOOD, "action": "x"}), {"x": "y"})


def test_unknown_fields_and_doubled_keys() -> None:
    doubled = (
        b'{"user_id":"other","user_id":"u1","action":"view","timestamp":1,"item_id":"i","extra":{"a":[1]}}'
    )
    assert parse_interaction(record(doubled), {}).interaction.user_id == "u1"


def test_megabyte_of_text() -> None:
    event = parse_interaction(record({**GOOD, "text": "x" * 1_000_000}), {})
    assert len(event.interaction.text or "") == 1_000_000


def test_future_is_clamped() -> None:
    event = parse_interaction(record({**GOOD, "timestamp": NOW * 1000}), {})
    assert (event.time, event.clamped) == (NOW + FUTURE_MS, True)


@pytest.mark.parametrize(
    ("given_header", "kept"),
    [
        (b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", True),
        (b"00-xyz", False),
        (b"\xff", False),
        (None, False),
    ],
)
def test_traceparent(given_header: bytes | None, kept: bool) -> None:
    event = parse_interaction(record(GOOD, headers=[("traceparent", given_header)]), {})
    assert event.traceparent == (given_header.decode() if kept and given_header else None)


@given(st.binary(max_size=300), st.none() | st.binary(max_size=20))
def test_any_bytes(value: bytes, key: bytes | None) -> None:
    for parse in (lambda r: parse_interaction(r, {}), parse_item):
        try:
            parse(record(value, key))
        except RecordError as error:
            assert error.reason in REASONS


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=8,
)


@given(
    st.fixed_dictionaries(
        {"user_id": JSON | st.just("u1"), "action": JSON | st.just("like"), "timestamp": JSON},
        optional=dict.fromkeys(("item_id", "text", "media", "value", "context", "event_id"), JSON),
    )
)
@settings(max_examples=300)
def test_any_json(value: dict[str, Any]) -> None:
    try:
        event = parse_interaction(record(value), {})
    except RecordError as error:
        assert error.reason in REASONS
    else:
        assert isinstance(event, Event)
        assert 0 <= event.time <= NOW + FUTURE_MS


@given(st.dictionaries(st.sampled_from(["item_id", "title", "tags", "media", "published_at", "x"]), JSON))
def test_any_item(value: dict[str, Any]) -> None:
    try:
        parsed = parse_item(record(value, b"i1"))
    except RecordError as error:
        assert error.reason in REASONS
    else:
        assert isinstance(parsed, NewItem)


def test_item_with_its_times() -> None:
    value = {"item_id": "u1", "published_at": "1969-12-31T23:59:59Z", "expires_at": 10**30}
    parsed = parse_item(record(value))
    assert isinstance(parsed, NewItem)
    assert (parsed.published_at, parsed.expires_at) == (-1000, LATEST)


def test_null_item_is_a_withdrawal() -> None:
    parsed = parse_item(record(None, b"i1"))
    assert isinstance(parsed, Withdrawal)
    assert parsed.item_id == "i1"


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        (None, "key_mismatch"),
        (b"", "invalid_record"),
        (b"\xff", "invalid_record"),
        (b"i" * 513, "invalid_record"),
    ],
)
def test_withdrawal_needs_a_good_key(key: bytes | None, reason: str) -> None:
    with pytest.raises(RecordError) as caught:
        parse_item(record(None, key))
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        (NOW, NOW),
        (NOW + 0.9, NOW),
        (str(NOW), NOW),
        (f"{NOW}.9", NOW),
        ("2023-11-14T22:13:20Z", NOW),
        ("2023-11-14t22:13:20z", NOW),
        ("2023-11-14 22:13:20Z", NOW),
        ("2023-11-15T00:13:20+02:00", NOW),
        ("2023-11-14T17:13:20.123456789-05:00", NOW + 123),
        ("2016-12-31T23:59:60Z", 1_483_228_800_000),
        ("9999-12-31T23:59:60Z", LATEST),
        (1_700_000_000, 1_700_000_000),
    ],
)
def test_times(text: float | str, milliseconds: int) -> None:
    assert parse_time(text) == milliseconds


@pytest.mark.parametrize(
    "text",
    ["", "now", "1e5", "0x10", "٣", "2023-11-14T22:13:20", "20231114T221320Z", "2023-W46-2T00:00:00Z",
     "2023-13-01T00:00:00Z", "2023-11-14T24:00:00Z", "0000-01-01T00:00:00Z", "2023-11-14T22:13:20+24:00",
     float("inf"), float("nan"), -(10**20)],
)  # fmt: skip
def test_no_times(text: float | str) -> None:
    with pytest.raises(ValueError):
        parse_time(text)


@given(st.integers(0, LATEST), st.integers(0, LATEST))
def test_clamp_keeps_the_past(time: int, broker: int) -> None:
    held, clamped = clamp(time, broker)
    assert held == min(time, broker + FUTURE_MS)
    assert clamped == (held != time)
