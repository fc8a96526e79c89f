"""Real media through the real processes: what comes out for a viewer, and what odd input gets."""

import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from media import clip, picture, tone, truncated_jpeg
from msgspec.structs import replace

from state.events import Pack, Row
from state.items import EncodedItem
from streams.broker.ports import free_ports
from streams.demo.stage import workers
from streams.records import Interest, Recommendation
from streams.settings import FetchSettings, Settings
from tests.integration.conftest import produce_json, read_all

pytestmark = pytest.mark.timeout(240)
WAIT_SECONDS = 60.0
TEXT, IMAGE, AUDIO, VIDEO = range(4)


def eventually(look: Callable[[], bool], what: str) -> None:
    limit = time.monotonic() + WAIT_SECONDS
    while not look():
        assert time.monotonic() < limit, f"after {WAIT_SECONDS} s still not: {what}"
        time.sleep(0.2)


def rows_by_event(settings: Settings) -> dict[str, Row]:
    packs = [
        msgspec.msgpack.decode(message.value(), type=Pack)
        for message in read_all(settings, settings.topics.interactions_encoded)
    ]
    return {row.event_id: row for pack in packs for row in pack.rows}


def latest(settings: Settings, topic: str, kind: type) -> dict[str, object]:
    """The last value of each key."""
    return {
        message.key().decode(): msgspec.json.decode(message.value(), type=kind)
        for message in read_all(settings, topic)
    }


def event(user: str, number: int, action: str = "like", **fields: object) -> tuple[str, dict[str, object]]:
    stamp = int(time.time() * 1000)
    return user, {
        "user_id": user,
        "action": action,
        "timestamp": stamp,
        "event_id": f"{user}-{number}",
        **fields,
    }


def test_media_become_interests_and_slates_and_odd_input_stops_nothing(
    settings: Settings, tmp_path: Path
) -> None:
    media = tmp_path / "media"
    media.mkdir()
    settings = replace(settings, fetch=FetchSettings(file_roots=(str(media),)))
    red = picture(media / "red.png").as_uri()
    sound = tone(media / "tone.wav").as_uri()
    film = clip(media / "clip.mp4").as_uri()
    (media / "empty.wav").touch()
    topics = settings.topics

    items = [
        ("dog", {"item_id": "dog", "title": "A brown dog", "categories": ["animals"]}),
        ("cat", {"item_id": "cat", "title": "A black cat", "categories": ["animals"]}),
        ("wolf", {"item_id": "wolf", "title": "A grey wolf", "categories": ["animals"]}),
        ("train", {"item_id": "train", "title": "A steam train", "categories": ["vehicles"]}),
        ("disc", {"item_id": "disc", "media": [{"uri": red}], "categories": ["shapes"]}),
        ("film", {"item_id": "film", "media": [{"uri": film}], "categories": ["clips"]}),
        ("gone", {"item_id": "gone", "title": "A dog that is withdrawn", "categories": ["animals"]}),
        ("gone", None),
    ]
    events = [
        event("ann", 1, item_id="dog"),
        event("ann", 2, media=[{"uri": red}, {"uri": sound}, {"uri": film}]),
        event("ann", 3, "search", text="a friendly puppy"),
        event("bob", 1, "dislike", item_id="train"),
        event("bob", 2, media=[{"uri": (media / "missing.png").as_uri()}], item_id="cat"),
        event("bob", 3, media=[{"uri": truncated_jpeg(media / "cut.jpg").as_uri()}]),
        event("bob", 4, media=[{"uri": (media / "empty.wav").as_uri()}]),
        event("bob", 5, media=[{"uri": "file:///etc/hostname", "modality": "image"}]),
        event("cid", 1, item_id="not-there-yet"),
        ("bob", b"{this is not json"),
        event("bob", 6, "levitate", item_id="cat"),
        ("bob", event("eve", 7, item_id="cat")[1]),
        event("bob", 8, "like", item_id="cat"),
    ]
    ports = dict(zip(("encode", "interests"), free_ports(2), strict=True))
    with workers(settings, tmp_path, ports):
        produce_json(settings, topics.items, items)
        eventually(lambda: len(read_all(settings, topics.items_encoded)) >= 9, "all items encoded")
        produce_json(settings, topics.interactions, events)
        eventually(lambda: "bob-8" in rows_by_event(settings), "the last event encoded")
        eventually(lambda: "cid" in latest(settings, topics.interests, Interest), "an interest for each user")
        produce_json(
            settings, topics.items, [("not-there-yet", {"item_id": "not-there-yet", "title": "A new dog"})]
        )
        eventually(
            lambda: latest(settings, topics.interests, Interest)["cid"].version == 2,  # type: ignore[attr-defined]
            "the event amended when its item arrived",
        )
        eventually(
            lambda: latest(settings, topics.interests, Interest)["bob"].event_count == 6,  # type: ignore[attr-defined]
            "all of bob's events counted",
        )

    rows = rows_by_event(settings)
    assert set(rows["ann-2"].vectors) == {IMAGE, AUDIO, VIDEO}
    assert set(rows["ann-3"].vectors) == {TEXT}
    assert rows["bob-2"].masked[IMAGE] == "missing" and TEXT in rows["bob-2"].vectors
    assert rows["bob-3"].masked == {IMAGE: "broken"} and not rows["bob-3"].vectors
    assert rows["bob-4"].masked == {AUDIO: "empty"}
    assert rows["bob-5"].masked == {IMAGE: "refused"}

    encoded = {
        message.key().decode(): message.value() and msgspec.msgpack.decode(message.value(), type=EncodedItem)
        for message in read_all(settings, topics.items_encoded)
    }
    assert encoded["gone"] is None
    assert set(encoded["disc"].vectors) == {IMAGE} and encoded["disc"].labels
    assert VIDEO in encoded["film"].vectors

    letters = read_all(settings, topics.dead_letters)
    classes = sorted(dict(letter.headers())["error_class"].decode() for letter in letters)
    assert classes == ["key_mismatch", "not_json", "unknown_action"]
    assert b"{this is not json" in [letter.value() for letter in letters]

    interests = latest(settings, topics.interests, Interest)
    ann = interests["ann"]
    assert isinstance(ann, Interest)
    assert ann.event_count == 3 and len(ann.vector) == 64 and len(ann.heads) == 8
    assert ann.modalities["video"] > 0 and ann.topics["animals"] > 0
    slates = latest(settings, topics.recommendations, Recommendation)
    slate = slates["ann"]
    assert isinstance(slate, Recommendation)
    names = [item.item_id for item in slate.items]
    assert "dog" not in names and "gone" not in names
    assert names.index("wolf") < names.index("train")
    bob = slates["bob"]
    assert isinstance(bob, Recommendation)
    assert not {"train", "cat"} & {item.item_id for item in bob.items}
