"""What a letter becomes: same key, partition, headers and event id, and only what the worker would take."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from streams.dead_letters import DeadLetter
from streams.encode.parsing import parse_interaction
from streams.encode.timestamps import FUTURE_MS
from streams.errors import RecordError
from streams.letters import Letter, LetterPlace, Mark
from streams.mending import Mending, Redriven, Target
from streams.raw import RawHeaders, RawRecord, header
from streams.records import Interaction
from streams.settings import Settings, TopicSettings

PLACE = LetterPlace(1, 5)
GOOD = {"user_id": "u", "action": "like", "timestamp": 1, "item_id": "i"}
MADE = "interactions-2-17"
TARGETS = {"interactions": Target(4, 1_048_588), "items": Target(4, 1_048_588)}


def letter(
    value: bytes | None, topic: str = "interactions", key: bytes | None = b"u", headers: RawHeaders = ()
) -> Letter:
    record = RawRecord(topic, 2, 17, 99, key, value, headers)
    return Letter(PLACE, DeadLetter(record, "encode", "unknown_action", "why", 99))


def event(**fields: object) -> bytes:
    return json.dumps({**GOOD, **fields}).encode()


def prepare(one: Letter, mend: bytes | None = None, before: Mark | None = None, **how: bool) -> Redriven:
    mends = {} if mend is None else {PLACE: mend}
    return Mending(Settings(), TARGETS, mends, **how).prepare(one, before)


def refusal(one: Letter, mend: bytes | None = None, before: Mark | None = None, **how: bool) -> RecordError:
    with pytest.raises(RecordError) as caught:
        prepare(one, mend, before, **how)
    return caught.value


def test_it_goes_back_to_where_it_came_from() -> None:
    made = prepare(letter(event(event_id="e"), headers=[("traceparent", b"t"), ("x", None)]))
    assert (made.topic, made.partition, made.key) == ("interactions", 2, b"u")
    assert made.headers == [("traceparent", b"t"), ("x", None), ("redriven", b"1:5"), ("first-sent", b"99")]


def test_with_repartition_any_key_will_do_and_is_kept() -> None:
    unkeyed = replace(Settings(), topics=TopicSettings(repartition=True))
    made = Mending(unkeyed, TARGETS, {}).prepare(letter(event(), key=None), None)
    assert (made.topic, made.partition, made.key, made.event_id) == ("interactions", 2, None, MADE)
    assert refusal(letter(event(), key=None)).reason == "key_mismatch"


def test_of_a_record_that_was_redriven_before_only_the_last_letter_is_named() -> None:
    made = prepare(letter(event(), headers=[("redriven", b"0:1"), ("x", b"y")]))
    assert made.headers == [("x", b"y"), ("redriven", b"1:5"), ("first-sent", b"99")]


@pytest.mark.parametrize(("told", "sent"), [(b"7", 7), (b"later", 99), (b"100", 99), (None, 99)])
def test_when_it_came_first_goes_with_it(told: bytes | None, sent: int) -> None:
    """However often it is redriven; a clock that was ahead counts no further ahead by it."""
    first = prepare(letter(event(timestamp=10**13), headers=[] if told is None else [("first-sent", told)]))
    assert header(first.headers, "first-sent") == str(sent).encode()
    record = RawRecord("interactions", 2, 400, 2_000, first.key, first.value, first.headers)
    parsed = parse_interaction(record, {})
    assert (parsed.sent, parsed.time, parsed.clamped) == (sent, sent + FUTURE_MS, True)
    again = Letter(LetterPlace(1, 9), DeadLetter(record, "encode", "internal_error", "why", 99))
    assert header(prepare(again).headers, "first-sent") == str(sent).encode()


def test_a_value_with_its_own_id_stays_as_it_is_to_the_byte() -> None:
    value = b'{ "event_id": "e", "user_id":"u","action":"like","timestamp":1.00,"item_id":"i" }'
    made = prepare(letter(value))
    assert (made.value, made.event_id) == (value, "e")


@pytest.mark.parametrize("value", [event(), event(event_id=None), event().replace(b"{", b"{ ", 1)])
def test_without_one_the_id_is_that_of_the_original_place(value: bytes) -> None:
    made = prepare(letter(value))
    assert made.value is not None
    assert json.loads(made.value) == {**GOOD, "event_id": MADE}
    worker = parse_interaction(RawRecord("interactions", 2, 17, 99, b"u", event()), {})
    assert made.event_id == worker.event_id == MADE


def test_writing_the_id_leaves_all_other_members_alone() -> None:
    value = event()[:-1] + b', "n": 1.500, "big": 123456789012345678901, "o": { "a" : [] }, "\\u00e9": 1}'
    made = prepare(letter(value))
    assert made.value is not None
    assert b'"n":1.500,' in made.value and b'"big":123456789012345678901,' in made.value
    assert b'"o":{ "a" : [] },' in made.value
    assert json.loads(made.value) == {**json.loads(value), "event_id": MADE}


class TestMended:
    def test_the_id_of_the_original_is_written_into_the_mended_value(self) -> None:
        made = prepare(letter(event(event_id="e", action="stare")), event())
        assert json.loads(made.value or b"") == {**GOOD, "event_id": "e"}

    def test_another_id_than_the_original_is_refused(self) -> None:
        refused = refusal(letter(event(event_id="e", action="stare")), event(event_id="f"))
        assert refused.reason == "event_id"
        assert "'f'" in str(refused) and "'e'" in str(refused)

    def test_what_was_no_json_gets_the_id_of_its_place(self) -> None:
        made = prepare(letter(b"{"), event())
        assert (made.event_id, json.loads(made.value or b"")["event_id"]) == (MADE, MADE)

    def test_what_was_no_json_may_be_given_the_id_that_it_had(self) -> None:
        value = event(event_id="e")
        made = prepare(letter(b'{"event_id": "e", "user'), value)
        assert (made.event_id, made.value) == ("e", value)

    def test_a_second_time_the_id_of_the_first_time_holds(self) -> None:
        before = Mark(PLACE, "e", 1)
        assert prepare(letter(b"{"), event(), before).event_id == "e"
        assert refusal(letter(b"{"), event(event_id="f"), before).reason == "event_id"

    def test_an_id_that_was_no_valid_one_is_none(self) -> None:
        assert prepare(letter(event(event_id=7)), event()).event_id == MADE
        assert prepare(letter(event(event_id="")), event(event_id="7")).event_id == "7"

    def test_mended_but_still_bad(self) -> None:
        assert refusal(letter(b"{"), event(action="gape")).reason == "unknown_action"
        assert refusal(letter(b"{"), event(event_id=7)).reason == "invalid_record"
        assert refusal(letter(b"{"), b"[]").reason == "not_json"
        assert refusal(letter(b"{"), b"null").reason == "not_json"


class TestStillBad:
    @pytest.mark.parametrize(
        ("value", "reason"),
        [
            (None, "not_json"),
            (b"", "not_json"),
            (b"{", "not_json"),
            (b"\xff", "not_json"),
            (b"[" * 100_000, "not_json"),
            (event(action="stare"), "unknown_action"),
            (event(timestamp="soon"), "bad_timestamp"),
            (event(user_id="v"), "key_mismatch"),
            (event(event_id=7), "invalid_record"),
            (event(text="?").replace(b"?", b"\xff"), "not_json"),
        ],
    )
    def test_the_reason_is_told(self, value: bytes | None, reason: str) -> None:
        assert refusal(letter(value)).reason == reason

    def test_an_unknown_action_that_the_settings_map_is_good(self) -> None:
        settings = replace(Settings(), actions={"stare": "view"})
        one = letter(event(action="stare"))
        assert Mending(settings, TARGETS, {}).prepare(one, None).event_id == MADE
        assert "[actions]" in str(refusal(one))

    @given(st.binary(max_size=60))
    def test_bytes_are_refused_or_good(self, value: bytes) -> None:
        try:
            made = prepare(letter(value))
        except RecordError:
            return
        assert made.value is not None
        parse_interaction(RawRecord("interactions", 2, 17, 99, made.key, made.value), {})


class TestRekey:
    def test_the_user_decides_key_and_partition(self) -> None:
        made = prepare(letter(event(user_id="v")), rekey=True)
        assert (made.key, made.partition, made.event_id) == (b"v", None, MADE)
        made = prepare(letter(event(), key=None), rekey=True)
        assert (made.key, made.partition) == (b"u", None)

    def test_a_key_that_was_right_keeps_its_partition(self) -> None:
        assert prepare(letter(event()), rekey=True).partition == 2

    def test_without_it_the_way_is_told(self) -> None:
        assert "--rekey" in str(refusal(letter(event(), key=None)))


class TestItems:
    def test_an_item_goes_back_without_an_event_id(self) -> None:
        made = prepare(letter(b'{"item_id":"i"}', "items", b"i"))
        assert (made.topic, made.partition, made.key, made.event_id) == ("items", 2, b"i", None)
        assert made.value == b'{"item_id":"i"}'

    def test_null_withdraws(self) -> None:
        assert prepare(letter(b"{", "items", b"i"), b" null\n").value is None
        assert prepare(letter(None, "items", b"i")).value is None

    def test_a_withdrawal_without_a_key_cannot_be_mended(self) -> None:
        refused = refusal(letter(None, "items", None))
        assert refused.reason == "key_mismatch"
        assert "penchant items withdraw" in str(refused)

    def test_still_bad(self) -> None:
        assert refusal(letter(b"{", "items", b"i")).reason == "not_json"
        assert refusal(letter(b"{", "items", b"i"), b'{"item_id":"j"}').reason == "key_mismatch"


class TestPlaces:
    def test_other_topics_cannot_be_written_again(self) -> None:
        refused = refusal(letter(event(), "interactions.encoded"))
        assert refused.reason == "foreign_topic"
        assert "interactions.encoded" in str(refused)

    def test_a_partition_that_is_gone(self) -> None:
        narrow = {"interactions": Target(2, 1_000_000)}
        with pytest.raises(RecordError, match="no partition 2") as caught:
            Mending(Settings(), narrow, {}).prepare(letter(event()), None)
        assert caught.value.reason == "no_partition"

    def test_a_value_that_no_longer_fits_with_its_id(self) -> None:
        tight = {"interactions": Target(4, 1_000)}
        with pytest.raises(RecordError) as caught:
            Mending(Settings(), tight, {}).prepare(letter(event(text="x" * 900)), None)
        assert caught.value.reason == "too_large"


FIELDS = set(Interaction.__struct_fields__)
UNKNOWN = st.text(max_size=5).filter(lambda name: name not in FIELDS)
"""Hypothesis knows the words of the code, `text` among them, and tries them."""


@given(
    st.dictionaries(UNKNOWN, st.one_of(st.none(), st.integers(), st.text(max_size=5)), max_size=4),
    st.one_of(st.none(), st.text(min_size=1, max_size=20)),
)
def test_twice_redriven_is_the_same_event(extra: dict[str, object], own: str | None) -> None:
    """Also where the redriven record itself was set aside, and its letter is redriven."""
    body = {**extra, **GOOD, **({} if own is None else {"event_id": own})}
    if own is None:
        body.pop("event_id", None)
    first = prepare(letter(json.dumps(body).encode()))
    sent = RawRecord("interactions", 2, 400, 1, first.key, first.value, first.headers)
    again = Letter(LetterPlace(1, 9), DeadLetter(sent, "encode", "internal_error", "why", 99))
    second = prepare(again)
    assert first.event_id == second.event_id == (own or MADE)
    assert second.value == first.value
    assert header(second.headers, "redriven") == b"1:9"
