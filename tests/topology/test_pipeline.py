"""The whole way without a broker, on stand-in encoders: from raw records to interests and slates."""

import json
from typing import Any

import msgspec

from streams.encode.media import MediaEncoder
from streams.pipeline import Pipeline
from streams.raw import RawRecord
from streams.records import Interest, Recommendation
from streams.settings import Settings
from tests.fake_media import FakeBank, FakeFetcher

NOW = 1_700_000_000_000


class Way:
    def __init__(self) -> None:
        self.settings = Settings()
        self.pipeline = Pipeline(self.settings, MediaEncoder(FakeBank(), FakeFetcher(), 1.0))
        self.offsets = {"interactions": 0, "items": 0, "user-commands": 0}

    def record(self, topic: str, key: str, value: bytes | None) -> RawRecord:
        offset = self.offsets[topic]
        self.offsets[topic] += 1
        return RawRecord(topic, 0, offset, NOW, key.encode(), value)

    def item(self, name: str, **fields: Any) -> RawRecord:
        value = {"item_id": name, "title": f"the {name}", "categories": [name[0]], **fields}
        return self.record("items", name, json.dumps(value).encode())

    def event(self, user: str, item: str, action: str = "like", **fields: Any) -> RawRecord:
        value = {"user_id": user, "item_id": item, "action": action, "timestamp": NOW, **fields}
        return self.record("interactions", user, json.dumps(value).encode())

    def command(self, name: str, user: str, **fields: Any) -> RawRecord:
        value = {"command": name, "user_id": user, "timestamp": NOW + 1, **fields}
        return self.record("user-commands", user, json.dumps(value).encode())

    def slate(self, user: str) -> list[str]:
        outputs = [output for output in self.pipeline.read("recommendations") if output.key == user.encode()]
        slate = msgspec.json.decode(outputs[-1].value or b"", type=Recommendation)
        return [item.item_id for item in slate.items]


def test_an_event_becomes_an_interest_and_a_slate_without_what_was_seen() -> None:
    way = Way()
    way.pipeline.send([way.item("a1"), way.item("a2"), way.item("b1")])
    way.pipeline.send([way.event("ann", "a1")])
    interest = msgspec.json.decode(way.pipeline.read("interests")[0].value or b"", type=Interest)
    assert (interest.user_id, interest.version, interest.event_count) == ("ann", 1, 1)
    assert interest.as_of == {"0": 1}
    assert sorted(way.slate("ann")) == ["a2", "b1"]


def test_the_context_of_the_last_event_that_has_one_goes_out_with_both_outputs() -> None:
    way = Way()
    way.pipeline.send([way.item("a1"), way.item("a2")])
    way.pipeline.send([way.event("ann", "a1")])
    page = {"page": "höme", "request": {"id": 7, "tags": [None, 1.5]}}
    way.pipeline.send([way.event("ann", "a1", context={"page": "no"}), way.event("ann", "a2", context=page)])
    way.pipeline.send([way.event("ann", "a2", context=page), way.event("ann", "a1")])
    for topic in ("interests", "recommendations"):
        contexts = [json.loads(output.value or b"").get("context") for output in way.pipeline.read(topic)]
        assert contexts == [None, page, page]


def test_a_context_that_is_too_large_is_refused() -> None:
    way = Way()
    outcome = way.pipeline.send([way.event("ann", "a1", context={"page": "x" * 5_000})])
    assert outcome.dead_letters[0].message.startswith("context: 5011 bytes")


def test_disliked_and_withdrawn_items_are_not_shown_again() -> None:
    way = Way()
    way.pipeline.send([way.item(name) for name in ("a1", "a2", "b1", "b2")])
    way.pipeline.send([way.event("ann", "a1"), way.event("ann", "b1", "dislike")])
    assert sorted(way.slate("ann")) == ["a2", "b2"]
    way.pipeline.send([way.record("items", "a2", None), way.event("ann", "b2", "view")])
    assert way.slate("ann") == []


def test_a_bad_record_is_set_aside_and_the_next_one_counts() -> None:
    way = Way()
    outcome = way.pipeline.send(
        [way.item("a1"), way.record("interactions", "ann", b"{nonsense"), way.event("ann", "a1")]
    )
    assert len(outcome.dead_letters) == 1
    assert [output.key for output in way.pipeline.read("interests")] == [b"ann"]


def test_an_event_of_an_unknown_item_is_amended_when_the_item_comes() -> None:
    way = Way()
    way.pipeline.send([way.event("ann", "later")])
    way.pipeline.send([way.item("later")])
    interests = [
        msgspec.json.decode(output.value or b"", type=Interest) for output in way.pipeline.read("interests")
    ]
    assert [interest.version for interest in interests] == [1, 2]
    assert [interest.event_count for interest in interests] == [1, 1]
    assert not any(interests[0].vector) and any(interests[1].vector)


def test_commands_about_users_take_the_way_of_events() -> None:
    way = Way()
    way.pipeline.send([way.item("a1"), way.item("a2"), way.event("visitor", "a1"), way.event("bob", "a2")])
    way.pipeline.send([way.command("merge", "visitor", into="ann"), way.command("forget", "bob")])
    last = {output.key: output.value for output in way.pipeline.read("interests")}
    assert last[b"visitor"] is None and last[b"bob"] is None
    assert msgspec.json.decode(last[b"ann"] or b"", type=Interest).event_count == 1
    receipts = [json.loads(output.value or b"") for output in way.pipeline.read("user-receipts")]
    assert sorted((each["command"], each["user_id"]) for each in receipts) == [
        ("forget", "bob"),
        ("merge", "visitor"),
    ]


def test_a_command_that_is_none_is_set_aside() -> None:
    way = Way()
    outcome = way.pipeline.send([way.command("merge", "ann"), way.event("ann", "a1")])
    assert [letter.reason for letter in outcome.dead_letters] == ["invalid_record"]
    assert [output.key for output in way.pipeline.read("interests")] == [b"ann"]
