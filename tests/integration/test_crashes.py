"""kill -9 of either worker under load: nothing lost, nothing twice, states equal to a reference fold."""

import itertools
import json
import os
import random
import signal
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from conftest import produce_json, read_all, wait_for

from state.artifact import load_artifact
from state.catalogue import Catalogue
from state.events import Pack, Row
from state.fusion import Fusion
from streams.broker.ports import free_ports
from streams.demo.stage import WorkerProcess, workers
from streams.engine.processor import Work
from streams.interests.processor import KIND_FUSION, KIND_PROFILE, InterestsProcessor
from streams.records import Interest
from streams.settings import Settings
from streams.topics import user_state_changelog

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


def packs_by_partition(settings: Settings) -> dict[int, list[Pack]]:
    found: dict[int, list[Pack]] = defaultdict(list)
    for message in read_all(settings, settings.topics.interactions_encoded):
        found[message.partition()].append(msgspec.msgpack.decode(message.value(), type=Pack))
    return found


def every_raw_offset_once(settings: Settings, packs: dict[int, list[Pack]]) -> None:
    raw: dict[int, list[int]] = defaultdict(list)
    ids: list[str] = []
    for message in read_all(settings, settings.topics.interactions):
        raw[message.partition()].append(message.offset())
        ids.append(json.loads(message.value())["event_id"])
    rows = [row for pack in packs.values() for each in pack for row in each.rows if row.offset >= 0]
    assert Counter(row.event_id for row in rows) == Counter(ids)
    for partition, offsets in raw.items():
        ranges = [(pack.first, pack.end) for pack in packs[partition] if pack.first >= 0]
        assert ranges[0][0] == 0 and ranges[-1][1] == offsets[-1] + 1
        assert all(end == first for (_, end), (first, _) in itertools.pairwise(ranges))


def rows_in_order(packs: list[Pack]) -> Iterator[Row]:
    for pack in packs:
        yield from pack.rows


def reference_states(settings: Settings, packs: dict[int, list[Pack]]) -> dict[bytes, bytes]:
    """The fold of the encoded topic, a row at a time, in memory."""
    fusion = Fusion(load_artifact(""))
    processor = InterestsProcessor(fusion, Catalogue(fusion), settings)
    states: dict[bytes, bytes] = {}
    for partition, found in packs.items():
        for row in rows_in_order(found):
            work = Work([row], [], row.offset + 1)
            stored = {key: states.get(key) for key in processor.keys(work)}
            effects = processor.apply({partition: work}, {partition: stored}, row.broker_time)[partition]
            states.update({key: value for key, value in effects.puts.items() if value is not None})
    return states


def changelog_states(settings: Settings) -> dict[bytes, bytes]:
    last = {message.key(): message.value() for message in read_all(settings, user_state_changelog(settings))}
    return {key: value for key, value in last.items() if key[:1] in (KIND_FUSION, KIND_PROFILE)}


def interests_by_user(settings: Settings) -> dict[str, list[Interest]]:
    found: dict[str, list[Interest]] = defaultdict(list)
    for message in read_all(settings, settings.topics.interests):
        found[message.key().decode()].append(msgspec.json.decode(message.value(), type=Interest))
    return found


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

    causes: Counter[str] = Counter()
    for user, outputs in interests_by_user(settings).items():
        versions = [each.version for each in outputs]
        assert versions == sorted(set(versions)), user
        causes.update(cause for each in outputs for cause in each.caused_by)
    assert causes == Counter(str(event["event_id"]) for _, event in events)
