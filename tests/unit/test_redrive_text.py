"""How letters are shown."""

import json

import pytest

from streams.dead_letters import DeadLetter
from streams.letter_text import HEX_BYTES, Summary, letter_json, letter_line, letter_page, moment, printable
from streams.letters import Letter, LetterPlace, Mark
from streams.raw import RawHeaders, RawRecord

TIME = 1_769_860_800_123
MARK = Mark(LetterPlace(1, 5), "e", TIME + 1)


def letter(
    value: bytes | None, key: bytes | None = b"u1", headers: RawHeaders = (), message: str = "unknown 'x'"
) -> Letter:
    record = RawRecord("interactions", 2, 17, 99, key, value, headers)
    return Letter(LetterPlace(1, 5), DeadLetter(record, "encode", "unknown_action", message, TIME))


def page(one: Letter, mark: Mark | None = None) -> str:
    return "\n".join(letter_page(one, mark))


def test_a_line() -> None:
    assert letter_line(letter(b"{}"), None) == (
        "1:5  2026-01-31T12:00:00.123Z  encode  unknown_action  interactions-2@17  key=u1  2 B  unknown 'x'"
    )
    assert "  redriven  " in letter_line(letter(b"{}"), MARK)
    assert "key=none  null" in letter_line(letter(None, None), None)
    assert "key=0xff" in letter_line(letter(b"", b"\xff"), None)


def test_what_a_terminal_would_obey_is_escaped() -> None:
    hostile = letter(b'{"a": "\xc2\x9b2J"}', b"\x1b[2J", [("\x1bh", b"\x07")], "a\nb\x1b")
    for text in (letter_line(hostile, None), page(hostile)):
        assert all(c.isprintable() or c == "\n" for c in text)
    assert "\n" not in letter_line(hostile, None)
    assert printable("a\nb") == "a\\nb"


def test_a_page_of_json() -> None:
    shown = page(letter(b'{"b":1,"a":[1.50]}', headers=[("x", b"y"), ("n", None)]), MARK)
    assert shown.splitlines() == [
        "letter      1:5",
        "record      interactions-2, offset 17",
        "key         u1",
        "stage       encode",
        "error       unknown_action: unknown 'x'",
        "set aside   2026-01-31T12:00:00.123Z",
        "redriven    2026-01-31T12:00:00.124Z",
        "header      x: y",
        "header      n: none",
        "value       18 bytes, JSON",
        "{",
        '  "b": 1,',
        '  "a": [',
        "    1.50",
        "  ]",
        "}",
    ]


def test_a_page_of_bytes() -> None:
    *_, kind, first, second = page(letter(b"{this is not json\xff")).splitlines()
    assert kind == "value       18 bytes, not JSON"
    assert first == "00000000  7b 74 68 69 73 20 69 73 20 6e 6f 74 20 6a 73 6f  {this is not jso"
    assert second == f"00000010  6e ff{' ' * 44}n."


def test_a_page_of_many_bytes_and_of_none() -> None:
    assert page(letter(b"\xff" * (HEX_BYTES + 7))).endswith("... 7 bytes more; --raw gives all")
    assert page(letter(None)).endswith("value       null")
    assert "not JSON" in page(letter(b"[" * 100_000))


def test_a_cut_letter() -> None:
    whole = letter(b"{")
    cut = Letter(whole.place, whole.dead, 5_000)
    assert "1 bytes, the beginning of 5,000, not JSON" in page(cut)
    assert json.loads(letter_json(cut, None))["truncated"] == 5_000


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (b'{\n"a":\t1.50 }', {"value": {"a": 1.5}}),
        (None, {"value": None}),
        (b"{\xff", {"value_base64": "e/8="}),
    ],
)
def test_a_json_line(value: bytes | None, told: dict[str, object]) -> None:
    line = letter_json(letter(value, headers=[("x", b"y")]), None)
    assert b"\n" not in line
    assert json.loads(line) == {
        "letter": "1:5",
        "topic": "interactions",
        "partition": 2,
        "offset": 17,
        "key": "u1",
        "stage": "encode",
        "error_class": "unknown_action",
        "message": "unknown 'x'",
        "time": TIME,
        "headers": [["x", "y"]],
        **told,
    }
    assert json.loads(letter_json(letter(value), MARK))["redriven"] == TIME + 1


def test_counts() -> None:
    summary = Summary()
    summary.add(letter(b"1"), None)
    summary.add(letter(b"2"), MARK)
    other = letter(b"3")
    summary.add(Letter(other.place, DeadLetter(other.dead.record, "encode", "not_json", "m", TIME - 1)), None)
    at = "2026-01-31T12:00:00.123Z"
    before = "2026-01-31T12:00:00.122Z"
    assert list(summary.lines()) == [
        f"        2  unknown_action  encode  interactions  {at} to {at}, 1 redriven",
        f"        1  not_json  encode  interactions  {before} to {before}",
    ]
    assert [json.loads(line)["letters"] for line in summary.json_lines()] == [2, 1]


def test_moments() -> None:
    assert moment(0) == "1970-01-01T00:00:00.000Z"
    assert moment(253_402_300_799_999) == "9999-12-31T23:59:59.999Z"
