"""Training on what lies in the topics of a real Kafka: packs and items as the encode worker writes them."""

from pathlib import Path

import msgspec
import pytest

from state.artifact import load_artifact
from state.events import Pack
from state.learning.sequential import Plan
from state.learning.trainer import Schedule
from streams.errors import InputError
from streams.kafka import producer
from streams.model_training import Training, train_model
from streams.settings import Settings
from streams.topics import create_topics
from tests.encode_harness import SECONDS
from tests.fusion_samples import event
from tests.tastes import item

USERS, EVENTS, ITEMS = 12, 8, 16


def put(settings: Settings) -> None:
    """Each user goes on from item to item; a pack an event, and some empty ones between."""
    client = producer(settings.kafka)
    offset = 0
    for user in range(USERS):
        for step in range(EVENTS):
            number = (user + step) % ITEMS
            row = event(
                step,
                user_id=f"user-{user}",
                event_id=f"{user}-{step}",
                item_id=f"item-{number}",
                offset=offset,
            )
            packs = [Pack(offset, offset + 1, [row]), Pack(offset + 1, offset + 2, [])]
            offset += 2
            for pack in packs:
                value = msgspec.msgpack.encode(pack)
                client.produce(settings.topics.interactions_encoded, value, partition=user % 2)
    for number in range(ITEMS):
        name = f"item-{number}"
        client.produce(settings.topics.items_encoded, msgspec.msgpack.encode(item(number)), name.encode())
    client.produce(settings.topics.items_encoded, None, b"item-3")
    assert client.flush(SECONDS) == 0


def test_a_model_comes_of_the_topics(settings: Settings, tmp_path: Path) -> None:
    create_topics(settings)
    wanted = Training(None, tmp_path / "model", Plan(schedule=Schedule(epochs=1)), device="cpu")
    with pytest.raises(InputError, match="no event of an item"):
        train_model(wanted, settings)
    put(settings)
    report = train_model(wanted, settings).report
    assert (report.events, report.users, report.items) == (USERS * EVENTS, USERS, ITEMS)
    artifact = load_artifact(str(tmp_path / "model"))
    assert artifact.version == report.version
    assert artifact.items.arrays["item_gain"].any()
