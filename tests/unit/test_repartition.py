"""Copies under their users' ids: what goes along, what is set aside, and what a copy tells of its origin."""

import json
from dataclasses import replace

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from state.events import NO_TOPIC, Pack
from streams.dead_letters import set_aside
from streams.encode.item_view import ItemView
from streams.encode.packs import Border
from streams.encode.parsing import parse_interaction
from streams.encode.stage import EncodeStage
from streams.errors import RecordError
from streams.raw import RawHeaders, RawRecord
from streams.repartition.origin import ORIGIN, ORIGIN_KEY, origin_headers, with_origin
from streams.repartition.stage import Copy, rekey
from streams.settings import Settings, TopicSettings
from tests.fake_media import fake_media

LIMIT = 1_052_684
SETTINGS = Settings(topics=TopicSettings(repartition=True))
GOOD = {"user_id": "ann", "action": "like", "timestamp": 1_700_000_000_000, "text": "words"}


def record(
    value: bytes | None, key: bytes | None = None, offset: int = 17, headers: RawHeaders = ()
) -> RawRecord:
    return RawRecord("interactions", 3, offset, 1_700_000_000_500, key, value, headers)


def event(**fields: object) -> bytes:
    return json.dumps({**GOOD, **fields}).encode()


def copied(one: RawRecord) -> Copy:
    outcome = rekey([one], LIMIT)
    assert not outcome.dead_letters
    (copy,) = outcome.copies
    return copy


def read_again(copy: Copy, offset: int = 0) -> RawRecord:
    """As the encode worker reads it: with a time and a place of its own."""
    return with_origin(
        RawRecord("interactions.by-user", 1, offset, 1_800_000_000_000, copy.key, copy.value, copy.headers)
    )


def test_the_value_goes_on_to_the_byte_under_the_users_id() -> None:
    value = b' {"more": 1,  "user_id" : "\\u00fc", "x": [1.00]}'
    copy = copied(record(value, key=b"session-9"))
    assert (copy.key, copy.value) == ("ü".encode(), value)


@pytest.mark.parametrize("key", [None, b"", b"ann", b"session-9", b"\xff"])
def test_a_copy_remembers_the_record_that_it_was_made_from(key: bytes | None) -> None:
    original = record(event(), key, headers=[("traceparent", b"t"), ("x", None), ("x", b"2")])
    again = read_again(copied(original), offset=5)
    assert (again.topic, again.partition, again.offset, again.key) == ("interactions.by-user", 1, 5, b"ann")
    assert again.original == original
    assert (again.timestamp, list(again.headers)) == (original.timestamp, list(original.headers))


@given(st.lists(st.tuples(st.sampled_from([ORIGIN, ORIGIN_KEY, "x"]), st.none() | st.binary(max_size=3))))
def test_headers_of_the_same_names_do_no_harm(headers: list[tuple[str, bytes | None]]) -> None:
    original = record(event(), b"k", headers=headers)
    assert read_again(copied(original)).original == original


@pytest.mark.parametrize("value", [None, b"", b"x", b'["interactions",1]', b'{"a":1}'])
def test_an_origin_that_cannot_be_read_is_none(value: bytes | None) -> None:
    foreign = RawRecord("interactions.by-user", 1, 5, 9, b"ann", event(), [(ORIGIN, value)])
    assert with_origin(foreign) == foreign
    assert foreign.original is foreign


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "not_json"),
        (b"", "not_json"),
        (b"{this is not", "not_json"),
        (b"\xff\xfe", "not_json"),
        (b'{"x":' + b"[" * 100_000, "not_json"),
        (b'"ann"', "invalid_record"),
        (b"{}", "invalid_record"),
        (b'{"user_id": 5}', "invalid_record"),
        (b'{"user_id": ""}', "invalid_record"),
        (b'{"user_id": "' + b"u" * 513 + b'"}', "invalid_record"),
    ],
)
def test_what_has_no_user_is_set_aside_with_its_place(value: bytes | None, reason: str) -> None:
    outcome = rekey([record(value, b"k"), record(event(), offset=18)], LIMIT)
    (letter,) = outcome.dead_letters
    assert (letter.reason, letter.stage) == (reason, "repartition")
    assert letter.record == record(value, b"k")
    assert len(outcome.copies) == 1


def test_a_copy_that_the_topic_would_refuse_is_set_aside() -> None:
    outcome = rekey([record(event(text="x" * 5_000))], 5_000)
    assert [letter.reason for letter in outcome.dead_letters] == ["too_large"]


def test_every_record_that_its_topic_took_fits_as_a_copy() -> None:
    """Kafka counts 61 bytes for the batch and some 20 for the record, so this one is as large as can be."""
    user = "ü" * 512
    value = event(user_id=user, text="")
    value = event(user_id=user, text="x" * (1_048_588 - 81 - len(value)))
    assert not rekey([record(value)], LIMIT).dead_letters


def test_other_faults_are_the_encode_workers_to_tell() -> None:
    copy = copied(record(b'{"user_id": "ann", "action": "stare", "timestamp": 1, "text": "a"}'))
    with pytest.raises(RecordError, match="unknown action") as caught:
        parse_interaction(read_again(copy), {})
    letter = set_aside(read_again(copy), "encode", caught.value)
    assert (letter.record.topic, letter.record.partition, letter.record.offset) == ("interactions", 3, 17)
    assert letter.record.key is None


def test_an_event_without_an_id_is_named_after_its_original_place() -> None:
    assert parse_interaction(read_again(copied(record(event()))), {}).event_id == "interactions-3-17"


def test_the_encode_stage_packs_copies_by_their_own_places() -> None:
    originals = [record(event(event_id=f"e{n}"), offset=17 + n) for n in range(3)]
    copies = [read_again(copied(each), offset=n) for n, each in enumerate(originals)]
    view = ItemView()
    outcome = EncodeStage(SETTINGS, fake_media(), view).process(copies, {1: Border(0)})
    packs = [msgspec.msgpack.decode(value, type=Pack) for _, value in outcome.packs]
    rows = [row for pack in packs for row in pack.rows]
    assert [(row.event_id, row.offset, row.user_id) for row in rows] == [
        ("e0", 0, "ann"),
        ("e1", 1, "ann"),
        ("e2", 2, "ann"),
    ]
    assert {row.broker_time for row in rows} == {1_700_000_000_500}
    assert {partition for partition, _ in outcome.packs} == {1}


def test_origin_headers_say_nothing_twice() -> None:
    assert [name for name, _ in origin_headers(record(event(), b"ann"), b"ann")] == [ORIGIN]
    assert [name for name, _ in origin_headers(record(event(), None), b"ann")] == [ORIGIN, ORIGIN_KEY]


def test_a_copy_remembers_the_topic_that_its_original_is_of() -> None:
    original = replace(record(event(), b"k"), topic_id=b"x" * 16)
    assert read_again(copied(original)).original.topic_id == b"x" * 16


def test_a_copy_of_a_build_that_wrote_no_topic_is_read() -> None:
    headers = [(ORIGIN, b'["interactions",3,17,1]'), (ORIGIN_KEY, None)]
    copy = with_origin(RawRecord("interactions.by-user", 1, 0, 2, b"ann", event(), headers))
    assert (copy.original.offset, copy.original.key, copy.original.topic_id) == (17, None, NO_TOPIC)
