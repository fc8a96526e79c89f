"""The encode stage without Kafka: which vectors a row gets, what is set aside, what is corrected later."""

import json
from typing import Any

import msgspec
import numpy as np
import pytest

from encoders.base import Encoded, Modality
from state.events import ACTIONS, Pack, Row, RowKind
from state.items import EncodedItem
from streams.encode.item_view import ItemView, known
from streams.encode.media import MediaEncoder, Wanted
from streams.encode.packs import Border
from streams.encode.stage import EncodeStage, News, Outcome, Share
from streams.encode.vectors import from_wire, to_wire
from streams.raw import RawRecord
from streams.settings import Settings
from tests.fake_media import FakeBank, FakeFetcher, fake_vector

NOW = 1_700_000_000_000
TEXT, IMAGE, AUDIO, VIDEO = range(4)
BASE = "https://media.test/"


class Bench:
    """A stage with its fakes, fed by hand. Every record gets the next offset of its topic."""

    def __init__(self, settings: Settings | None = None) -> None:
        self.bank = FakeBank()
        self.fetcher = FakeFetcher()
        self.view = ItemView()
        self.view.caught_up.set()
        media = MediaEncoder(self.bank, self.fetcher, 1.0)
        self.stage = EncodeStage(settings or Settings(), media, self.view)
        self.offset = 0
        self.late: dict[Wanted, Encoded] = {}

    def event(self, key: str = "u1", **fields: Any) -> RawRecord:
        value = {"user_id": "u1", "action": "like", "timestamp": NOW, **fields}
        return self.record("interactions", key, json.dumps(value).encode())

    def item(self, item_id: str, **fields: Any) -> RawRecord:
        return self.record("items", item_id, json.dumps({"item_id": item_id, **fields}).encode())

    def record(self, topic: str, key: str, value: bytes | None) -> RawRecord:
        self.offset += 1
        return RawRecord(topic, 1, self.offset - 1, NOW, key.encode(), value)

    def run(self, *records: RawRecord) -> Outcome:
        """Process and settle, as the worker does after a commit."""
        first = min((record.offset for record in records), default=0)
        news = News(frozenset(self.view.take_arrived()), self.late)
        outcome = self.stage.process(records, {1: Border(first)}, news)
        self.stage.settle(outcome)
        return outcome


@pytest.fixture
def bench() -> Bench:
    return Bench()


def rows(outcome: Outcome) -> list[Row]:
    packs = [msgspec.msgpack.decode(value, type=Pack) for _, value in outcome.packs]
    return [row for pack in packs for row in pack.rows]


def row(outcome: Outcome) -> Row:
    (only,) = rows(outcome)
    return only


def items(outcome: Outcome) -> list[EncodedItem | None]:
    return [
        None if value is None else msgspec.msgpack.decode(value, type=EncodedItem)
        for _, value in outcome.items
    ]


def close(wire: bytes, expected: np.ndarray) -> bool:
    return bool(np.allclose(from_wire(wire), expected, atol=1e-3))


def test_item_vectors_and_topics_go_into_the_row(bench: Bench) -> None:
    bench.run(bench.item("i1", title="A cat", tags=["cats"], categories=["pets"], media=[picture("cat")]))
    given = row(bench.run(bench.event(item_id="i1")))
    assert set(given.vectors) == {TEXT, IMAGE}
    assert close(given.vectors[IMAGE], fake_vector(b"cat"))
    assert close(given.vectors[TEXT], fake_vector(b"A cat\ncats"))
    assert given.topics == ("pets", "cats")
    assert given.masked == {}


def test_items_of_the_same_batch_are_known(bench: Bench) -> None:
    outcome = bench.run(bench.event(item_id="i1"), bench.item("i1", title="A cat"))
    assert close(row(outcome).vectors[TEXT], fake_vector(b"A cat"))
    assert len(bench.bank.batches) == 1


@pytest.mark.parametrize("known_first", [True, False])
def test_vectors_of_other_encoders_wait_for_the_item_anew(bench: Bench, known_first: bool) -> None:
    of_others = EncodedItem("i1", 1, -1, encoders="fake-0", tags=("cats",))
    of_others.vectors = {code: to_wire(fake_vector(b"elsewhere")) for code in (TEXT, IMAGE)}
    if known_first:
        bench.view.apply(known(of_others))
        bench.view.use(bench.bank.version)
    else:
        bench.view.use(bench.bank.version)
        bench.view.apply_record(msgspec.msgpack.encode(of_others))
    bench.view.take_arrived()
    given = row(bench.run(bench.event(item_id="i1", media=[picture("dog")])))
    assert set(given.vectors) == {IMAGE}
    assert close(given.vectors[IMAGE], fake_vector(b"dog"))
    assert given.masked == {TEXT: "other_encoders"}
    assert given.topics == ("cats",)
    bare = row(bench.run(bench.event(item_id="i1")))
    assert (bare.vectors, bare.masked) == ({}, dict.fromkeys((TEXT, IMAGE), "other_encoders"))
    amended = rows(bench.run(bench.item("i1", title="A cat", media=[picture("cat")])))
    assert [set(each.vectors) for each in amended] == [{TEXT, IMAGE}] * 2
    assert all(close(each.vectors[TEXT], fake_vector(b"A cat")) for each in amended)


def test_own_media_win_over_the_items(bench: Bench) -> None:
    bench.run(bench.item("i1", title="A cat", media=[picture("cat")]))
    given = row(bench.run(bench.event(item_id="i1", media=[picture("dog")])))
    assert close(given.vectors[IMAGE], fake_vector(b"dog"))
    assert close(given.vectors[TEXT], fake_vector(b"A cat"))


def test_several_media_of_one_modality_are_averaged(bench: Bench) -> None:
    given = row(bench.run(bench.event(media=[picture("cat"), picture("dog"), picture("cat")])))
    mean = (2 * fake_vector(b"cat") + fake_vector(b"dog")) / 3
    assert close(given.vectors[IMAGE], mean / np.linalg.norm(mean))
    assert bench.bank.batches == [[b"cat", b"dog"]]


def test_a_video_brings_its_sound(bench: Bench) -> None:
    given = row(bench.run(bench.event(media=[{"modality": "video", "uri": BASE + "clip"}])))
    assert set(given.vectors) == {VIDEO, AUDIO}


def test_media_may_be_given_as_text_and_as_an_item(bench: Bench) -> None:
    bench.run(bench.item("i1", title="A cat", media=[picture("cat")]))
    media = [{"text": "stars"}, {"item_id": "i1", "modality": "image"}]
    given = row(bench.run(bench.event(media=media)))
    assert close(given.vectors[TEXT], fake_vector(b"stars"))
    assert close(given.vectors[IMAGE], fake_vector(b"cat"))
    assert given.topics == ()


def test_search_words_are_its_text(bench: Bench) -> None:
    bench.run(bench.item("i1", title="A cat"))
    given = row(bench.run(bench.event(action="search", text="dogs", item_id="i1")))
    assert close(given.vectors[TEXT], fake_vector(b"dogs"))
    assert given.text == "dogs"


def test_a_comment_stands_in_where_nothing_else_speaks(bench: Bench) -> None:
    bench.run(bench.item("i1", media=[picture("cat")]))
    alone = row(bench.run(bench.event(action="comment", text="nice", media=[picture("dog")])))
    assert close(alone.vectors[TEXT], fake_vector(b"nice"))
    beside_item = row(bench.run(bench.event(action="comment", text="nice", item_id="i1")))
    assert set(beside_item.vectors) == {IMAGE}
    beside_text = row(bench.run(bench.event(action="comment", text="nice", media=[{"text": "stars"}])))
    assert close(beside_text.vectors[TEXT], fake_vector(b"stars"))


@pytest.mark.parametrize("reason", ["missing", "refused", "too_large", "too_slow", "checksum"])
def test_a_medium_that_cannot_be_fetched_is_masked(bench: Bench, reason: str) -> None:
    outcome = bench.run(bench.event(media=[picture(f"!{reason}"), {"text": "stars"}]))
    assert row(outcome).masked == {IMAGE: reason}
    assert set(row(outcome).vectors) == {TEXT}
    assert outcome.masked["image", reason] == 1


def test_a_medium_of_no_modality_that_cannot_be_fetched_is_told_of(bench: Bench) -> None:
    outcome = bench.run(bench.event(media=[{"uri": "https://media.test/!refused"}]))
    assert outcome.masked["unknown", "refused"] == 1


def test_a_broken_medium_beside_a_good_one_masks_nothing(bench: Bench) -> None:
    given = row(bench.run(bench.event(media=[picture("broken"), picture("cat")])))
    assert given.masked == {}
    assert close(given.vectors[IMAGE], fake_vector(b"cat"))


def test_an_ambiguous_reference_is_broken(bench: Bench) -> None:
    media = [{"modality": "image", "uri": BASE + "cat", "text": "cat"}, {"modality": "audio"}]
    assert row(bench.run(bench.event(media=media))).masked == {IMAGE: "broken", AUDIO: "broken"}


def test_too_many_media_are_not_all_fetched(bench: Bench) -> None:
    many = [{"modality": "audio", "uri": f"{BASE}{number}"} for number in range(1000)]
    outcome = bench.run(bench.event(media=[picture("cat"), *many]))
    assert len(bench.fetcher.asked) == 32
    assert set(row(outcome).vectors) == {IMAGE, AUDIO}


def test_an_event_that_says_nothing_is_kept(bench: Bench) -> None:
    outcome = bench.run(bench.event(text="  "))
    assert row(outcome).vectors == {}
    assert outcome.events["empty"] == 1


def test_a_fatal_medium_makes_a_dead_letter(bench: Bench) -> None:
    record = bench.event(media=[picture("fatal")])
    outcome = bench.run(record, bench.event(media=[picture("cat")]))
    (letter,) = outcome.dead_letters
    assert (letter.record, letter.reason) == (record, "decoder_crash")
    assert row(outcome).offset == 1


def test_a_fatal_medium_of_an_item(bench: Bench) -> None:
    outcome = bench.run(bench.item("i1", media=[picture("fatal")]))
    assert [letter.reason for letter in outcome.dead_letters] == ["decoder_crash"]
    assert not outcome.items


def test_an_error_of_our_own_sets_the_record_aside(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("oops")

    monkeypatch.setattr("streams.encode.stage.draft_event", fail)
    outcome = bench.run(bench.event(item_id="i1"))
    assert [letter.reason for letter in outcome.dead_letters] == ["internal_error"]
    assert len(outcome.packs) == 1


def test_everything_of_the_event_is_passed_on(bench: Bench) -> None:
    trace = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    value = {
        "user_id": "u1", "action": "comment", "timestamp": NOW - 5, "event_id": "e1", "item_id": "i1",
        "value": 4.5, "dwell_seconds": 2, "watched_fraction": 0.5, "text": "nice",
    }  # fmt: skip
    record = RawRecord("interactions", 1, 7, NOW, b"u1", json.dumps(value).encode(), [("traceparent", trace)])
    given = row(bench.run(record))
    assert (given.user_id, given.event_id, given.item_id, given.offset) == ("u1", "e1", "i1", 7)
    assert (given.time, given.broker_time, ACTIONS[given.action]) == (NOW - 5, NOW, "comment")
    assert (given.value, given.dwell_seconds, given.watched_fraction) == (4.5, 2.0, 0.5)
    assert (given.text, given.traceparent, given.kind) == ("nice", trace.decode(), RowKind.EVENT)


def test_an_unknown_item_is_masked_and_amended(bench: Bench) -> None:
    first = bench.run(bench.event(event_id="e1", item_id="i1", media=[picture("dog")]))
    assert row(first).masked == dict.fromkeys((TEXT, AUDIO, VIDEO), "unknown_item")
    second = bench.run(bench.item("i1", title="A cat", tags=["cats"]))
    (pack,) = [msgspec.msgpack.decode(value, type=Pack) for _, value in second.packs]
    assert (pack.first, pack.end) == (-1, -1)
    assert [partition for partition, _ in second.packs] == [1]
    (amended,) = pack.rows
    assert (amended.kind, amended.sequence, amended.offset) == (RowKind.AMEND, 1, -1)
    assert (amended.event_id, amended.user_id, amended.time) == ("e1", "u1", NOW)
    assert set(amended.vectors) == {TEXT, IMAGE}
    assert close(amended.vectors[IMAGE], fake_vector(b"dog"))
    assert amended.topics == ("cats",)
    assert len(bench.stage.pending) == 0


def test_an_item_that_another_worker_encoded_amends_too(bench: Bench) -> None:
    bench.run(bench.event(item_id="i1"))
    elsewhere = Bench()
    for _, value in elsewhere.run(elsewhere.item("i1", title="A cat")).items:
        bench.view.apply_record(value)
    outcome = bench.run()
    assert close(row(outcome).vectors[TEXT], fake_vector(b"A cat"))
    assert rows(bench.run()) == []


def test_a_comment_gives_way_to_the_item_that_arrives(bench: Bench) -> None:
    first = row(bench.run(bench.event(action="comment", text="nice", item_id="i1")))
    assert close(first.vectors[TEXT], fake_vector(b"nice"))
    amended = row(bench.run(bench.item("i1", media=[picture("cat")])))
    assert set(amended.vectors) == {IMAGE}


def test_a_late_medium_amends_its_event(bench: Bench) -> None:
    first = bench.run(bench.event(event_id="e1", media=[picture("!too_slow"), picture("dog")], item_id="i1"))
    (late,) = first.late
    assert late.uri == BASE + "!too_slow"
    bench.late = {late: Encoded(vectors={Modality.IMAGE: fake_vector(b"cat")})}
    amended = row(bench.run())
    mean = fake_vector(b"cat") + fake_vector(b"dog")
    assert close(amended.vectors[IMAGE], mean / np.linalg.norm(mean))
    assert (amended.sequence, amended.masked[TEXT]) == (1, "unknown_item")
    both = row(bench.run(bench.item("i1", title="A cat")))
    assert (both.sequence, set(both.vectors)) == (2, {TEXT, IMAGE})
    assert close(both.vectors[IMAGE], mean / np.linalg.norm(mean))
    assert len(bench.stage.pending) == 0


def test_a_late_medium_renews_its_item(bench: Bench) -> None:
    media = [picture("!missing"), {"modality": "audio", "uri": BASE + "song"}]
    first = bench.run(bench.item("i1", title="A cat", media=media))
    (item,) = items(first)
    assert item is not None
    assert (set(item.vectors), item.masked) == ({TEXT, AUDIO}, {IMAGE: "missing"})
    (late,) = first.late
    bench.late = {late: Encoded(vectors={Modality.IMAGE: fake_vector(b"cat")})}
    renewed = bench.run(bench.event(item_id="i1"))
    (item,) = items(renewed)
    assert item is not None
    assert (set(item.vectors), item.masked, item.offset) == ({TEXT, IMAGE, AUDIO}, {}, 0)
    assert renewed.renewed == {1}
    assert close(row(renewed).vectors[IMAGE], fake_vector(b"cat"))
    assert not bench.stage.waits_for(late)
    assert not bench.run().items


@pytest.mark.parametrize("value", [None, b'{"item_id":"i1","title":"New"}'])
def test_a_new_record_of_an_item_ends_its_waiting(bench: Bench, value: bytes | None) -> None:
    (late,) = bench.run(bench.item("i1", media=[picture("!missing")])).late
    bench.run(bench.record("items", "i1", value))
    bench.late = {late: Encoded(vectors={Modality.IMAGE: fake_vector(b"cat")})}
    assert not bench.run().items


@pytest.mark.parametrize("reason", ["refused", "broken", "too_large", "unsupported", "checksum"])
def test_a_medium_that_will_never_come_is_not_waited_for(bench: Bench, reason: str) -> None:
    outcome = bench.run(bench.event(media=[picture(f"!{reason}")]))
    assert not outcome.late
    assert len(bench.stage.pending) == 0


def test_two_unknown_items_give_two_corrections(bench: Bench) -> None:
    bench.run(bench.event(item_id="i1", media=[{"item_id": "i2", "modality": "image"}]))
    one = row(bench.run(bench.item("i2", media=[picture("cat")])))
    assert (one.sequence, set(one.vectors)) == (1, {IMAGE})
    two = row(bench.run(bench.item("i1", title="A cat")))
    assert (two.sequence, set(two.vectors)) == (2, {TEXT, IMAGE})


def test_what_was_not_committed_changes_nothing(bench: Bench) -> None:
    record = bench.event(item_id="i1")
    bench.run(record)
    item = bench.item("i1", title="A cat")
    aborted = bench.stage.process([item], {})
    again = bench.stage.process([item], {})
    assert (aborted.packs, aborted.items) == (again.packs, again.items)
    assert row(aborted).sequence == 1
    assert bench.view.get("i1") is None


def test_a_withdrawn_item_is_marked_and_then_null(bench: Bench) -> None:
    bench.run(bench.item("i1", title="A cat"))
    outcome = bench.run(bench.record("items", "i1", None))
    marked, null = items(outcome)
    assert marked is not None
    assert (marked.item_id, marked.withdrawn, marked.offset, null) == ("i1", True, 1, None)
    assert {key for key, _ in outcome.items} == {b"i1"}
    assert row(bench.run(bench.event(item_id="i1"))).vectors == {}


def test_a_late_write_never_wins(bench: Bench) -> None:
    other = Bench()
    old = other.run(other.item("i1", title="Old")).items
    new = other.run(other.item("i1", title="New")).items
    gone = other.run(other.record("items", "i1", None)).items
    for _, value in (*new, *old):
        bench.view.apply_record(value)
    assert close(row(bench.run(bench.event(item_id="i1"))).vectors[TEXT], fake_vector(b"New"))
    for _, value in (*gone, *new):
        bench.view.apply_record(value)
    assert bench.view.get("i1") is None


def test_an_item_keeps_what_filters_and_reasons_need(bench: Bench) -> None:
    (item,) = items(
        bench.run(
            bench.item(
                "i1", title="T", tags=["a", "a", " "], categories=["c"], published_at="1970-01-01T00:00:01Z",
                expires_at=5000, available=False, attributes={"price": 3, "in": None}, media=[picture("cat")],
            )
        )
    )  # fmt: skip
    assert item is not None
    assert (item.title, item.tags, item.categories, item.labels) == (
        "T",
        ("a",),
        ("c",),
        ("text-label", "image-label"),
    )
    assert (item.published_at, item.expires_at, item.available) == (1000, 5000, False)
    assert (item.attributes, item.encoders, item.partition) == ({"price": 3.0, "in": None}, "fake-1", 1)


def test_an_item_too_large_for_a_record_is_set_aside(bench: Bench) -> None:
    outcome = bench.run(bench.item("i1", attributes={"a": "x" * 950_000}))
    assert [letter.reason for letter in outcome.dead_letters] == ["too_large"]


def test_no_more_than_the_allowed_media_are_fetched_at_once(bench: Bench) -> None:
    records = [bench.event(media=[picture(str(number // 2))]) for number in range(10)]
    outcome = bench.stage.process(records, {1: Border(0)}, share=Share(media=2))
    assert (outcome.taken, outcome.fetched, len(rows(outcome))) == (4, 2, 4)
    alone = bench.stage.process(
        [bench.event(media=[picture("a"), picture("b")])], {1: Border(0)}, share=Share(media=1)
    )
    assert alone.taken == 1


def picture(name: str) -> dict[str, str]:
    return {"modality": "image", "uri": BASE + name}
