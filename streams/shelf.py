"""Encoded items to find the nearest of: those of `items.encoded`, or those of a local catalogue."""

import socket
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import msgspec
import numpy as np

from encoders.base import Float32
from state.items import EncodedItem
from streams.bulk_encoding import encoded_windows
from streams.encode.items import encode_item
from streams.encode.media import MediaEncoder
from streams.encode.vectors import from_wire, mean_direction
from streams.errors import InputError
from streams.item_sources import open_source
from streams.settings import Settings

REACH_SECONDS = 1.0

Tell = Callable[[int], None]


class Neighbour(msgspec.Struct, frozen=True):
    """An item, and how close it is: the cosine of the mean directions."""

    item_id: str
    title: str
    cosine: float


class Shelf:
    """Items that were encoded as the bank of encoders does now; `strangers` counts the others."""

    def __init__(self, items: Iterable[EncodedItem], version: str) -> None:
        rows: dict[str, EncodedItem] = {}
        self.strangers = 0
        for item in items:
            if item.encoders != version:
                self.strangers += 1
            elif item.vectors:
                rows[item.item_id] = item
        self._items = list(rows.values())
        self._vectors = np.stack([_direction(item) for item in self._items]) if rows else None

    def __len__(self) -> int:
        return len(self._items)

    def nearest(self, vector: Float32, count: int) -> list[Neighbour]:
        """The items nearest to a unit vector float32 [dim], nearest first."""
        if self._vectors is None:
            return []
        cosines = self._vectors @ vector
        order = np.argsort(-cosines, kind="stable")[:count]
        return [
            Neighbour(self._items[row].item_id, self._items[row].title, round(float(cosines[row]), 4))
            for row in order
        ]


def read_items(settings: Settings, tell: Tell) -> Iterator[EncodedItem]:
    """The items that `items.encoded` holds now. Raises TopicError."""
    from streams import reading

    decoder = msgspec.msgpack.Decoder(EncodedItem)
    found: dict[bytes | None, EncodedItem] = {}
    stretches = reading.whole(settings, settings.topics.items_encoded, settled=False)
    for record in reading.read(settings, stretches, tell):
        item = None if record.value is None else decoder.decode(record.value)
        if item is None or item.withdrawn:
            found.pop(record.key, None)
        else:
            found[record.key] = item
    yield from found.values()


def encode_catalogue(path: Path, media: MediaEncoder, tell: Tell) -> Iterator[EncodedItem]:
    """The items of JSON lines, a table or a folder of media, encoded here. Raises InputError."""
    for window, encoded in encoded_windows(open_source(path), media):
        tell(window.position)
        for _, plan in window.items:
            yield encode_item(plan, encoded, NO_ITEMS, media.version)


def broker_answers(settings: Settings) -> bool:
    """Whether something listens where the settings look for Kafka."""
    for server in settings.kafka.bootstrap_servers.split(","):
        host, _, port = server.strip().rpartition(":")
        try:
            socket.create_connection((host.strip("[]"), int(port)), REACH_SECONDS).close()
        except (OSError, ValueError):
            continue
        return True
    return False


class _NoItems:
    def get(self, item_id: str) -> None:
        return None


NO_ITEMS = _NoItems()


def _direction(item: EncodedItem) -> Float32:
    return mean_direction([from_wire(vector) for vector in item.vectors.values()])


def read_medium(name: str, most: int) -> bytes:
    """The bytes of a file of one's own. Raises InputError."""
    path = Path(name)
    try:
        with path.open("rb") as file:
            content = file.read(most + 1)
    except OSError as error:
        raise InputError(f"{name}: cannot be read: {error.strerror}") from error
    if len(content) > most:
        raise InputError(f"{name}: more than {most} bytes; raise fetch.max_bytes")
    return content
