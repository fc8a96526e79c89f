"""Freshness: from an event's time to its output at a `read_committed` consumer, fed at an even pace."""

import multiprocessing
import time
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Event as Signal

import msgspec
import numpy as np

from streams import kafka
from streams.settings import Settings
from tests.bench.engines.feed import Feed, Plan

_SETTLE_SECONDS = 2.0
"""What comes in the first seconds is not counted."""
_AFTER_SECONDS = 1.5
_SAMPLES = 5_000
"""So many outputs a second are looked into at most."""


class _Small(msgspec.Struct):
    t: int


class _Full(msgspec.Struct):
    caused_by: list[str]


def freshness(
    settings: Settings, plan: Plan, rate: float, seconds: float, raw: list[int]
) -> tuple[float, float, float]:
    """Percentiles 50, 95 and 99 in milliseconds over events, at `rate` events a second."""
    spawn = multiprocessing.get_context("spawn")
    here, there = spawn.Pipe()
    ready, stop = spawn.Event(), spawn.Event()
    skip = max(1, round(rate / _SAMPLES))
    reader = spawn.Process(target=_read, args=(settings, plan.work, skip, ready, stop, there))
    feeder = spawn.Process(target=_feed, args=(settings, plan, rate, seconds, raw))
    reader.start()
    try:
        assert ready.wait(30), "the reader of outputs does not start"
        feeder.start()
        feeder.join(seconds + 60)
        time.sleep(_AFTER_SECONDS)
        stop.set()
        assert here.poll(30), "the reader of outputs does not answer"
        late = np.array(here.recv())
        reader.join(30)
    finally:
        for process in (reader, feeder):
            if process.is_alive():
                process.kill()
    assert len(late) > 20, f"only {len(late)} outputs came"
    p50, p95, p99 = np.percentile(late, (50, 95, 99)).tolist()
    return p50, p95, p99


def _feed(settings: Settings, plan: Plan, rate: float, seconds: float, raw: list[int]) -> None:
    feed = Feed(settings, plan, int(rate * seconds) + 1)
    feed.continue_from(raw)
    feed.pace(rate, seconds, 0.005 if plan.form == "packs" else 0.002)


def _read(settings: Settings, work: str, skip: int, ready: Signal, stop: Signal, answer: Connection) -> None:
    reader = kafka.consumer(settings.kafka, f"{settings.app.name}-arrivals", {"fetch.wait.max.ms": 50})
    topic = settings.topics.interests
    places = [kafka.TopicPartition(topic, number) for number in range(settings.topics.partitions)]
    for place in places:
        place.offset = reader.get_watermark_offsets(place, timeout=10)[1]
    reader.assign(places)
    ready.set()
    decode_small = msgspec.json.Decoder(_Small).decode
    decode_full = msgspec.json.Decoder(_Full).decode
    found: list[tuple[float, float]] = []
    seen = 0
    while not stop.is_set():
        for message in reader.consume(500, 0.005):
            assert message.error() is None, message.error()
            seen += 1
            if seen % skip:
                continue
            now = time.time() * 1000
            if work == "small":
                times = [decode_small(message.value()).t]
            else:
                times = [int(name[:13]) for name in decode_full(message.value()).caused_by]
            found.extend((sent, now - sent) for sent in times)
    reader.close()
    first = min((sent for sent, _ in found), default=0.0) + _SETTLE_SECONDS * 1000
    answer.send([late for sent, late in found if sent > first])
