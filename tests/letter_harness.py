"""What the tests of dead letters on a real Kafka share."""

import json
from collections.abc import Mapping
from typing import Any

from streams.dead_letters import produce_dead_letter, set_aside
from streams.errors import RecordError
from streams.kafka import Message, producer
from streams.raw import RawRecord
from streams.settings import Settings
from tests.encode_harness import SECONDS, until
from tests.integration.conftest import read_all


def headers_of(message: Message) -> dict[str, bytes | None]:
    return dict(message.headers() or [])


def letters_of(settings: Settings) -> list[Message]:
    """Dead letters, without the marks."""
    return [m for m in read_all(settings, settings.topics.dead_letters) if "topic" in headers_of(m)]


def place_of(message: Message) -> str:
    return f"{message.partition()}:{message.offset()}"


def redriven(settings: Settings, topic: str | None = None) -> list[Message]:
    """Records that were sent again."""
    topic = settings.topics.interactions if topic is None else topic
    return [message for message in read_all(settings, topic) if "redriven" in headers_of(message)]


def send(
    settings: Settings, topic: str, key: bytes | None, value: bytes | None, headers: Mapping[str, bytes] = {}
) -> None:
    client = producer(settings.kafka)
    failures: list[object] = []

    def delivered(error: object, _: Message) -> None:
        failures.extend([error] if error else [])

    client.produce(topic, value, key, headers=list(headers.items()), on_delivery=delivered)
    assert client.flush(SECONDS) == 0
    assert not failures


def one_letter(settings: Settings) -> Message:
    until("the letter", lambda: len(letters_of(settings)) == 1)
    (letter,) = letters_of(settings)
    return letter


def put_letter(
    settings: Settings, record: RawRecord, reason: str, stage: str = "encode", time: int = 1
) -> None:
    """A dead letter without a worker."""
    letter = set_aside(record, stage, RecordError(reason, f"why it is {reason}"), time)
    client = producer(settings.kafka)
    produce_dead_letter(
        letter,
        1_000_000,
        lambda key, value, headers: client.produce(settings.topics.dead_letters, value, key, headers=headers),
    )
    assert client.flush(SECONDS) == 0


def good(user: str, **fields: Any) -> bytes:
    return json.dumps({"user_id": user, "action": "view", "timestamp": 1, "text": "words", **fields}).encode()
