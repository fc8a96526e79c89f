"""Items that training never saw, and of which no medium is had: their categories tell who likes them."""

import json
from dataclasses import replace

import msgspec
import numpy as np
import pytest

from state.artifact import save_artifact
from state.known import KnownCategories, KnownItems, category_hash
from state.layout import DIM
from state.prior import content_prior
from state.settings import ModelSettings, RecommendSettings
from state.slots import item_hash
from streams.encode.media import MediaEncoder
from streams.pipeline import Pipeline
from streams.raw import RawRecord
from streams.records import Recommendation
from streams.settings import Settings
from tests.fake_media import FakeBank, FakeFetcher

NOW = 1_700_000_000_000
GROUPS = ("birds", "ships", "trees")
OLD = {f"{group}-{number}": group for group in GROUPS for number in range(4)}
NEW = {f"new-{group}": group for group in GROUPS}


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    """A model that knows the old items and what those of a category have in common."""
    ways = np.eye(DIM, dtype=np.float16)
    places = {group: at for at, group in enumerate(GROUPS)}
    own = {
        item_hash(name): ways[places[group]] + ways[len(GROUPS) + at]
        for at, (name, group) in enumerate(OLD.items())
    }
    common = {category_hash(group): ways[at] for group, at in places.items()}
    known = KnownItems(*table(own), KnownCategories(*table(common)))
    folder = tmp_path_factory.mktemp("model")
    save_artifact(replace(content_prior(), version="categories-1", known=known), str(folder))
    settings = msgspec.structs.replace(
        Settings(), model=ModelSettings(str(folder)), recommend=RecommendSettings(diversity=0.0)
    )
    made = Pipeline(settings, MediaEncoder(FakeBank(), FakeFetcher(), 1.0))
    items = [{"item_id": name, "categories": [group]} for name, group in {**OLD, **NEW}.items()]
    made.send([record("items", at, str(item["item_id"]), item) for at, item in enumerate(items)])
    return made


def table(vectors: dict[int, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    keys = sorted(vectors)
    return np.array(keys, np.uint64), np.stack([vectors[key] for key in keys])


def record(topic: str, offset: int, key: str, value: dict[str, object]) -> RawRecord:
    return RawRecord(topic, 0, offset, NOW, key.encode(), json.dumps(value).encode())


def slate(pipeline: Pipeline, offset: int, user: str, item: str) -> list[str]:
    event = {"user_id": user, "item_id": item, "action": "like", "timestamp": NOW + offset}
    pipeline.send([record("interactions", offset, user, event)])
    told = [output for output in pipeline.read("recommendations") if output.key == user.encode()]
    return [each.item_id for each in msgspec.json.decode(told[-1].value or b"", type=Recommendation).items]


def test_a_new_item_finds_who_likes_its_category_and_tells_as_much_of_who_likes_it(
    pipeline: Pipeline,
) -> None:
    for at, group in enumerate(GROUPS):
        assert slate(pipeline, 2 * at, f"of-old-{group}", f"{group}-0")[0] == f"new-{group}"
        shown = slate(pipeline, 2 * at + 1, f"of-new-{group}", f"new-{group}")
        assert {OLD[name] for name in shown[:4]} == {group}
