"""The public contract on paper: JSON Schema of each record and one AsyncAPI 3 document, in docs/schema.

`python -m streams.schema [FOLDER]` writes them; the same structs always give the same bytes.
"""

import json
import sys
from pathlib import Path
from typing import Any, Literal

import msgspec

from state.events import Action
from streams.examples import EXAMPLES
from streams.records import (
    Interaction,
    Interest,
    InterestDescription,
    Item,
    ItemVector,
    Recommendation,
    UserCommand,
    UserReceipt,
)
from streams.settings import TopicSettings

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "schema"
DIALECT = "https://json-schema.org/draft/2020-12/schema"
DOCUMENT_VERSION = "1.0.0"
"""Version of the public records: grows in the first place when a reader of old records would break."""

Json = dict[str, Any]
Side = Literal["send", "receive"]
Record = type[msgspec.Struct]


class Channel(msgspec.Struct, frozen=True):
    """A public topic as its users see it. `side` is what Penchant itself does with it."""

    setting: str
    side: Side
    cleanup: str
    key: str
    summary: str
    record: Record | None = None
    """None: the value is any bytes."""
    headers: str | None = None
    withdraws: bool = False
    """Whether a null value means that the key is gone."""
    marks: str | None = None
    """A second kind of message in it, with a null value: all that it says is in its headers."""


CHANNELS = (
    Channel(
        "interactions",
        "receive",
        "delete",
        "user_id",
        "What users do. All events of a user go to one partition; the partitioner is murmur2. With the "
        "setting topics.repartition any key will do, and none.",
        Interaction,
        "InputHeaders",
    ),
    Channel(
        "items",
        "receive",
        "compact",
        "item_id",
        "The catalogue. A null value withdraws the item.",
        Item,
        withdraws=True,
    ),
    Channel(
        "interests",
        "send",
        "compact",
        "user_id",
        "Each user's interests after each change. An upsert: the highest version holds.",
        Interest,
        "OutputHeaders",
        withdraws=True,
    ),
    Channel(
        "recommendations",
        "send",
        "compact",
        "user_id",
        "Each user's slate after each change. An upsert: the highest version holds.",
        Recommendation,
        "OutputHeaders",
        withdraws=True,
    ),
    Channel(
        "interest_descriptions",
        "send",
        "compact",
        "user_id",
        "Each user's interests in words, where describe.enabled is on: written anew when they have changed "
        "enough. An upsert: the latest holds.",
        InterestDescription,
        "DescriptionHeaders",
        withdraws=True,
    ),
    Channel(
        "user_commands",
        "receive",
        "delete",
        "user_id",
        "What to do about users: forget one, or merge one into another. Users' events must be placed by "
        "murmur2 for it.",
        UserCommand,
    ),
    Channel(
        "user_receipts",
        "send",
        "delete",
        "user_id",
        "One for each command that is done: states, changelog and compacted topics know it from then on.",
        UserReceipt,
    ),
    Channel(
        "item_vectors",
        "send",
        "compact",
        "item_id",
        "The catalogue in the space of the interests' vectors, where interests.item_vectors is on.",
        ItemVector,
        withdraws=True,
    ),
    Channel(
        "dead_letters",
        "send",
        "delete",
        "key of the original record",
        "Records that could not be used: key and value are the original bytes, headers say what was wrong.",
        headers="DeadLetterHeaders",
        marks="RedriveMark",
    ),
)

_TEXT: Json = {"type": "string"}
_NUMBER: Json = {"type": "string", "pattern": "^[0-9]+$"}
_TRACE: Json = {
    "type": "string",
    "pattern": "^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}",
    "description": "W3C trace context, passed on from the input.",
}
_DEAD_LETTER: dict[str, Json] = {
    "topic": _TEXT | {"description": "Topic of the original record."},
    "partition": _NUMBER | {"description": "Its partition."},
    "offset": _NUMBER | {"description": "Its offset."},
    "stage": _TEXT | {"description": "Stage that set it aside."},
    "error_class": _TEXT | {"description": "Short word for what is wrong, such as not_json."},
    "message": _TEXT | {"description": "What is wrong, in plain words."},
    "time": _NUMBER | {"description": "When it was set aside, epoch milliseconds."},
}
_REDRIVE_MARK: dict[str, Json] = {
    "redriven": {
        "type": "string",
        "pattern": "^[0-9]+:[0-9]+$",
        "description": "Partition and offset, in this topic, of the letter that was redriven.",
    },
    "time": _NUMBER | {"description": "When it was redriven, epoch milliseconds."},
    "event_id": _TEXT | {"description": "The id of the event; absent for an item."},
}


def record_schemas() -> dict[str, Json]:
    """File name to JSON Schema (draft 2020-12) of every public record."""
    records = [channel.record for channel in CHANNELS if channel.record is not None]
    return {
        f"{record.__name__.lower()}.json": {"$schema": DIALECT}
        | _tighten(msgspec.json.schema(record), "$defs")
        for record in records
    }


def asyncapi() -> Json:
    """The AsyncAPI 3.0 document of the public topics, under their default names."""
    names = {channel.setting: _record_name(channel) for channel in CHANNELS}
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Penchant",
            "version": DOCUMENT_VERSION,
            "description": "Interactions and items in, interests and recommendations out. The names of the "
            "topics are settings; these are the defaults. Every header value is UTF-8 text.",
        },
        "defaultContentType": "application/json",
        "channels": {channel.setting: _channel(channel, names[channel.setting]) for channel in CHANNELS},
        "operations": {
            f"{channel.side}{names[channel.setting]}": {
                "action": channel.side,
                "summary": channel.summary,
                "channel": {"$ref": f"#/channels/{channel.setting}"},
            }
            for channel in CHANNELS
        },
        "components": {
            "messages": {
                names[channel.setting]: _message(channel, names[channel.setting]) for channel in CHANNELS
            }
            | {channel.marks: _mark(channel, channel.marks) for channel in CHANNELS if channel.marks},
            "schemas": _component_schemas(),
        },
    }


def documents() -> dict[str, bytes]:
    """File name to content of everything in docs/schema."""
    pages = record_schemas() | {"asyncapi.json": asyncapi()}
    return {
        name: (json.dumps(page, indent=2, ensure_ascii=False) + "\n").encode() for name, page in pages.items()
    }


def write(folder: Path = FOLDER) -> list[Path]:
    """Write all documents. Returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths: list[Path] = []
    for name, content in documents().items():
        (folder / name).write_bytes(content)
        paths.append(folder / name)
    return paths


def _record_name(channel: Channel) -> str:
    return "DeadLetter" if channel.record is None else channel.record.__name__


def _channel(channel: Channel, name: str) -> Json:
    topic = getattr(TopicSettings(), channel.setting)
    return {
        "address": topic,
        "description": channel.summary,
        "messages": {
            each: {"$ref": f"#/components/messages/{each}"} for each in (name, channel.marks) if each
        },
        "bindings": {"kafka": {"topic": topic, "topicConfiguration": {"cleanup.policy": [channel.cleanup]}}},
    }


def _message(channel: Channel, name: str) -> Json:
    key = {"type": "string", "description": f"{channel.key}, in UTF-8"}
    message: Json = {"name": name, "summary": channel.summary, "bindings": {"kafka": {"key": key}}}
    if channel.headers is not None:
        message["headers"] = {"$ref": f"#/components/schemas/{channel.headers}"}
    if channel.record is None:
        return message | {"contentType": "application/octet-stream"}
    payload: Json = {"$ref": f"#/components/schemas/{name}"}
    if channel.withdraws:
        payload = {"anyOf": [payload, {"type": "null"}]}
    example = msgspec.to_builtins(EXAMPLES[channel.record])
    return message | {
        "contentType": "application/json",
        "payload": payload,
        "examples": [{"name": "example", "payload": example}],
    }


def _mark(channel: Channel, name: str) -> Json:
    key = {"type": "string", "description": f"{channel.key}, in UTF-8"}
    return {
        "name": name,
        "summary": "The letter that the header names was redriven. The value is null.",
        "bindings": {"kafka": {"key": key}},
        "headers": {"$ref": f"#/components/schemas/{name}Headers"},
        "contentType": "application/octet-stream",
    }


def _component_schemas() -> Json:
    records = [channel.record for channel in CHANNELS if channel.record is not None]
    _, components = msgspec.json.schema_components(records, ref_template="#/components/schemas/{name}")
    schemas = _tighten({"schemas": components}, "schemas")["schemas"]
    schemas["InputHeaders"] = _headers({"traceparent": _TRACE}, [])
    event_time = _NUMBER | {"description": "Time of the latest event that caused it, epoch milliseconds."}
    schemas["OutputHeaders"] = _headers({"event_time": event_time, "traceparent": _TRACE}, ["event_time"])
    schemas["DescriptionHeaders"] = _headers({"event_time": event_time}, [])
    told = _DEAD_LETTER | {
        "record_time": _NUMBER | {"description": "When the record came first, epoch milliseconds."},
        "topic_id": _TEXT | {"description": "Id of its topic, where it is known."},
    }
    schemas["DeadLetterHeaders"] = _headers(told, list(_DEAD_LETTER))
    schemas["RedriveMarkHeaders"] = _headers(_REDRIVE_MARK, ["redriven", "time"])
    return dict(sorted(schemas.items()))


def _headers(properties: dict[str, Json], required: list[str]) -> Json:
    return {"type": "object", "properties": properties, "required": required}


def _tighten(schema: Json, place: str) -> Json:
    """Add what the structs' own types cannot say."""
    definitions = schema[place]
    if "Interaction" in definitions:
        some_media = {"required": ["media"], "properties": {"media": {"type": "array", "minItems": 1}}}
        definitions["Interaction"]["anyOf"] = [_with_text("item_id"), _with_text("text"), some_media]
        definitions["Interaction"]["properties"]["action"]["description"] = (
            f"One of {', '.join(Action)}; or a foreign name that the settings map to one of them."
        )
    if "MediaReference" in definitions:
        definitions["MediaReference"]["oneOf"] = [_with_text(name) for name in ("uri", "text", "item_id")]
    if "UserCommand" in definitions:
        merges = {"required": ["command"], "properties": {"command": {"const": "merge"}}}
        definitions["UserCommand"] |= {"if": merges, "then": _with_text("into")}
    for definition in definitions.values():
        if "timestamp" in definition["properties"] and "anyOf" in definition["properties"]["timestamp"]:
            definition["properties"]["timestamp"]["description"] = "Epoch milliseconds, or RFC 3339 text."
    return schema


def _with_text(name: str) -> Json:
    return {"required": [name], "properties": {name: _TEXT}}


if __name__ == "__main__":
    for path in write(*map(Path, sys.argv[1:2])):
        sys.stdout.write(f"{path}\n")
