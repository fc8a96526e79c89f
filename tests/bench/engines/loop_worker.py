"""A bare confluent-kafka loop as a worker of the benchmark: the limit of what Python can do on this client.

At most 500 events, one multi-get, the work, outputs and changelog produced and flushed, one WriteBatch, the
offsets committed. At-least-once, and no fence: what a crash or a zombie does to it is the engines' business.
"""

import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import msgspec

from state.events import Pack, Row
from state.rocks import RocksStore
from streams import kafka
from streams.commands.serving import collect_seldom
from streams.topic_plans import user_state_changelog
from tests.bench.engines.job import Job, Ticker, read_job
from tests.bench.engines.small import decode_event, fold, record

_BATCH = 500
_PACK_ROWS = 64
_WAIT_SECONDS = 0.02
_RESTORE_BATCH = 5_000


class Loop:
    """Reads, works, produces, writes, commits."""

    def __init__(self, job: Job, ticker: Ticker) -> None:
        self._settings = job.settings
        self._outputs = job.outputs
        self._ticker = ticker
        self._changelog = user_state_changelog(job.settings)
        self._topic = job.settings.topics.interests
        folder = job.data / "store"
        fresh = not folder.exists()
        self._store = RocksStore(folder, job.settings.interests.block_cache_mb)
        if fresh:
            self._restore()
        self._producer = kafka.producer(job.settings.kafka)
        full = job.work == "full"
        self._source = job.settings.topics.interactions_encoded if full else job.settings.topics.interactions
        self._records = _BATCH // _PACK_ROWS if full else _BATCH
        self._step: Callable[[list[kafka.Message]], dict[bytes, bytes | None]] = self._small
        if full:
            from tests.bench.engines.full import Update

            self._update = Update(job.settings)
            self._decode = msgspec.msgpack.Decoder(Pack).decode
            self._step = self._full

    def run(self, stopped: Callable[[], bool]) -> None:
        consumer = kafka.consumer(
            self._settings.kafka,
            f"{self._settings.app.name}-loop",
            {"enable.auto.offset.store": True, "auto.offset.reset": "earliest"},
        )
        consumer.subscribe([self._source])
        while not stopped():
            first = consumer.poll(_WAIT_SECONDS)
            if first is None:
                continue
            messages = [first, *consumer.consume(self._records - 1, 0)]
            messages = [message for message in messages if message.error() is None]
            if not messages:
                continue
            changes = self._step(messages)
            for key, value in changes.items():
                self._send(self._changelog, key, value)
            assert self._producer.flush(30) == 0
            self._store.write(changes)
            consumer.commit(asynchronous=True)
        consumer.close()
        self._store.close()

    def _small(self, messages: list[kafka.Message]) -> dict[bytes, bytes | None]:
        events = [decode_event(message.value()) for message in messages]
        users = list({event.user_id for event in events})
        states = dict(zip(users, self._store.get_many([user.encode() for user in users]), strict=True))
        last = {}
        for event in events:
            user = event.user_id
            states[user], vector = fold(states[user], event.item_id, event.timestamp)
            if self._outputs == "each":
                self._send(self._topic, user.encode(), record(user, event.timestamp, vector))
            elif self._outputs == "user":
                last[user] = (event.timestamp, vector)
        for user, (time_ms, vector) in last.items():
            self._send(self._topic, user.encode(), record(user, time_ms, vector))
        self._ticker.count += len(events)
        return {user.encode(): state for user, state in states.items()}

    def _full(self, messages: list[kafka.Message]) -> dict[bytes, bytes | None]:
        rows: list[Row] = []
        for message in messages:
            rows.extend(self._decode(message.value()).rows)
        keys = self._update.keys(rows)
        stored = dict(zip(keys, self._store.get_many(keys), strict=True))
        effects = self._update.apply(rows, stored, time.time_ns() // 1_000_000)
        for output in effects.outputs:
            self._send(output.topic, output.key, output.value, headers=list(output.headers))
        self._ticker.count += len(rows)
        return effects.puts

    def _send(self, topic: str, key: bytes, value: bytes | None, **rest: Any) -> None:
        while True:
            try:
                self._producer.produce(topic, value, key, **rest)
                return
            except BufferError:
                self._producer.poll(0.05)

    def _restore(self) -> None:
        """The whole changelog into the store."""
        reader = kafka.consumer(
            self._settings.kafka, "restore", {"enable.partition.eof": True, "fetch.wait.max.ms": 10}
        )
        numbers = range(self._settings.topics.partitions)
        reader.assign([kafka.TopicPartition(self._changelog, n, kafka.OFFSET_BEGINNING) for n in numbers])
        ended = 0
        while ended < len(numbers):
            changes = {}
            for message in reader.consume(_RESTORE_BATCH, 0.2):
                error = message.error()
                if error is None:
                    changes[message.key() or b""] = message.value()
                elif error.code() == kafka.KafkaError._PARTITION_EOF:
                    ended += 1
            if changes:
                self._store.write(changes)
        reader.close()


def main() -> None:
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    collect_seldom()
    Loop(read_job(), Ticker()).run(stop.is_set)


if __name__ == "__main__":
    main()
