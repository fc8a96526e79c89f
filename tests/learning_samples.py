"""Models, interactions and rows of events for the tests of learning."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from state.artifact import Artifact
from state.events import ACTIONS, Row
from state.layout import SHARED_DIM
from state.learning.interactions import Interactions, ItemContent, interactions_of
from state.learning.interest import InterestModel, InterestShape
from state.slots import event_hash

ITEMS = 40
UNKNOWN = 5
"""Of the items, the last ones: training never saw them."""
BARE = 8
"""Every so many items there is one without content."""


def item_ids() -> tuple[str, ...]:
    return tuple(f"item-{number}" for number in range(ITEMS))


def write_likes(path: Path) -> None:
    """JSON lines: 120 likes of 12 users, of 20 items drawn at random."""
    rng = np.random.default_rng(0)
    lines = [
        json.dumps(
            {
                "user_id": f"user-{number % 12}",
                "item_id": f"item-{rng.integers(0, 20)}",
                "action": "like",
                "timestamp": 1_600_000_000_000 + 60_000 * number,
            }
        )
        for number in range(120)
    ]
    path.write_text("\n".join(lines))


def content(seed: int = 3) -> ItemContent:
    """Some modalities are missing, and some items have none."""
    rng = np.random.default_rng(seed)
    present = rng.random((ITEMS, 4)) < 0.5
    present[::BARE] = False
    vectors = rng.normal(size=(ITEMS, 4, SHARED_DIM)) * present[..., None]
    vectors /= np.maximum(np.linalg.norm(vectors, axis=2, keepdims=True), 1e-9)
    return ItemContent(vectors.astype(np.float32), present, ((),) * ITEMS)


def with_topics(told: ItemContent) -> ItemContent:
    """Of the items that training never saw, the last two are of no category that it saw."""
    topics = [(f"third-{item % 3}", *((f"half-{item % 2}",) if item % 4 else ())) for item in range(ITEMS)]
    topics[3], topics[-3:] = (), [("third-1", "new"), ("new",), ()]
    return replace(told, topics=tuple(topics))


def known() -> np.ndarray:
    return np.arange(ITEMS) < ITEMS - UNKNOWN


def model(
    shape: InterestShape | None = None, told: ItemContent | None = None, seed: int = 1
) -> InterestModel:
    """With every number at work, as training would leave it, by chance."""
    torch.manual_seed(seed)
    made = InterestModel(shape or InterestShape(review=1), known(), told)
    with torch.no_grad():
        for name, number in made.named_parameters():
            if not name.startswith("tower.fusion.item_project"):
                number.add_(torch.randn(number.shape) * 0.1)
    return made.eval()


def vectors_of(told: ItemContent | None, item: int) -> dict[int, bytes]:
    if told is None:
        return {}
    return {
        code: told.vectors[item, code].astype("<f2").tobytes()
        for code in np.flatnonzero(told.present[item]).tolist()
    }


def rows_of(source: Interactions, user: int, told: ItemContent | None) -> list[Row]:
    """The events of a user as serving gets them. Of events of one time the hashes of the ids ascend, since
    that is how serving orders them."""
    rows = []
    for number, place in enumerate(range(*source.starts[user : user + 2].tolist())):
        item = int(source.item[place])
        signals = (source.value, source.dwell, source.watched, source.sentiment)
        value, dwell, watched, sounds = (
            None if np.isnan(one[place]) else float(one[place]) for one in signals
        )
        rows.append(
            Row(
                source.user_ids[user],
                "",
                int(source.action[place]),
                int(source.time_ms[place]),
                number,
                int(source.time_ms[place]),
                item_id=source.item_ids[item],
                vectors=vectors_of(told, item),
                topics=() if told is None else told.topics[item],
                value=value,
                dwell_seconds=dwell,
                watched_fraction=watched,
                sentiment=sounds,
            )
        )
    return _named(rows)


def _named(rows: list[Row]) -> list[Row]:
    ids = sorted((f"event-{number}" for number in range(len(rows))), key=event_hash)
    for row, name in zip(rows, ids, strict=True):
        row.event_id = name
    return rows


def one_user(events: list[tuple[int, int, int, float, float]]) -> Interactions:
    """Of tuples of item, action, milliseconds since the event before, value and dwell time."""
    columns = np.array(events, np.float64).reshape(-1, 5)
    return interactions_of(
        {
            "user": np.zeros(len(events), np.int32),
            "item": columns[:, 0],
            "time_ms": 1_600_000_000_000 + np.cumsum(columns[:, 2]).astype(np.int64),
            "action": columns[:, 1],
            "value": columns[:, 3],
            "dwell": columns[:, 4],
        },
        ("ann",),
        item_ids(),
    )


def many_events(count: int, seed: int, actions: tuple[int, ...] = tuple(range(len(ACTIONS)))) -> Interactions:
    """One user with all kinds of signals and with equal times."""
    rng = np.random.default_rng(seed)
    gaps = np.array([0, 0, 1, 900, 60_000, 3_600_000, 86_400_000, 40 * 86_400_000])
    return one_user(
        [
            (
                int(rng.integers(ITEMS)),
                int(rng.choice(actions)),
                int(rng.choice(gaps)),
                float(rng.choice([np.nan, np.nan, 1.0, 2.0, 4.0, 5.0])),
                float(rng.choice([np.nan, np.nan, 0.0, 0.4, 8.0, 3_600.0])),
            )
            for _ in range(count)
        ]
    )


def serving_vectors(artifact: Artifact, told: ItemContent | None) -> np.ndarray:
    from state.fusion import Fusion

    vectors = [vectors_of(told, item) for item in range(ITEMS)]
    return Fusion(artifact).item_vectors(vectors, item_ids(), () if told is None else told.topics)
