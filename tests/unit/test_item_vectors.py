"""The catalogue's vectors for indexes outside, and the example that fills one."""

import importlib.util
from pathlib import Path
from types import ModuleType

import msgspec
import numpy as np
import pytest

from state.events import Action
from state.fusion import Fusion
from state.items import EncodedItem
from state.prior import content_prior
from streams.item_vectors.loop import vectors_of
from streams.raw import RawRecord
from streams.records import ItemVector
from tests.tastes import item, row

FUSION = Fusion(content_prior())
EXAMPLE = Path(__file__).resolve().parents[2] / "docs" / "examples" / "qdrant.py"


def record(item_id: str, made: EncodedItem | bytes | None) -> RawRecord:
    value = made if made is None or isinstance(made, bytes) else msgspec.msgpack.encode(made)
    return RawRecord("items.encoded", 0, 0, 0, item_id.encode(), value)


def told(*made: EncodedItem) -> dict[str, ItemVector]:
    values = vectors_of(FUSION, [record(each.item_id, each) for each in made])
    return {key.decode(): msgspec.json.decode(value or b"", type=ItemVector) for key, value in values}


def test_vectors_are_those_that_rank_the_items() -> None:
    made = [item(number) for number in range(8)]
    found = told(*made)
    expected = FUSION.item_vectors([each.vectors for each in made])
    np.testing.assert_allclose([found[each.item_id].vector for each in made], expected, atol=1e-4)
    first = found["item-0"]
    assert (first.model, first.title, first.categories) == (FUSION.artifact.version, "Item 0", ["birds"])


def test_withdrawn_items_are_null_and_what_cannot_be_read_is_left_out() -> None:
    away = msgspec.structs.replace(item(1), withdrawn=True)
    outputs = vectors_of(FUSION, [record("item-1", away), record("item-2", None), record("x", b"\xc1")])
    assert outputs == [(b"item-1", None), (b"item-2", None)]
    assert vectors_of(FUSION, []) == []


def test_an_item_without_media_has_zeros() -> None:
    assert not any(told(msgspec.structs.replace(item(3), vectors={}))["item-3"].vector)


def example() -> ModuleType:
    pytest.importorskip("qdrant_client")
    spec = importlib.util.spec_from_file_location("qdrant_example", EXAMPLE)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_example_finds_what_a_user_likes() -> None:
    module = example()
    stock = [item(number) for number in range(30)]
    index = module.Index(module.QdrantClient(":memory:"))
    outputs = vectors_of(FUSION, [record(each.item_id, each) for each in stock])
    index.take((key.decode(), msgspec.json.decode(value or b"")) for key, value in outputs)
    state = FUSION.fold([None], [[row("ann", n, stock[6 * n], Action.LIKE) for n in range(3)]]).states[0]
    vector = FUSION.read([state]).interest[0].tolist()
    interest = {"model": FUSION.artifact.version, "vector": vector}
    found = [item_id for item_id, _ in index.nearest(interest, 5)]
    assert {int(item_id.removeprefix("item-")) % 6 for item_id in found} == {0}
    index.take([(found[0], None)])
    assert found[0] not in [item_id for item_id, _ in index.nearest(interest, 5)]
    assert index.nearest({"model": "another", "vector": vector}) == []
