"""Encoded items to records of `item-vectors`, batch by batch."""

import logging
from collections.abc import Callable, Iterable
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from state.errors import UNREADABLE
from state.fusion import Fusion
from state.items import EncodedItem
from streams.encode.relay import Relay
from streams.encode.sink import TransactionAborted, TransactionalSink
from streams.encode.source import RawSource
from streams.interests.numerals import DECIMALS
from streams.kafka import Producer
from streams.metrics import EVENTS
from streams.raw import RawRecord
from streams.records import ItemVector

STAGE = "item-vectors"
BATCH_RECORDS = 500
_FLUSH_SECONDS = 10.0

Outputs = list[tuple[bytes, bytes | None]]

_log = logging.getLogger(__name__)
_decoder = msgspec.msgpack.Decoder(EncodedItem)
_encoder = msgspec.json.Encoder()


def vectors_of(fusion: Fusion, records: Iterable[RawRecord]) -> Outputs:
    """Key and value of each record's item; withdrawn ones have a null. What cannot be read is left out."""
    found: list[tuple[bytes, EncodedItem | None]] = []
    for record in records:
        try:
            item = None if record.value is None else _decoder.decode(record.value)
        except UNREADABLE as error:
            _log.warning("%s-%d@%d: not an item: %s", record.topic, record.partition, record.offset, error)
            continue
        found.append((record.key or b"", None if item is None or item.withdrawn else item))
    items = [item for _, item in found if item is not None]
    ids, topics = [item.item_id for item in items], [item.topics for item in items]
    vectors = iter(fusion.item_vectors([item.vectors for item in items], ids, topics) if items else ())
    model = fusion.artifact.version
    return [
        (key, None if item is None else _encoder.encode(_told(item, model, next(vectors))))
        for key, item in found
    ]


def _told(item: EncodedItem, model: str, vector: NDArray[np.float32]) -> ItemVector:
    return ItemVector(
        item_id=item.item_id,
        model=model,
        vector=[round(number, DECIMALS) for number in vector.tolist()],
        title=item.title,
        categories=list(item.categories),
        tags=list(item.tags),
        available=item.available,
        published_at=item.published_at,
        expires_at=item.expires_at,
    )


class Vectors(NamedTuple):
    """Where vectors go, and what makes them."""

    topic: str
    fusion: Fusion


class ItemVectorsLoop(Relay[Outputs]):
    """Vectors and the consumed offsets go out in one transaction.

    `check` raises TransactionAborted where another model serves by now. It is asked when the vectors are in
    the log: whoever serves under that model began later, so that what it writes comes behind them.
    """

    def __init__(
        self, source: RawSource, sink: TransactionalSink, vectors: Vectors, check: Callable[[], None]
    ) -> None:
        super().__init__(STAGE, source, sink, BATCH_RECORDS)
        self._vectors = vectors
        self._check = check

    def turn_over(self, records: list[RawRecord]) -> Outputs:
        return vectors_of(self._vectors.fusion, records)

    def write(self, outcome: Outputs, client: Producer) -> None:
        for key, value in outcome:
            self.sink.put(client, self._vectors.topic, key=key, value=value)
        if outcome:
            if client.flush(_FLUSH_SECONDS):
                raise TransactionAborted("the broker does not take the vectors")
            self._check()

    def settled(self, outcome: Outputs) -> None:
        EVENTS.labels(STAGE, "published").inc(len(outcome))
