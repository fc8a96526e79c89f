"""Both hosts in this process: back-pressure, lost records, hints, and how they end."""

import asyncio
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor

import pytest
from aiokafka.errors import KafkaConnectionError
from msgspec.structs import replace

from streams import metrics
from streams.engine import runner as runner_module
from streams.engine.guard import Delivery
from streams.engine.kafka_engine import group_of, kafka_runner
from streams.engine.processor import Effects, Work
from streams.engine.runner import Runner
from streams.errors import EngineError, SourceRecreated
from streams.interests import faust_host
from streams.kafka import (
    AdminClient,
    KafkaException,
    NewTopic,
    TopicPartition,
    admin_client,
    consumer,
    producer,
)
from streams.settings import Settings
from tests.counting import CountingProcessor, Event, fold, pack
from tests.engine_feed import Feed, check, places, stores, wait_for_end
from tests.engine_worker import NAME, host_class, spec
from tests.integration.conftest import read_all

SECONDS = 60.0


@pytest.fixture(params=["group", "faust"])
def host(request: pytest.FixtureRequest) -> str:
    return str(request.param)


class Running:
    """A host in a thread, until the block ends. Raises what the host raised."""

    def __init__(self, settings: Settings, host: str, runner: Runner[Event]) -> None:
        self._stop = threading.Event()
        self.runner = runner
        made = host_class(host)(settings.kafka, group_of(settings, NAME), spec(settings).source, runner)
        self._pool = ThreadPoolExecutor(1)
        self.ended = self._pool.submit(made.run, self._stop.is_set)

    def __enter__(self) -> "Running":
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        try:
            self.ended.result(SECONDS)
        finally:
            self._pool.shutdown(wait=False)


def until(condition: Callable[[], object]) -> None:
    give_up = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < give_up, "waited in vain"
        time.sleep(0.01)


class _Slow(CountingProcessor):
    """Its first batch takes until `go`."""

    def __init__(self, topic: str) -> None:
        super().__init__(topic)
        self.busy = threading.Event()
        self.go = threading.Event()

    def apply(
        self,
        work: Mapping[int, Work[Event]],
        stored: Mapping[int, Mapping[bytes, bytes | None]],
        clock_ms: int,
    ) -> dict[int, Effects]:
        self.busy.set()
        assert self.go.wait(SECONDS)
        return super().apply(work, stored, clock_ms)


def test_a_busy_engine_holds_the_host_back(settings: Settings, host: str) -> None:
    settings = replace(settings, interests=replace(settings.interests, queued_packs=8, batch_rows=4))
    feed = Feed(settings)
    processor = _Slow(settings.topics.interests)
    runner = kafka_runner(settings, spec(settings), processor)
    with Running(settings, host, runner):
        until(runner.ready)
        feed.send(300)
        assert processor.busy.wait(SECONDS)
        until(runner.full)
        # Longer than the host waits before it pauses what it reads.
        assert not runner.wait_for_room(2.5)
        depth = runner._queued()
        assert depth < 8 + 2 * 256
        processor.go.set()
        wait_for_end(settings, feed)
        check(settings, feed)


def test_records_lost_on_the_way_are_read_again(settings: Settings, host: str) -> None:
    """Of packs with ranges; what has none is not lost, because hosts read in one loop."""
    runner = kafka_runner(settings, spec(settings), CountingProcessor(settings.topics.interests))
    deliver, count = runner.deliver, 0
    lost: set[tuple[int, int]] = set()

    def lossy(partition: int, flow: int, deliveries: Iterable[Delivery]) -> None:
        nonlocal count
        kept = []
        for delivery in deliveries:
            count += 1
            place = partition, delivery[0]
            # A first record that is lost leaves no hole: nothing says where ranges begin. Where a turn had
            # a multiple of 23 records, one could be lost whenever it is read again, and gone for good.
            if count % 23 or delivery[0] == 0 or place in lost:
                kept.append(delivery)
            else:
                lost.add(place)
        deliver(partition, flow, kept)

    runner.deliver = lossy  # type: ignore[method-assign]
    feeder = producer(settings.kafka)
    for number in range(400):
        value = pack(number // 4 * 3, [f"{number % 4}-{number % 7}"] * 3)
        feeder.produce(settings.topics.interactions_encoded, value, partition=number % 4)
    assert feeder.flush(SECONDS) == 0
    before = metrics.HOLES._value.get()
    with Running(settings, host, runner):
        # The last record of a partition may be among the lost: nothing tells of it but the next one.
        until(lambda: _reached(runner, 300 - 3))
    assert metrics.HOLES._value.get() > before
    reached = places(stores(settings))
    expected: dict[bytes, list[bytes]] = defaultdict(list)
    for number in range(400):
        if number // 4 * 3 < reached[number % 4].raw:
            user = f"{number % 4}-{number % 7}"
            for offset in range(number // 4 * 3, number // 4 * 3 + 3):
                before_it = expected[user.encode()][-1] if expected[user.encode()] else None
                expected[user.encode()].append(fold(before_it, Event(user, offset)))
    found: dict[bytes, list[bytes]] = defaultdict(list)
    for message in read_all(settings, settings.topics.interests):
        found[message.key() or b""].append(message.value() or b"")
    assert found == expected


def _reached(runner: Runner[Event], raw: int) -> bool:
    partitions = list(runner._engine._partitions.values())
    return len(partitions) == 4 and all(partition.place.raw >= raw for partition in partitions)


def test_the_group_is_told_how_far_it_is(settings: Settings, host: str) -> None:
    feed = Feed(settings)
    feed.send(40)
    runner = kafka_runner(settings, spec(settings), CountingProcessor(settings.topics.interests))
    with Running(settings, host, runner):
        wait_for_end(settings, feed)
    source = settings.topics.interactions_encoded
    reader = consumer(settings.kafka, group_of(settings, NAME))
    told = reader.committed([TopicPartition(source, number) for number in range(4)], timeout=SECONDS)
    reader.close()
    expected = {number: place.source for number, place in places(stores(settings)).items()}
    assert {partition.partition: partition.offset for partition in told} == expected


class _Broken(CountingProcessor):
    def apply(
        self,
        work: Mapping[int, Work[Event]],
        stored: Mapping[int, Mapping[bytes, bytes | None]],
        clock_ms: int,
    ) -> dict[int, Effects]:
        raise ZeroDivisionError("a bug")


def test_an_engine_that_fails_ends_its_host(settings: Settings, host: str) -> None:
    feed = Feed(settings)
    feed.send(20)
    running = Running(settings, host, kafka_runner(settings, spec(settings), _Broken("out")))
    with pytest.raises(EngineError, match="a bug"):
        running.ended.result(SECONDS)
    # Its openers may still hold other partitions' stores, which the end of a process would free.
    heir = replace(settings, app=replace(settings.app, data=f"{settings.app.data}-heir"))
    runner = kafka_runner(heir, spec(heir), CountingProcessor(settings.topics.interests))
    with Running(heir, host, runner):
        wait_for_end(settings, feed)
        check(settings, feed)


def test_a_host_ends_at_once_where_nothing_was_given_to_it(settings: Settings, host: str) -> None:
    runner = kafka_runner(settings, spec(settings), CountingProcessor(settings.topics.interests))
    with Running(settings, host, runner):
        pass
    assert runner.failure is None


def test_a_broker_that_goes_away_at_the_start_is_waited_for(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """aiokafka gives up after a while, and Faust with it."""
    starts: list[object] = []

    class Unlucky(faust_host.EngineApp):
        async def start(self) -> None:
            starts.append(self)
            if len(starts) == 1:
                raise KafkaConnectionError("Unable to bootstrap")
            await super().start()

    monkeypatch.setattr(faust_host, "EngineApp", Unlucky)
    feed = Feed(settings)
    feed.send(20)
    runner = kafka_runner(settings, spec(settings), CountingProcessor(settings.topics.interests))
    with Running(settings, "faust", runner):
        wait_for_end(settings, feed)
    assert len(starts) == 2
    check(settings, feed)


def test_a_stop_during_the_start_is_heard(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    starting = threading.Event()

    class Slow(faust_host.EngineApp):
        async def start(self) -> None:
            starting.set()
            await asyncio.Event().wait()

    monkeypatch.setattr(faust_host, "EngineApp", Slow)
    runner = kafka_runner(settings, spec(settings), CountingProcessor(settings.topics.interests))
    with Running(settings, "faust", runner):
        assert starting.wait(SECONDS)
    assert runner.failure is None


def test_a_source_made_anew_ends_the_host(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """aiokafka would wait for an offset that the new topic may never reach."""
    monkeypatch.setattr(runner_module, "_CHECK_SECONDS", 0.1)
    feed = Feed(settings)
    feed.send(20)
    runner = kafka_runner(settings, spec(settings), CountingProcessor(settings.topics.interests))
    running = Running(settings, "faust", runner)
    until(lambda: runner.failure or runner.ready())
    source, admin = settings.topics.interactions_encoded, admin_client(settings.kafka)
    admin.delete_topics([source])[source].result(SECONDS)
    until(lambda: made_anew(admin, source))
    with pytest.raises(SourceRecreated, match="made anew"):
        running.ended.result(SECONDS)


def made_anew(admin: AdminClient, topic: str) -> bool:
    try:
        admin.create_topics([NewTopic(topic, 4, 1)])[topic].result(SECONDS)
    except KafkaException:
        # It is being deleted still.
        return False
    return True
