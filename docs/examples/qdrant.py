"""An index of your own: the catalogue's vectors in Qdrant, asked for the items nearest to a user's interest.

Set `interests.item_vectors = true`, run `penchant topics create`, and start the interests workers. Then

    pip install 'penchant[examples]'
    python docs/examples/qdrant.py fill localhost:9092 http://localhost:6333
    python docs/examples/qdrant.py ask localhost:9092 http://localhost:6333 USER

`fill` follows the topic for as long as it runs; in place of an address, a folder or `:memory:` opens Qdrant's
local mode. Only vectors of one model can be compared: each model has a collection of its own.
"""

import json
import sys
import uuid
from collections.abc import Iterable, Iterator
from typing import Any

from qdrant_client import QdrantClient, models

NAMESPACE = uuid.UUID("6a0a7a52-6f0c-4f0e-9f3c-5f1f1d2b7a10")
"""Qdrant wants numbers or UUIDs for ids: an item's is made of its id."""


class Index:
    """Items of one catalogue, a collection for each model."""

    def __init__(self, client: QdrantClient) -> None:
        self._client = client
        self._known: set[str] = {each.name for each in client.get_collections().collections}

    def take(self, records: Iterable[tuple[str, dict[str, Any] | None]]) -> None:
        """Records of `item-vectors` by item id, None for a null value, in the order of the topic."""
        latest = dict(records)
        gone = [point_id(item_id) for item_id, record in latest.items() if record is None]
        for collection in self._known if gone else ():
            self._client.delete(collection, points_selector=models.PointIdsList(points=gone))
        by_model: dict[str, list[models.PointStruct]] = {}
        for item_id, record in latest.items():
            if record is not None and any(record["vector"]):
                payload = {name: value for name, value in record.items() if name != "vector"}
                payload.setdefault("available", True)
                point = models.PointStruct(id=point_id(item_id), vector=record["vector"], payload=payload)
                by_model.setdefault(record["model"], []).append(point)
        for model, points in by_model.items():
            self._ensure(model, len(points[0].vector))
            self._client.upsert(model, points=points)

    def nearest(self, interest: dict[str, Any], count: int = 10) -> list[tuple[str, float]]:
        """Item ids and similarities, for a record of `interests`. Unavailable items are left out."""
        if interest["model"] not in self._known:
            return []
        found = self._client.query_points(
            interest["model"],
            query=interest["vector"],
            query_filter=models.Filter(
                must=[models.FieldCondition(key="available", match=models.MatchValue(value=True))]
            ),
            limit=count,
        )
        return [(point.payload["item_id"], point.score) for point in found.points if point.payload]

    def _ensure(self, model: str, size: int) -> None:
        if model not in self._known:
            # Items are of unit length: the inner product is what ranks inside of Penchant, too.
            vectors = models.VectorParams(size=size, distance=models.Distance.DOT)
            self._client.create_collection(model, vectors_config=vectors)
            self._known.add(model)


def point_id(item_id: str) -> str:
    return str(uuid.uuid5(NAMESPACE, item_id))


def records(brokers: str, topic: str, follow: bool) -> Iterator[list[tuple[str, dict[str, Any] | None]]]:
    """Batches of committed records from the topic's beginning, without end where `follow` is set."""
    from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

    consumer = Consumer(
        {
            "bootstrap.servers": brokers,
            "group.id": "qdrant-example",
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
        }
    )
    numbers = list(consumer.list_topics(topic, timeout=10).topics[topic].partitions)
    consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in numbers])
    unfinished = set(numbers)
    while follow or unfinished:
        batch = []
        for message in consumer.consume(500, 1.0):
            if message.error() is not None:
                unfinished.discard(message.partition())
                continue
            value = message.value()
            batch.append((message.key().decode(), None if value is None else json.loads(value)))
        if batch:
            yield batch
    consumer.close()


def main(command: str, brokers: str, where: str, *users: str) -> None:
    client = QdrantClient(url=where) if where.startswith("http") else QdrantClient(path=where)
    if where == ":memory:":
        client = QdrantClient(where)
    index = Index(client)
    if command == "fill":
        for batch in records(brokers, "item-vectors", follow=True):
            index.take(batch)
            sys.stdout.write(f"{len(batch)} items\n")
        return
    latest = {key: value for batch in records(brokers, "interests", follow=False) for key, value in batch}
    for user in users:
        interest = latest.get(user)
        for item_id, score in index.nearest(interest) if interest is not None else ():
            sys.stdout.write(f"{user}\t{item_id}\t{score:.3f}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
