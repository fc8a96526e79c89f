"""The catalogue's tail on a real broker, with what only a real log has: transactions and their markers."""

import msgspec

from state.items import EncodedItem
from streams.interests.catalogue_tail import CatalogueTail
from streams.kafka import producer
from streams.settings import Settings
from tests.tastes import catalogue, item

SECONDS = 30.0


def write(settings: Settings, name: str, items: list[EncodedItem], commit: bool) -> None:
    client = producer(settings.kafka, f"{settings.app.name}-{name}")
    client.init_transactions(SECONDS)
    client.begin_transaction()
    for made in items:
        client.produce(
            settings.topics.items_encoded, value=msgspec.msgpack.encode(made), key=made.item_id.encode()
        )
    if commit:
        client.commit_transaction(SECONDS)
    else:
        client.flush(SECONDS)
        client.abort_transaction(SECONDS)


def test_it_is_level_behind_markers_and_shows_nothing_that_was_aborted(settings: Settings) -> None:
    write(settings, "first", [item(number) for number in range(40)], commit=True)
    write(settings, "second", [item(number) for number in range(40, 50)], commit=False)
    made, _ = catalogue([])
    tail = CatalogueTail(settings, made)
    tail.start()
    try:
        assert tail.wait(SECONDS)
        assert len(made) == 40
        write(settings, "third", [item(number) for number in range(50, 60)], commit=True)
        for _ in range(300):
            if len(made) == 50:
                break
            tail.check()
            tail._stopped.wait(0.1)
        assert len(made) == 50
    finally:
        assert tail.stop()


def test_empty_topics_are_level_at_once(settings: Settings) -> None:
    made, _ = catalogue([])
    tail = CatalogueTail(settings, made)
    tail.start()
    try:
        assert tail.wait(SECONDS)
    finally:
        assert tail.stop()
