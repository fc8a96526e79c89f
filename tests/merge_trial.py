"""A merge between two partitions, with the interests worker killed at one step of one of its halves."""

import os
from pathlib import Path

import msgspec
import numpy as np

from state.events import Action, Command, Pack, Row, RowKind
from state.fusion import Fusion
from state.prior import content_prior
from streams import kafka
from streams.demo.stage import WorkerProcess
from streams.engine.faults import VARIABLE
from streams.interests.processor import KIND_FUSION
from streams.partitioning import partition_of
from streams.settings import Settings
from tests.encode_harness import until
from tests.encoded_reference import changelog_states
from tests.integration.conftest import read_all
from tests.tastes import item, row

STOCK = [item(number) for number in range(12)]
FUSION = Fusion(content_prior())
EVENTS = 70
_SECONDS = 60.0


def put(settings: Settings, rows: list[Row]) -> None:
    """Rows as the encode worker writes them, but for their raw ranges."""
    topic = settings.topics.interactions_encoded
    client = kafka.producer(settings.kafka)
    for each in rows:
        number = partition_of(each.user_id.encode(), settings.topics.partitions)
        client.produce(topic, msgspec.msgpack.encode(Pack(-1, -1, [each])), partition=number)
    assert client.flush(_SECONDS) == 0


def events(users: tuple[str, str]) -> list[Row]:
    """Of no item: the engine that counts items has nothing to do then, and passes no step."""
    return [event(users[n % 2], n) for n in range(EVENTS)]


def event(user: str, number: int) -> Row:
    return row(user, number, STOCK[number % 12], Action.LIKE, offset=-1, item_id=None)


def merge(user: str, into: str) -> Row:
    last = row(user, EVENTS, None, offset=-1, kind=int(RowKind.MERGE), event_id="c-1")
    return msgspec.structs.replace(last, command=Command(into=into))


def merged_under_fire(settings: Settings, folder: Path, fault: str, port: int) -> tuple[bytes, bytes]:
    """The state that comes of it, and the fold of both users' events as one; `fault` as PENCHANT_FAULT."""
    users = two_users(settings.topics.partitions)
    rows = events(users)
    worker = started(settings, folder, port)
    try:
        put(settings, rows)
        until("all events", lambda: sum(counts(settings).values()) == EVENTS)
    finally:
        worker.stop()
    worker = started(settings, folder, port, fault)
    try:
        put(settings, [merge(*users)])
        until("the kill", lambda: worker.process.poll() is not None)
        assert worker.process.returncode == -9
    finally:
        worker.stop()
    worker = started(settings, folder, port)
    try:
        put(settings, [event(users[0], EVENTS + 1)])
        until("the last event", lambda: counts(settings) == {users[1]: EVENTS + 1})
    finally:
        worker.stop()
    assert len(read_all(settings, settings.topics.user_receipts)) == 1
    (state,) = records(settings).values()
    everything = [*rows, event(users[1], EVENTS + 1)]
    return state, FUSION.fold([None], [everything]).states[0]


def two_users(partitions: int) -> tuple[str, str]:
    """In two partitions."""
    users = [f"user-{number}" for number in range(20)]
    home = partition_of(users[0].encode(), partitions)
    other = next(user for user in users if partition_of(user.encode(), partitions) != home)
    return users[0], other


def started(settings: Settings, folder: Path, port: int, fault: str = "") -> WorkerProcess:
    os.environ[VARIABLE] = fault
    try:
        worker = WorkerProcess("interests", settings, folder, port)
    finally:
        del os.environ[VARIABLE]
    worker.wait_ready()
    return worker


def records(settings: Settings) -> dict[str, bytes]:
    found = changelog_states(settings)
    return {key[1:].decode(): value for key, value in found.items() if key[:1] == KIND_FUSION}


def counts(settings: Settings) -> dict[str, int]:
    held = records(settings)
    return {user: int(FUSION.read([state]).event_count[0]) for user, state in held.items()}


def assert_same_picture(state: bytes, folded: bytes) -> None:
    """To rounding, and to the number in what is counted."""
    one, other = FUSION.read([state]), FUSION.read([folded])
    for name in ("interest", "heads", "head_weights", "modalities"):
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), atol=1e-5, err_msg=name)
    for name in ("event_count", "version", "time_ms"):
        assert getattr(one, name).tolist() == getattr(other, name).tolist(), name
