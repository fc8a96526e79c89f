"""Requests that no client would send, to bring a broker into states that only its failures bring about."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Mapping

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import ConcurrentTransactions
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.protocol.transaction import (
    InitProducerIdRequest,
    InitProducerIdResponse_v0,
    TxnOffsetCommitRequest,
)
from aiokafka.record.default_records import DefaultRecordBatchBuilder

Records = Mapping[tuple[str, int], list[tuple[bytes, bytes]]]
"""Keys and values, by topic and partition."""

TIMEOUT_MS = 10_000


Offsets = tuple[str, Mapping[tuple[str, int], int]]
"""A group, and what it commits by topic and partition."""


def leave_open(
    bootstrap_servers: str, transactional_id: str, records: Records, offsets: Offsets | None = None
) -> None:
    """Records of a transaction that its coordinator holds for ended, though no partition has its marker.

    The broker must have `transaction.partition.verification.enable=false`.
    """
    asyncio.run(_leave_open(bootstrap_servers, transactional_id, records, offsets))


async def _leave_open(
    bootstrap_servers: str, transactional_id: str, records: Records, offsets: Offsets | None
) -> None:
    client = AIOKafkaClient(bootstrap_servers=bootstrap_servers)
    await client.bootstrap()
    try:
        [broker] = client.cluster.brokers()
        made = await _producer(client, broker.nodeId, transactional_id)
        topics: dict[str, list[tuple[int, bytes]]] = defaultdict(list)
        for (topic, partition), pairs in records.items():
            topics[topic].append((partition, _batch(made.producer_id, made.producer_epoch, pairs)))
        written = await client.send(
            broker.nodeId, ProduceRequest(transactional_id, -1, TIMEOUT_MS, list(topics.items()))
        )
        errors = [place[1] for _, places in written.topics for place in places]
        assert not any(errors), written
        if offsets is not None:
            group, places = offsets
            told = [(topic, [(number, at, "")]) for (topic, number), at in places.items()]
            commit = TxnOffsetCommitRequest(
                transactional_id, group, made.producer_id, made.producer_epoch, told
            )
            answer = await client.send(broker.nodeId, commit)
            assert not any(place[1] for _, parts in answer.errors for place in parts), answer
    finally:
        await client.close()


async def _producer(client: AIOKafkaClient, node: int, transactional_id: str) -> InitProducerIdResponse_v0:
    give_up = time.monotonic() + TIMEOUT_MS / 1_000
    while True:
        made = await client.send(node, InitProducerIdRequest(transactional_id, TIMEOUT_MS))
        if made.error_code == 0:
            return made
        assert made.error_code == ConcurrentTransactions.errno and time.monotonic() < give_up, made
        await asyncio.sleep(0.02)


def _batch(producer: int, epoch: int, pairs: list[tuple[bytes, bytes]]) -> bytes:
    batch = DefaultRecordBatchBuilder(2, 0, True, producer, epoch, 0, 1_000_000)
    for offset, (key, value) in enumerate(pairs):
        batch.append(offset, int(time.time() * 1_000), key, value, [])
    return bytes(batch.build())
