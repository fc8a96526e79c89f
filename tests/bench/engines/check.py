"""Whether the engines do the same work: their outputs against a reference fold."""

import time

import msgspec
import numpy as np

from streams import kafka
from tests.bench.engines.feed import Feed, user_name
from tests.bench.engines.job import Job
from tests.bench.engines.small import STEP, VECTORS

_SECONDS = 60.0


class _Record(msgspec.Struct):
    user: str
    interest: list[float]


def check_small(job: Job, feed: Feed, events: int) -> None:
    """One output for each event, and each user's last one as the reference has it."""
    if job.outputs != "each":
        return
    last = _outputs(job, events)
    for user, vector in _reference(feed, events).items():
        known = np.array(last[user])
        assert np.abs(known - vector).max() < 1e-3, f"{user}: {known[:4]} is not {vector[:4]}"


def _outputs(job: Job, events: int) -> dict[str, list[float]]:
    """The last vector of each user."""
    topic = job.settings.topics.interests
    reader = kafka.consumer(job.settings.kafka, f"{job.name}-check")
    numbers = range(job.settings.topics.partitions)
    reader.assign([kafka.TopicPartition(topic, number, kafka.OFFSET_BEGINNING) for number in numbers])
    decode = msgspec.json.Decoder(_Record).decode
    found: dict[bytes, bytes] = {}
    count, give_up = 0, time.monotonic() + _SECONDS
    while count < events:
        assert time.monotonic() < give_up, f"{count} outputs for {events} events"
        for message in reader.consume(1_000, 0.1):
            assert message.error() is None, message.error()
            found[message.key()] = message.value()
            count += 1
    reader.close()
    assert count == events, f"{count} outputs for {events} events"
    records = [decode(value) for value in found.values()]
    return {each.user: each.interest for each in records}


def _reference(feed: Feed, events: int) -> dict[str, np.ndarray]:
    vectors: dict[int, np.ndarray] = {}
    for number in range(events):
        user, item = feed.users[number], VECTORS[feed.items[number]].astype(np.float64)
        known = vectors.get(user)
        step = float(STEP)
        vectors[user] = item if known is None else known * (1 - step) + item * step
    return {user_name(user): vector for user, vector in vectors.items()}
