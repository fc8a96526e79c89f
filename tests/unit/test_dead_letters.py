"""Dead letters keep the original bytes, say what was wrong, and always fit into their topic."""

from hypothesis import given
from hypothesis import strategies as st

from streams.dead_letters import (
    MAX_MESSAGE,
    TRUNCATED,
    DeadLetter,
    dead_letter_headers,
    original_headers,
    produce_dead_letter,
    set_aside,
)
from streams.errors import RecordError
from streams.raw import RawHeaders, RawRecord, header

LIMIT = 1_048_588
Sent = list[tuple[bytes | None, bytes | None, list[tuple[str, bytes | None]]]]


def record(value: bytes | None = b"v", key: bytes | None = b"k", headers: RawHeaders = ()) -> RawRecord:
    return RawRecord("interactions", 3, 17, 1, key, value, headers)


def sent(letter: DeadLetter) -> tuple[bytes | None, bytes | None, dict[str, bytes | None]]:
    out: Sent = []
    produce_dead_letter(letter, LIMIT, lambda key, value, headers: out.append((key, value, headers)))
    ((key, value, headers),) = out
    return key, value, dict(headers)


def test_headers_say_where_why_and_when() -> None:
    letter = set_aside(record(), "encode", RecordError("not_json", "müll"), now_ms=99)
    assert sent(letter) == (
        b"k",
        b"v",
        {
            "topic": b"interactions",
            "partition": b"3",
            "offset": b"17",
            "stage": b"encode",
            "error_class": b"not_json",
            "message": "müll".encode(),
            "time": b"99",
            "record_time": b"1",
        },
    )


def test_null_key_and_value_stay_null() -> None:
    assert sent(set_aside(record(None, None), "encode", RecordError("x", "y")))[:2] == (None, None)


def test_a_long_message_is_cut() -> None:
    letter = set_aside(record(), "encode", RecordError("x", "ü" * 2000))
    assert sent(letter)[2]["message"] == ("ü" * MAX_MESSAGE).encode()


def test_original_headers_are_kept_apart() -> None:
    given_headers: RawHeaders = [("topic", b"theirs"), ("traceparent", b"t"), ("empty", None)]
    letter = set_aside(record(headers=given_headers), "encode", RecordError("x", "y"))
    headers = dead_letter_headers(letter)
    assert header(headers, "topic") == b"interactions"
    assert header(headers, "traceparent") == b"t"
    assert original_headers(headers) == given_headers


def test_a_record_that_filled_the_limit_is_cut_and_says_so() -> None:
    letter = set_aside(record(b"x" * 1_048_400), "encode", RecordError("x", "y"))
    _, value, headers = sent(letter)
    assert headers[TRUNCATED] == b"1048400"
    assert value is not None
    assert 1_000_000 < len(value) < 1_048_400


def test_large_headers_go_before_the_value_is_cut() -> None:
    full = record(b"x" * 600_000, headers=[("big", b"h" * 448_000), ("traceparent", b"t")])
    _, value, headers = sent(set_aside(full, "encode", RecordError("x", "y")))
    assert value == b"x" * 600_000
    assert headers["traceparent"] == b"t"
    assert "original-big" not in headers


SIZES = st.integers(0, 1_048_588)


@given(SIZES, SIZES, SIZES, st.text(max_size=600))
def test_it_always_fits(key: int, value: int, extra: int, message: str) -> None:
    full = record(b"v" * value, b"k" * key, [("h", b"x" * extra), ("traceparent", b"t" * extra)])
    sent_key, sent_value, headers = sent(set_aside(full, "encode", RecordError("x", message)))
    assert sent_key is not None
    assert sent_value is not None
    size = sum(len(name) + len(content or b"") for name, content in headers.items())
    assert size + len(sent_key) + len(sent_value) < LIMIT
    assert full.key is not None
    assert full.key.startswith(sent_key)
    assert set(headers) >= {"topic", "partition", "offset", "stage", "error_class", "message", "time"}
