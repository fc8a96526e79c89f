"""A Quix Streams 3 application as a worker of the benchmark; it runs in an environment of its own."""

import time
from typing import Any

import msgspec
from quixstreams import Application
from quixstreams.state import State

from state.events import Row
from tests.bench.engines.job import Job, Ticker, read_job
from tests.bench.engines.small import fold, record

_STATE = "state"


def make_app(job: Job) -> Application:
    settings = job.settings
    return Application(
        broker_address=settings.kafka.bootstrap_servers,
        consumer_group=settings.app.name,
        auto_offset_reset="earliest",
        state_dir=job.data,
        processing_guarantee="exactly-once" if job.engine == "quix-eos" else "at-least-once",
        loglevel="WARNING",
    )


def small(app: Application, job: Job, ticker: Ticker) -> None:
    topics = job.settings.topics
    source = app.topic(topics.interactions, key_deserializer="str", value_deserializer="json")
    target = app.topic(topics.interests, key_serializer="str", value_serializer="bytes")
    frame = app.dataframe(source)

    def average(event: Any, state: State) -> bytes:
        after, vector = fold(state.get_bytes(_STATE), event["item_id"], event["timestamp"])
        state.set_bytes(_STATE, after)
        ticker.count += 1
        return record(event["user_id"], event["timestamp"], vector) if job.outputs != "none" else b""

    frame = frame.apply(average, stateful=True)
    if job.outputs != "none":
        frame.to_topic(target)


def full(app: Application, job: Job, ticker: Ticker) -> None:
    from tests.bench.engines.full import Update

    topics = job.settings.topics
    source = app.topic(topics.interactions, key_deserializer="bytes", value_deserializer="bytes")
    update = Update(job.settings)
    decode = msgspec.msgpack.Decoder(Row).decode

    def refresh(value: bytes, state: State) -> list[Any]:
        rows = [decode(value)]
        # State is kept by the record's key, so of a stored key its first byte, the kind, is enough.
        stored = {key: state.get_bytes(key[:1].decode()) for key in update.keys(rows)}
        effects = update.apply(rows, stored, time.time_ns() // 1_000_000)
        for key, after in effects.puts.items():
            state.set_bytes(key[:1].decode(), after)
        ticker.count += 1
        return effects.outputs

    frame = app.dataframe(source).apply(refresh, stateful=True, expand=True)
    for name in (topics.interests, topics.recommendations, topics.item_deltas):
        target = app.topic(name, key_serializer="bytes", value_serializer="bytes")
        outputs = frame[frame.apply(lambda output, name=name: output.topic == name)]
        outputs.apply(lambda output: output.value).to_topic(target)


def main() -> None:
    job = read_job()
    app = make_app(job)
    (small if job.work == "small" else full)(app, job, Ticker())
    app.run()


if __name__ == "__main__":
    main()
