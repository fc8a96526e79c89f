"""The items that a command compares media with, read from a real `items.encoded`."""

import msgspec

from state.items import EncodedItem
from streams.settings import Settings
from streams.shelf import broker_answers, read_items
from tests.integration.conftest import produce_json


def record(item_id: str, title: str, **more: bool) -> tuple[str, bytes]:
    return item_id, msgspec.msgpack.encode(EncodedItem(item_id, 0, 0, title=title, **more))


def test_the_last_record_of_each_item_that_is_not_withdrawn(settings: Settings) -> None:
    assert broker_answers(settings)
    assert list(read_items(settings, lambda passed: None)) == []
    records = [record("a", "old"), record("b", "gone"), record("c", "null"), record("a", "new")]
    produce_json(
        settings, settings.topics.items_encoded, [*records, record("b", "", withdrawn=True), ("c", None)]
    )
    found = list(read_items(settings, lambda passed: None))
    assert [(item.item_id, item.title) for item in found] == [("a", "new")]
