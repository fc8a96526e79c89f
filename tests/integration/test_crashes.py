"""kill -9 of either worker under load: nothing lost, nothing twice, states equal to a reference fold."""

import itertools
import os
import random
import signal
import time
from collections import Counter
from pathlib import Path

import pytest

from streams.broker.ports import free_ports
from streams.demo.stage import WorkerProcess, workers
from streams.settings import Settings
from tests.encoded_reference import (
    Packs,
    causes_of,
    changelog_states,
    event_rows,
    interests_by_user,
    packs_by_partition,
    raw_events,
    reference_states,
)
from tests.integration.conftest import produce_json, wait_for

pytestmark = pytest.mark.timeout(300)
WAIT_SECONDS = 120.0
USERS = 30
EVENTS = 600
ACTIONS = ("view", "click", "like", "skip", "dislike", "unlike", "save")


def make_events(chance: random.Random) -> list[tuple[str, dict[str, object]]]:
    start = int(time.time() * 1000) - EVENTS * 60_000
    events = []
    for number in range(EVENTS):
        user = f"u{chance.randrange(USERS)}"
        stamp = start + number * 60_000 - chance.randrange(300_000)
        item = f"item-{chance.randrange(20)}"
        fields = {"timestamp": stamp, "event_id": f"e{number}", "item_id": item}
        events.append((user, {"user_id": user, "action": chance.choice(ACTIONS), **fields}))
    return events


def restart(worker: WorkerProcess, settings: Settings, folder: Path) -> WorkerProcess:
    os.kill(worker.process.pid, signal.SIGKILL)
    worker.process.wait(10)
    return WorkerProcess(worker.command, settings, folder, worker.port)


def every_raw_offset_once(settings: Settings, packs: Packs) -> None:
    raw = raw_events(settings)
    rows = Counter(row.event_id for _, row in event_rows(packs))
    assert rows == Counter(event_id for event_id, _ in raw.values())
    for partition, found in packs.items():
        offsets = [offset for number, offset in raw if number == partition]
        ranges = [(pack.first, pack.end) for pack in found if pack.first >= 0]
        assert ranges[0][0] == 0 and ranges[-1][1] == offsets[-1] + 1
        assert all(end == first for (_, end), (first, _) in itertools.pairwise(ranges))


def wait_until_counted(settings: Settings, sent: int) -> None:
    limit = time.monotonic() + WAIT_SECONDS
    while True:
        last = [each[-1].event_count for each in interests_by_user(settings).values()]
        if sum(last) >= sent:
            return
        assert time.monotonic() < limit, f"{sum(last)} of {sent} events counted after {WAIT_SECONDS} s"
        time.sleep(0.5)


def test_kill_9_of_either_worker_loses_and_doubles_nothing(settings: Settings, tmp_path: Path) -> None:
    chance = random.Random(3)
    events = make_events(chance)
    items = [(f"item-{n}", {"item_id": f"item-{n}", "title": f"thing {n}"}) for n in range(20)]
    ports = dict(zip(("encode", "interests"), free_ports(2), strict=True))
    with workers(settings, tmp_path, ports) as started:
        produce_json(settings, settings.topics.items, items)
        wait_for(settings, settings.topics.items_encoded, len(items))
        for step in range(4):
            produce_json(settings, settings.topics.interactions, events[step * 150 : (step + 1) * 150])
            time.sleep(chance.uniform(0.05, 0.4))
            victim = step % 2
            started[victim] = restart(started[victim], settings, tmp_path)
            if victim == 1:
                started[1].wait_ready()
        wait_until_counted(settings, EVENTS)

    packs = packs_by_partition(settings)
    every_raw_offset_once(settings, packs)
    expected = reference_states(settings, packs)
    found = changelog_states(settings)
    assert found.keys() == expected.keys()
    assert found == expected

    outputs = interests_by_user(settings)
    for user, each in outputs.items():
        versions = [one.version for one in each]
        assert versions == sorted(set(versions)), user
    assert causes_of(outputs) == Counter(str(event["event_id"]) for _, event in events)
