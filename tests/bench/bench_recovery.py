"""Recovery: users restored a second, from the changelog into empty stores, as an opening does it.

    OMP_NUM_THREADS=1 python tests/bench/bench_recovery.py [--users 300000] [--partitions 4] [--runs 3]

Users are real records: a fusion record and a profile with a past of 40 events each, some hundred different
ones under as many keys as there are users. The broker runs on the same machine. Each run begins with an empty
disk; the partitions open side by side. `first read` is a look at 512 users right after it.
"""

import argparse
import random
import resource
import shutil
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from state.events import Row
from state.fusion import Fusion
from state.prior import content_prior
from state.profile import Profile, encode_profile, fold_profile
from state.slots import item_hash
from state.store import Store
from streams import kafka
from streams.broker import LocalCluster
from streams.engine.kafka_engine import EngineSpec, kafka_engine, kafka_standbys
from streams.interests.processor import KIND_FUSION, KIND_PROFILE
from streams.interests.signals import SignalsProcessor
from streams.progress import progress
from streams.settings import AppSettings, KafkaSettings, Settings, TopicSettings
from streams.topic_plans import user_state_changelog
from streams.topics import create_topics

SAMPLES = 200
PAST = 40
TRANSACTION = 500
"""Users in one transaction."""
START = 1_750_000_000_000
COLUMNS = ("run", "s", "users/s", "MB/s", "CPU us/user", "peak MB", "first read s", "disk MB")


@dataclass(frozen=True)
class Run:
    seconds: float
    cpu: float
    megabytes: int
    first_read: float
    disk: int


def samples() -> list[tuple[bytes, bytes]]:
    """Fusion record and profile of some users, as the interests worker makes them."""
    fusion, chance = Fusion(content_prior()), np.random.default_rng(1)
    profiles = [Profile() for _ in range(SAMPLES)]
    states: list[bytes | None] = [None] * SAMPLES
    for turn in range(PAST):
        rows = [event(chance, user, turn) for user in range(SAMPLES)]
        states = list(fusion.fold(states, [[row] for row in rows]).states)
        for profile, row in zip(profiles, rows, strict=True):
            fold_profile(profile, [(row, item_hash(row.item_id or ""))])
    return [(state or b"", encode_profile(profile)) for state, profile in zip(states, profiles, strict=True)]


def event(chance: np.random.Generator, user: int, turn: int) -> Row:
    vector, item = chance.normal(size=128), int(chance.integers(2_000))
    return Row(
        user_id=f"{user}",
        event_id=f"event-{turn}-{user}",
        action=int(chance.integers(4)),
        time=START + turn * 60_000,
        offset=turn,
        broker_time=START,
        item_id=f"item-{item}",
        vectors={1: (vector / np.linalg.norm(vector)).astype("<f2").tobytes()},
        topics=(f"tag-{item % 40}", f"category-{item % 7}"),
        dwell_seconds=12.0,
    )


def fill(settings: Settings, users: int, records: Sequence[tuple[bytes, bytes]]) -> None:
    """Write the changelog in transactions, users over the partitions in turn."""
    topic, partitions = user_state_changelog(settings), settings.topics.partitions
    producer = kafka.producer(settings.kafka, "bench-fill")
    producer.init_transactions(30)
    with progress("filling the changelog", users) as tell:
        for first in range(0, users, TRANSACTION):
            producer.begin_transaction()
            for user in range(first, min(users, first + TRANSACTION)):
                fusion, profile = records[user % len(records)]
                for kind, value in ((KIND_FUSION, fusion), (KIND_PROFILE, profile)):
                    producer.produce(topic, value, kind + name(user), partition=user % partitions)
            producer.commit_transaction(60)
            tell(first)


def name(user: int) -> bytes:
    return f"user-{user:08d}".encode()


def recover(settings: Settings, users: int) -> Run:
    """Open all partitions side by side on an empty disk."""
    topics, folder = settings.topics, Path(settings.app.data)
    shutil.rmtree(folder, ignore_errors=True)
    spec = EngineSpec("bench", topics.interactions_encoded, user_state_changelog(settings), folder)
    engine = kafka_engine(settings, spec, SignalsProcessor(settings), kafka_standbys(settings, spec))
    began, used = time.monotonic(), time.process_time()
    with ThreadPoolExecutor(topics.partitions) as pool:
        for partition in pool.map(engine.open, range(topics.partitions)):
            engine.adopt(partition)
    seconds, used = time.monotonic() - began, time.process_time() - used
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    began = time.monotonic()
    look(engine.store(0), users, topics.partitions)
    first_read = time.monotonic() - began
    disk = sum(engine.store(number).size() for number in range(topics.partitions))
    engine.close_all()
    return Run(seconds, used, peak, first_read, disk)


def look(store: Store, users: int, partitions: int) -> None:
    chance = random.Random(3)
    keys = [KIND_FUSION + name(chance.randrange(users // partitions) * partitions) for _ in range(512)]
    assert all(store.get_many(keys)), "a user is missing"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--users", type=int, default=300_000)
    parser.add_argument("--partitions", type=int, default=4)
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    console = Console()
    folder = Path(tempfile.mkdtemp(prefix="penchant-bench-"))
    try:
        with LocalCluster(folder / "broker") as cluster:
            settings = Settings(
                app=AppSettings(data=str(folder / "data")),
                kafka=KafkaSettings(bootstrap_servers=cluster.bootstrap_servers),
                topics=TopicSettings(partitions=arguments.partitions),
            )
            create_topics(settings)
            records = samples()
            size = sum(len(fusion) + len(profile) for fusion, profile in records) / len(records)
            console.print(f"{arguments.users} users of {size:.0f} bytes, {arguments.partitions} partitions")
            fill(settings, arguments.users, records)
            table = Table(
                "run", "s", "users/s", "MB/s", "CPU us a user", "peak MB", "first read s", "disk MB"
            )
            for number in range(1, arguments.runs + 1):
                run = recover(settings, arguments.users)
                rate = arguments.users / run.seconds
                table.add_row(
                    f"{number}",
                    f"{run.seconds:.1f}",
                    f"{rate:,.0f}",
                    f"{rate * size / 1e6:.0f}",
                    f"{run.cpu / arguments.users * 1e6:.0f}",
                    f"{run.megabytes}",
                    f"{run.first_read:.2f}",
                    f"{run.disk / 1e6:.0f}",
                )
            console.print(table)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
