"""One example of each public record, for the generated documents and for tests."""

import msgspec

from streams.records import (
    Head,
    Interaction,
    Interest,
    Item,
    ItemVector,
    MediaReference,
    Reason,
    Recommendation,
    RecommendedItem,
    UserCommand,
    UserReceipt,
)

EXAMPLES: dict[type[msgspec.Struct], msgspec.Struct] = {
    Interaction: Interaction(
        user_id="ada",
        action="like",
        timestamp=1_767_225_600_000,
        event_id="e-1",
        item_id="clip-17",
        watched_fraction=0.8,
        media=[MediaReference(modality="video", uri="file:///media/clip-17.mp4")],
        context={"page": "home"},
    ),
    Item: Item(
        item_id="clip-17",
        title="A storm over the bay",
        description="Waves, wind and distant thunder.",
        tags=["sea", "weather"],
        categories=["nature"],
        media=[MediaReference(modality="video", uri="file:///media/clip-17.mp4")],
        published_at="2026-01-01T00:00:00Z",
        attributes={"language": "en", "minutes": 2.5},
    ),
    Interest: Interest(
        user_id="ada",
        version=3,
        timestamp=1_767_225_600_000,
        model="content-prior",
        vector=[0.6, -0.8],
        heads=[Head(3_600.0, 1.5, [1.0, 0.0]), Head(None, 3.0, [0.0, 1.0])],
        topics={"nature": 0.7, "sea": 0.3},
        modalities={"video": 0.75, "text": 0.25},
        event_count=3,
        caused_by=["e-1"],
        as_of={"0": 42},
        as_of_topic="4T6g-SFoREWi6UG50psPUg",
    ),
    Recommendation: Recommendation(
        user_id="ada",
        version=3,
        timestamp=1_767_225_600_000,
        model="content-prior",
        items=[
            RecommendedItem("clip-21", 0.93, 1, "interest", [Reason("clip-17"), Reason(topics=["sea"])]),
            RecommendedItem("song-4", 0.71, 2, "trending"),
        ],
        caused_by=["e-1"],
    ),
    UserCommand: UserCommand(
        command="merge", user_id="visitor-9", timestamp=1_767_225_600_000, command_id="c-1", into="ada"
    ),
    UserReceipt: UserReceipt(
        command_id="c-1",
        command="merge",
        user_id="visitor-9",
        timestamp=1_767_225_600_250,
        found=True,
        into="ada",
    ),
    ItemVector: ItemVector(
        item_id="clip-17",
        model="content-prior",
        vector=[0.8, 0.6],
        title="A storm over the bay",
        categories=["nature"],
        tags=["sea", "weather"],
    ),
}
"""Vectors are cut to two numbers, to stay readable."""
