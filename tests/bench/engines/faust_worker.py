"""A plain Faust app with a RocksDB table, as Faust's documentation shows it: a worker of the benchmark.

The full work is done event by event, too: a table knows its partition by the event at hand, so an agent that
takes batches across users would write to the wrong one.
"""

import sys
import time

import faust
import msgspec

from state.events import Row
from tests.bench.engines.job import Job, Ticker, read_job
from tests.bench.engines.small import fold, record

_DRIVER = {"driver": "rocksdict"}


class Interaction(faust.Record, serializer="json"):
    event_id: str
    user_id: str
    item_id: str
    action: str
    timestamp: int


def make_app(job: Job) -> faust.App:
    settings = job.settings
    return faust.App(
        settings.app.name,
        broker=f"kafka://{settings.kafka.bootstrap_servers}",
        store="rocksdb://",
        datadir=str(job.data),
        topic_partitions=settings.topics.partitions,
        web_enabled=False,
    )


def small(app: faust.App, job: Job, ticker: Ticker) -> None:
    topics = job.settings.topics
    source = app.topic(topics.interactions, key_type=str, value_type=Interaction)
    target = app.topic(topics.interests, key_type=str, value_serializer="raw")
    averages = app.Table("averages", key_type=str, value_type=bytes, options=_DRIVER)

    @app.agent(source)
    async def average(events):  # type: ignore[no-untyped-def]
        async for event in events:
            user = event.user_id
            state, vector = fold(averages.get(user), event.item_id, event.timestamp)
            averages[user] = state
            if job.outputs != "none":
                await target.send(key=user, value=record(user, event.timestamp, vector))
            ticker.count += 1


def full(app: faust.App, job: Job, ticker: Ticker) -> None:
    from tests.bench.engines.full import Update

    topics = job.settings.topics
    source = app.topic(topics.interactions, key_type=str, value_type=bytes, value_serializer="raw")
    targets = {
        name: app.topic(name, key_type=bytes, key_serializer="raw", value_serializer="raw")
        for name in (topics.interests, topics.recommendations, topics.item_deltas)
    }
    states = app.Table("states", key_type=bytes, value_type=bytes, options=_DRIVER)
    update = Update(job.settings)
    decode = msgspec.msgpack.Decoder(Row).decode

    @app.agent(source)
    async def refresh(values):  # type: ignore[no-untyped-def]
        async for value in values:
            rows = [decode(value)]
            stored = {key: states.get(key) for key in update.keys(rows)}
            effects = update.apply(rows, stored, time.time_ns() // 1_000_000)
            for key, state in effects.puts.items():
                states[key] = state
            for output in effects.outputs:
                await targets[output.topic].send(
                    key=output.key, value=output.value, headers=list(output.headers)
                )
            ticker.count += 1


def main() -> None:
    job = read_job()
    app = make_app(job)
    (small if job.work == "small" else full)(app, job, Ticker())
    sys.argv = ["faust", "worker", "-l", "info", "--without-web"]
    app.main()


if __name__ == "__main__":
    main()
