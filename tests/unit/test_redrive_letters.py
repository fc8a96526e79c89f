"""Dead letters read again: what was written comes back, and nothing else passes for a letter or a mark."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.dead_letters import TRUNCATED, dead_letter_headers, produce_dead_letter, set_aside
from streams.encode.parsing import made_event_id
from streams.errors import RecordError
from streams.letters import Letter, LetterPlace, Mark, Selection, parse_letter, parse_mark
from streams.raw import RawHeaders, RawRecord
from streams.reading import Stretch

HEADERS = st.lists(st.tuples(st.text(max_size=8), st.one_of(st.none(), st.binary(max_size=8))), max_size=4)


def kept(value: bytes | None, key: bytes | None, headers: RawHeaders, limit: int = 100_000) -> RawRecord:
    """A record as it lies in `dead-letters`."""
    original = RawRecord("interactions", 3, 17, 1, key, value, headers)
    letter = set_aside(original, "encode", RecordError("not_json", "müll"), now_ms=99)
    out: list[RawRecord] = []
    produce_dead_letter(
        letter, limit, lambda k, v, h: out.append(RawRecord("dead-letters", 2, 40, 100, k, v, h))
    )
    return out[0]


@given(st.one_of(st.none(), st.binary(max_size=20)), st.one_of(st.none(), st.binary(max_size=20)), HEADERS)
def test_a_letter_comes_back_as_it_was(value: bytes | None, key: bytes | None, headers: RawHeaders) -> None:
    letter = parse_letter(kept(value, key, headers))
    assert letter is not None
    assert letter.place == LetterPlace(2, 40)
    assert letter.dead.record == RawRecord("interactions", 3, 17, 1, key, value, headers)
    assert (letter.dead.stage, letter.dead.reason, letter.dead.message, letter.dead.time) == (
        "encode",
        "not_json",
        "müll",
        99,
    )
    assert letter.cut_from is None
    assert parse_mark(kept(value, key, headers)) is None


def test_a_letter_tells_which_topic_its_record_is_of() -> None:
    """Its place alone would be that of another event, once the topic was made anew."""
    record = RawRecord("interactions", 3, 17, 1, b"k", b"v", topic_id=bytes(range(16)))
    headers = dead_letter_headers(set_aside(record, "encode", RecordError("not_json", "odd")))
    letter = parse_letter(RawRecord("dead-letters", 1, 2, 3, b"k", b"v", headers))
    assert letter is not None and letter.dead.record.topic_id == record.topic_id
    assert made_event_id(letter.dead.record) == "interactions-3-17@AAECAwQFBgcICQoLDA0ODw"


def test_a_letter_without_its_records_time_has_its_own() -> None:
    """As older builds wrote them."""
    record = kept(b"v", b"k", ())
    older = replace(record, headers=[each for each in record.headers if each[0] != "record_time"])
    letter = parse_letter(older)
    assert letter is not None and letter.dead.record.timestamp == letter.dead.time == 99


def test_a_cut_letter_says_so() -> None:
    letter = parse_letter(kept(b"x" * 5_000, b"k", (), limit=2_000))
    assert letter is not None
    assert letter.cut_from == 5_000
    assert len(letter.dead.record.value or b"") < 1_000


@pytest.mark.parametrize(
    "changes",
    [
        {"partition": b"x"},
        {"offset": None},
        {"time": b""},
        {"time": b"-1"},
        {"time": b"9" * 30},
        {TRUNCATED: b"x"},
    ],
)
def test_other_records_are_no_letters(changes: dict[str, bytes | None]) -> None:
    original = RawRecord("interactions", 3, 17, 1, b"k", b"v")
    headers = dict(dead_letter_headers(set_aside(original, "encode", RecordError("r", "m"), 1)))
    record = RawRecord("dead-letters", 0, 0, 0, b"k", b"v", list({**headers, **changes}.items()))
    assert parse_letter(record) is None
    assert parse_letter(RawRecord("dead-letters", 0, 0, 0, b"k", b"v")) is None


@pytest.mark.parametrize("event_id", [None, "e", "müll"])
def test_a_mark_comes_back(event_id: str | None) -> None:
    mark = Mark(LetterPlace(2, 40), event_id, 99)
    record = RawRecord("dead-letters", 2, 41, 100, b"k", None, mark.headers())
    assert parse_mark(record) == mark
    assert parse_letter(record) is None


def test_a_letter_of_a_redriven_record_is_no_mark() -> None:
    record = kept(b"v", b"k", [("redriven", b"2:3")])
    assert parse_mark(record) is None
    assert parse_letter(record) is not None


@pytest.mark.parametrize("text", ["", "1", "1:", ":1", "a:1", "1:-1", "1:2:3", " 1:2", "٣:1", "1.0:2"])
def test_a_place_is_two_numbers(text: str) -> None:
    with pytest.raises(ValueError, match="PARTITION:OFFSET"):
        LetterPlace.parse(text)


def test_a_place_reads_as_it_is_written() -> None:
    assert LetterPlace.parse(str(LetterPlace(12, 345))) == LetterPlace(12, 345)


@pytest.mark.parametrize(
    ("selection", "taken"),
    [
        (Selection(), True),
        (Selection(stages=frozenset({"encode", "interests"})), True),
        (Selection(stages=frozenset({"interests"})), False),
        (Selection(reasons=frozenset({"not_json"})), True),
        (Selection(reasons=frozenset({"unknown_action"})), False),
        (Selection(topics=frozenset({"interactions"})), True),
        (Selection(topics=frozenset({"items"})), False),
        (Selection(keys=frozenset({b"k"})), True),
        (Selection(keys=frozenset({b"K"})), False),
        (Selection(since=99), True),
        (Selection(since=100), False),
        (Selection(until=100), True),
        (Selection(until=99), False),
        (Selection(places=frozenset({LetterPlace(2, 40)})), True),
        (Selection(places=frozenset({LetterPlace(2, 41)})), False),
        (Selection(keys=frozenset({b"k"}), stages=frozenset({"interests"})), False),
    ],
)
def test_selection(selection: Selection, taken: bool) -> None:
    letter = parse_letter(kept(b"v", b"k", ()))
    assert isinstance(letter, Letter)
    assert selection.takes(letter) is taken


def test_named_letters_need_only_what_lies_behind_them() -> None:
    stretches = [Stretch("d", number, 10, 100) for number in range(3)]
    named = Selection(places=frozenset({LetterPlace(1, 50), LetterPlace(1, 70), LetterPlace(2, 5)}))
    assert named.narrowed(stretches) == [Stretch("d", 1, 50, 100), Stretch("d", 2, 10, 100)]
    assert Selection().narrowed(stretches) == stretches
