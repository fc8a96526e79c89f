"""The latest records of some keys, looked for from the ends of partitions backwards."""

import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from math import inf

from streams.raw import RawRecord
from streams.reading import Stretch, read
from streams.settings import Settings

FIRST = 2_000
"""Offsets of each partition that are looked at first; each further look takes GROWTH times as many."""
GROWTH = 8


def latest(
    settings: Settings, stretches: Iterable[Stretch], keys: Mapping[str, set[bytes]], seconds: float = inf
) -> dict[tuple[str, bytes], RawRecord]:
    """By topic and key, of the keys that are wanted of each topic; a null value counts.

    Keys that are not there are left out, and so are those that are not found in so many seconds. What
    changes often lies near the end, so that most of a large topic is never read. Raises TopicError.
    """
    deadline = time.monotonic() + seconds
    found: dict[tuple[str, bytes], RawRecord] = {}
    wanted = {(topic, key) for topic, some in keys.items() for key in some}
    left, step = list(stretches), FIRST
    while left and time.monotonic() < deadline:
        looks = [replace(each, first=max(each.first, each.end - step)) for each in left]
        seen: dict[tuple[str, bytes], RawRecord] = {}
        for record in read(settings, looks, until=deadline):
            if record.key is not None and (place := (record.topic, record.key)) in wanted:
                seen[place] = record
        if time.monotonic() >= deadline:
            # What was seen of this look may be followed by something later.
            return found
        found |= seen
        wanted -= seen.keys()
        topics = {topic for topic, _ in wanted}
        left = [
            replace(each, end=look.first)
            for each, look in zip(left, looks, strict=True)
            if look.first > each.first and each.topic in topics
        ]
        step *= GROWTH
    return found
