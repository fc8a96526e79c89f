"""A trained model in the whole way: what it learnt is what the slates show, with stand-in encoders."""

import json
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch

from state.artifact import load_artifact, save_artifact
from state.learning.exporting import artifact_of
from state.learning.interactions import interactions_of
from state.learning.optimiser import OptimiserSettings
from state.learning.protocol import Targets, Task
from state.learning.sequential import Plan, train
from state.learning.trainer import Schedule
from state.settings import ModelSettings, RecommendSettings
from streams.encode.media import MediaEncoder
from streams.pipeline import Pipeline
from streams.raw import RawRecord
from streams.records import Interest, Recommendation
from streams.settings import Settings
from tests.fake_media import FakeBank, FakeFetcher

NOW = 1_700_000_000_000
GROUPS, GROUP, USERS, EVENTS = 4, 8, 60, 12
NAMES = [f"item-{number}" for number in range(GROUPS * GROUP)]


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Users go round in one group of items each. Nothing is told of the items but their ids."""
    rng = np.random.default_rng(0)
    first = rng.integers(0, len(NAMES), USERS)[:, None]
    item = first // GROUP * GROUP + (first + np.arange(EVENTS)) % GROUP
    source = interactions_of(
        {
            "user": np.repeat(np.arange(USERS), EVENTS),
            "item": item.ravel(),
            "time_ms": NOW + np.tile(np.arange(EVENTS) * 60_000, USERS),
            "action": np.full(USERS * EVENTS, 2),
        },
        [f"user-{number}" for number in range(USERS)],
        NAMES,
    )
    task = Task(source, Targets(source, np.zeros(0, np.int64)), None, 0)
    fast = OptimiserSettings(rate=1e-2, warm_up=5)
    plan = Plan(schedule=Schedule(epochs=10, batch=16, length=32, optimiser=fast))
    made = train(plan, task, lambda done: None, torch.device("cpu"))
    folder = tmp_path_factory.mktemp("model")
    save_artifact(artifact_of(made.model, tuple(NAMES)), str(folder))
    return folder


class Way:
    def __init__(self, artifact: Path) -> None:
        by_score = RecommendSettings(diversity=0.0)
        model = ModelSettings(str(artifact))
        settings = msgspec.structs.replace(Settings(), model=model, recommend=by_score)
        self.pipeline = Pipeline(settings, MediaEncoder(FakeBank(), FakeFetcher(), 1.0))
        self.offsets = {"interactions": 0, "items": 0}

    def record(self, topic: str, key: str, value: dict[str, object]) -> RawRecord:
        self.offsets[topic] += 1
        content = json.dumps(value).encode()
        return RawRecord(topic, 0, self.offsets[topic] - 1, NOW, key.encode(), content)

    def items(self) -> None:
        named = [{"item_id": name, "title": name, "categories": ["all"]} for name in NAMES]
        self.pipeline.send([self.record("items", str(item["item_id"]), item) for item in named])

    def like(self, user: str, *names: str) -> None:
        for at, name in enumerate(names):
            event = {"user_id": user, "item_id": name, "action": "like", "timestamp": NOW + at * 60_000}
            self.pipeline.send([self.record("interactions", user, event)])


def test_slates_show_what_was_learnt_of_ids_alone(artifact: Path) -> None:
    way = Way(artifact)
    way.items()
    for group in range(GROUPS):
        user, own = f"viewer-{group}", NAMES[group * GROUP : (group + 1) * GROUP]
        way.like(user, *own[:4])
        outputs = [output for output in way.pipeline.read("recommendations") if output.key == user.encode()]
        slate = msgspec.json.decode(outputs[-1].value or b"", type=Recommendation)
        assert slate.model == load_artifact(str(artifact)).version
        assert slate.items[0].item_id in own[4:]
    interest = msgspec.json.decode(way.pipeline.read("interests")[-1].value or b"", type=Interest)
    assert np.linalg.norm(interest.vector) == pytest.approx(1, abs=1e-3)
