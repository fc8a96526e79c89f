"""The generated contract is current, true to the records, and says no to what the records refuse."""

import json
from typing import Any

import jsonschema
import msgspec
import pytest

from streams import schema
from streams.dead_letters import dead_letter_headers, set_aside
from streams.errors import RecordError
from streams.examples import EXAMPLES
from streams.letters import LetterPlace, Mark
from streams.raw import RawRecord
from streams.records import Interaction
from streams.settings import TopicSettings

TRACE = b"4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def validator(name: str) -> jsonschema.Draft202012Validator:
    loaded = json.loads((schema.FOLDER / name).read_bytes())
    jsonschema.Draft202012Validator.check_schema(loaded)
    return jsonschema.Draft202012Validator(loaded)


def test_the_committed_documents_are_current() -> None:
    committed = {path.name: path.read_bytes() for path in schema.FOLDER.glob("*.json")}
    assert committed == schema.documents(), "run `python -m streams.schema`"


def test_writing_makes_the_same_bytes(tmp_path: Any) -> None:
    paths = schema.write(tmp_path / "schema")
    assert {path.name: path.read_bytes() for path in paths} == schema.documents()


@pytest.mark.parametrize("record", EXAMPLES, ids=lambda record: record.__name__)
def test_examples_are_valid_and_decode_to_themselves(record: type[msgspec.Struct]) -> None:
    raw = msgspec.json.encode(EXAMPLES[record])
    validator(f"{record.__name__.lower()}.json").validate(json.loads(raw))
    assert msgspec.json.decode(raw, type=record) == EXAMPLES[record]


BAD_INTERACTIONS: list[dict[str, Any]] = [
    {"action": "like", "timestamp": 1, "item_id": "i"},
    {"user_id": "", "action": "like", "timestamp": 1, "item_id": "i"},
    {"user_id": "u", "action": "like", "timestamp": [], "item_id": "i"},
    {"user_id": "u", "action": "view", "timestamp": 1},
    {"user_id": "u", "action": "view", "timestamp": 1, "media": []},
    {"user_id": "u", "action": "view", "timestamp": 1, "item_id": None},
    {"user_id": "u", "action": "view", "timestamp": 1, "media": [{"modality": "smell", "text": "x"}]},
    {"user_id": "u", "action": "view", "timestamp": 1, "media": [{"uri": "a", "text": "b"}]},
    {"user_id": "u", "action": "view", "timestamp": 1, "media": [{"modality": "text"}]},
    {"user_id": "u", "action": "view", "timestamp": 1, "text": "x", "watched_fraction": 1.5},
]


@pytest.mark.parametrize("bad", BAD_INTERACTIONS, ids=str)
def test_bad_interactions_are_refused(bad: dict[str, Any]) -> None:
    assert not validator("interaction.json").is_valid(bad)


@pytest.mark.parametrize(
    "good",
    [
        {"user_id": "u", "action": "search", "timestamp": "2026-01-01T00:00:00Z", "text": "sea"},
        {"user_id": "u", "action": "view", "timestamp": 1.5, "media": [{"uri": "data:,x"}], "further": 1},
        {"user_id": "u", "action": "view", "timestamp": 1, "media": [{"uri": None, "text": "x"}]},
        {"user_id": "u", "action": "zap", "timestamp": 1, "item_id": "i", "text": None, "media": []},
    ],
    ids=str,
)
def test_odd_but_good_interactions_pass(good: dict[str, Any]) -> None:
    validator("interaction.json").validate(good)
    assert msgspec.convert(good, Interaction).user_id == "u"


@pytest.mark.parametrize(
    ("command", "good"),
    [
        ({"command": "forget", "user_id": "u"}, True),
        ({"command": "merge", "user_id": "u", "into": "v"}, True),
        ({"command": "merge", "user_id": "u"}, False),
        ({"command": "merge", "user_id": "u", "into": None}, False),
        ({"command": "drop", "user_id": "u"}, False),
        ({"command": "forget"}, False),
    ],
    ids=str,
)
def test_a_merge_says_into_whom(command: dict[str, Any], good: bool) -> None:
    assert validator("usercommand.json").is_valid(command) == good


def resolve(document: dict[str, Any], reference: str) -> Any:
    found: Any = document
    for part in reference.removeprefix("#/").split("/"):
        found = found[part]
    return found


def references(node: Any) -> list[str]:
    if isinstance(node, list):
        return [one for child in node for one in references(child)]
    if isinstance(node, dict):
        own = [node["$ref"]] if "$ref" in node else []
        return own + [one for child in node.values() for one in references(child)]
    return []


def test_every_reference_of_the_asyncapi_document_leads_somewhere() -> None:
    document = schema.asyncapi()
    found = references(document)
    assert len(found) > 15
    for reference in found:
        assert isinstance(resolve(document, reference), dict)


def test_asyncapi_names_the_topics_and_who_sends() -> None:
    document = schema.asyncapi()
    addresses = {name: channel["address"] for name, channel in document["channels"].items()}
    topics = TopicSettings()
    assert addresses == {name: getattr(topics, name) for name in addresses}
    actions = {
        operation["channel"]["$ref"].rpartition("/")[2]: operation["action"]
        for operation in document["operations"].values()
    }
    assert actions == {
        "interactions": "receive",
        "items": "receive",
        "interests": "send",
        "recommendations": "send",
        "interest_descriptions": "send",
        "user_commands": "receive",
        "user_receipts": "send",
        "item_vectors": "send",
        "dead_letters": "send",
    }


def test_asyncapi_examples_fit_their_payloads() -> None:
    document = schema.asyncapi()
    messages = [one for one in document["components"]["messages"].values() if "payload" in one]
    assert len(messages) == 8
    for message in messages:
        rooted = message["payload"] | {"components": document["components"]}
        for example in message["examples"]:
            jsonschema.Draft202012Validator(rooted).validate(example["payload"])


def test_dead_letters_keep_the_promise_of_their_headers() -> None:
    headers = schema.asyncapi()["components"]["schemas"]["DeadLetterHeaders"]
    record = RawRecord("interactions", 3, 42, 0, b"key", b"{", [("traceparent", b"00-" + TRACE)])
    letter = set_aside(record, "decode", RecordError("not_json", "no JSON"), now_ms=5)
    sent = {name: value.decode() for name, value in dead_letter_headers(letter) if value is not None}
    jsonschema.Draft202012Validator(headers).validate(sent)
    assert set(headers["required"]) <= set(sent)
    assert (sent["topic"], sent["partition"], sent["offset"]) == ("interactions", "3", "42")


@pytest.mark.parametrize("event_id", [None, "e"])
def test_marks_keep_the_promise_of_their_headers(event_id: str | None) -> None:
    document = schema.asyncapi()
    assert "RedriveMark" in document["channels"]["dead_letters"]["messages"]
    headers = document["components"]["schemas"]["RedriveMarkHeaders"]
    sent = {
        name: value.decode()
        for name, value in Mark(LetterPlace(1, 5), event_id, 9).headers()
        if value is not None
    }
    jsonschema.Draft202012Validator(headers).validate(sent)
    assert set(sent) <= set(headers["properties"])
