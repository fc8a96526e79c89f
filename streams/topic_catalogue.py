"""The catalogue as it stands in the topic `items`."""

from collections.abc import Callable, Iterable

from streams.encode.parsing import NewItem, parse_item
from streams.errors import RecordError
from streams.raw import RawRecord
from streams.reading import Stretch, read, whole
from streams.records import Item
from streams.settings import Settings

Tell = Callable[[int], None]


def catalogue_stretches(settings: Settings) -> list[Stretch]:
    """What there is to read of `items` now. Raises TopicError."""
    return whole(settings, settings.topics.items, settled=False)


def read_catalogue(settings: Settings, stretches: list[Stretch], tell: Tell) -> list[Item]:
    """Items that have not been withdrawn. `tell` hears how many offsets are passed. Raises TopicError."""
    return standing(read(settings, stretches, tell))


def standing(records: Iterable[RawRecord]) -> list[Item]:
    """The last good record of each item, in the order of their ids; what is no item is passed over."""
    items: dict[str, Item] = {}
    for record in records:
        try:
            parsed = parse_item(record)
        except RecordError:
            continue
        if isinstance(parsed, NewItem):
            items[parsed.item.item_id] = parsed.item
        else:
            items.pop(parsed.item_id, None)
    return [items[name] for name in sorted(items)]
