"""One cell of the comparison: one engine, one work, one run, on topics of its own."""

import itertools
import os
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
from msgspec.structs import replace

from state.settings import RecommendSettings
from streams import kafka
from streams.broker import LocalCluster
from streams.broker.ports import free_ports
from streams.demo.stage import WorkerProcess
from streams.settings import AppSettings, KafkaSettings, Settings, TopicSettings
from streams.topics import create_topics
from tests.bench.engines.arrivals import freshness
from tests.bench.engines.check import check_small
from tests.bench.engines.feed import Feed, Plan, load_catalogue
from tests.bench.engines.full import TOP_K
from tests.bench.engines.job import Job, Outputs, WorkName
from tests.bench.engines.line_up import ENGINES, EngineSpec
from tests.bench.engines.processes import (
    Worker,
    busy_seconds,
    cpu_seconds,
    folder_bytes,
    log_bytes,
    resident_mb,
)

_CHUNK = 100
"""Events of one moment in a backlog."""
_START_SECONDS = 120.0
_MOST_SECONDS = 240.0
_LATE_EVENTS = 64
"""After a restart, spread over all partitions: when they have come through, all are open."""
_numbers = itertools.count()


@dataclass(frozen=True, slots=True)
class Options:
    """Sizes of the cells."""

    events: int
    fresh_seconds: float
    recovery_users: int
    load: float = 0.5
    """Share of an engine's own throughput at which its freshness is measured."""
    rate: float = 0.0
    """Events a second at which freshness is measured, the same for all; 0 goes by `load`."""


class Result(msgspec.Struct, omit_defaults=True):
    """What a cell came to. CPU in microseconds per event, freshness in milliseconds."""

    engine: str
    work: WorkName
    outputs: Outputs
    variant: str = ""
    events: int = 0
    rate: float = 0.0
    cpu: float = 0.0
    encode_cpu: float = 0.0
    broker_cpu: float = 0.0
    broker_bytes: float = 0.0
    others: float = 0.0
    """Cores that other processes of the machine kept busy meanwhile."""
    resident_mb: float = 0.0
    fresh_rate: float = 0.0
    p50: float = 0.0
    p95: float = 0.0
    p99: float = 0.0
    warm_seconds: float = 0.0
    wiped_seconds: float = 0.0
    recovery_users: int = 0
    store_bytes: float = 0.0
    changelog_bytes: float = 0.0


class EncodeHop:
    """The product's encode worker."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self._process = WorkerProcess("encode", settings, folder, free_ports(1)[0])

    @property
    def pid(self) -> int:
        return self._process.process.pid

    def stop(self) -> None:
        self._process.stop()


Process = Worker | EncodeHop


class Bench:
    """A broker, and a folder for everything."""

    def __init__(self, cluster: LocalCluster, folder: Path, options: Options) -> None:
        self.options = options
        self._cluster = cluster
        self._folder = folder

    def job(self, engine: str, work: WorkName, outputs: Outputs) -> Job:
        """A worker's job with topics that nobody has used."""
        name = f"b{os.getpid()}x{next(_numbers)}"
        topics = TopicSettings()
        own = {
            key: f"{name}-{value}"
            for key, value in msgspec.structs.asdict(topics).items()
            if isinstance(value, str)
        }
        settings = Settings(
            app=AppSettings(name=name, data=str(self._folder / name)),
            kafka=KafkaSettings(bootstrap_servers=self._cluster.bootstrap_servers),
            topics=replace(topics, **own),
            recommend=RecommendSettings(top_k=TOP_K),
        )
        if ENGINES[engine].encode:
            engine = "penchant" if work == "small" else "penchant-product"
        return Job(settings, work, outputs, engine)

    def speed(self, engine: str, job: Job, check: bool = False) -> Result:
        """Throughput, CPU, memory and bytes on a backlog, then freshness at an even pace."""
        spec, result = ENGINES[engine], Result(engine, job.work, job.outputs)
        share = spec.shares[job.work]
        count = max(500, int(self.options.events * share.events))
        warm = max(500, int(count * share.warm))
        plan = Plan(job.work, spec.forms[job.work])
        with self._topics(job, spec):
            feed = Feed(job.settings, plan, warm + count)
            _backlog(feed, 0, warm if spec.encode else warm + count)
            before = log_bytes(self._folder, job.name)
            with self._running(spec, job) as (worker, processes):
                first = worker.wait_for(warm, _START_SECONDS + _MOST_SECONDS)
                fed = 0
                if spec.encode:
                    fed = self._feed_stopped(feed, job, (warm, warm + count), processes)
                    first = type(first)(time.monotonic(), warm, cpu_seconds(worker.pid))
                busy = busy_seconds()
                broker, encode = self._broker_cpu(), [cpu_seconds(each.pid) for each in processes[1:]]
                last = worker.wait_for(warm + count, _MOST_SECONDS)
                done = last.count - first.count
                result.events = done
                result.rate = done / (last.at - first.at)
                result.cpu = (last.cpu - first.cpu) / done * 1e6
                result.broker_cpu = (self._broker_cpu() - broker) / done * 1e6
                used = sum(cpu_seconds(each.pid) for each in processes[1:]) - sum(encode)
                result.encode_cpu = used / done * 1e6
                result.cpu += result.encode_cpu
                own = (result.cpu + result.broker_cpu) * done / 1e6
                result.others = max(0.0, (busy_seconds() - busy - own) / (time.monotonic() - first.at))
                if check:
                    check_small(job, feed, warm + count)
                self._settled(job)
                written = log_bytes(self._folder, job.name) - before - fed
                result.broker_bytes = written / last.count
                result.resident_mb = sum(resident_mb(each.pid) for each in processes)
                if self.options.fresh_seconds:
                    self._freshness(result, job, plan, feed.raw)
        return result

    def recovery(self, engine: str, job: Job, result: Result) -> None:
        """Restart with the store in place, then without it; and the bytes that each user takes."""
        spec, users = ENGINES[engine], self.options.recovery_users
        plan = Plan(job.work, spec.forms[job.work], users, in_turn=True)
        with self._topics(job, spec):
            feed = Feed(job.settings, plan, users + 3 * _LATE_EVENTS)
            _backlog(feed, 0, users)
            with self._running(spec, job) as (worker, _):
                worker.wait_for(users, _MOST_SECONDS)
            result.recovery_users = users
            result.store_bytes = folder_bytes(job.data) / users
            result.changelog_bytes = self._changelog_bytes(job) / users
            result.warm_seconds = self._restart(spec, job, feed, users)
            shutil.rmtree(job.data)
            result.wiped_seconds = self._restart(spec, job, feed, users + _LATE_EVENTS)

    def _restart(self, spec: EngineSpec, job: Job, feed: Feed, first: int) -> float:
        """Seconds from the start of a worker to the last of a few events that wait for it."""
        feed.write(first, first + _LATE_EVENTS, time.time_ns() // 1_000_000)
        feed.flush()
        with self._running(spec, job) as (worker, _):
            return worker.wait_for(_LATE_EVENTS, _MOST_SECONDS).at - worker.began

    def _freshness(self, result: Result, job: Job, plan: Plan, raw: list[int]) -> None:
        result.fresh_rate = self.options.rate or result.rate * self.options.load
        found = freshness(job.settings, plan, result.fresh_rate, self.options.fresh_seconds, raw)
        result.p50, result.p95, result.p99 = found

    def _feed_stopped(self, feed: Feed, job: Job, numbers: tuple[int, int], processes: list[Process]) -> int:
        """Write events while the processes stand still. Returns the bytes that they took on the broker."""
        for process in processes:
            os.kill(process.pid, signal.SIGSTOP)
        before = log_bytes(self._folder, job.settings.topics.interactions)
        try:
            _backlog(feed, *numbers)
        finally:
            for process in processes:
                os.kill(process.pid, signal.SIGCONT)
        return log_bytes(self._folder, job.settings.topics.interactions) - before

    def _changelog_bytes(self, job: Job) -> int:
        """Of the users' states: without what the product counts of items."""
        return log_bytes(self._folder, job.name, "changelog", without="item-signals")

    def _settled(self, job: Job) -> None:
        """Until nothing more is written: outputs and changelog of the last events."""
        size, since = -1, time.monotonic()
        give_up = since + 20
        while time.monotonic() - since < 0.7 and time.monotonic() < give_up:
            now = log_bytes(self._folder, job.name)
            if now != size:
                size, since = now, time.monotonic()
            time.sleep(0.1)

    def _broker_cpu(self) -> float:
        return sum(cpu_seconds(broker.pid) for broker in self._cluster.brokers if broker.pid is not None)

    @contextmanager
    def _topics(self, job: Job, spec: EngineSpec) -> Iterator[None]:
        create_topics(job.settings)
        if job.work == "full" or spec.encode:
            load_catalogue(job.settings)
        try:
            yield
        finally:
            self._delete_topics(job.name)
            shutil.rmtree(job.data, ignore_errors=True)

    def _delete_topics(self, name: str) -> None:
        admin = kafka.admin_client(KafkaSettings(bootstrap_servers=self._cluster.bootstrap_servers))
        found = [topic for topic in admin.list_topics(timeout=20).topics if name in topic]
        for future in admin.delete_topics(found, operation_timeout=20).values():
            future.result(30)

    @contextmanager
    def _running(self, spec: EngineSpec, job: Job) -> Iterator[tuple[Worker, list[Process]]]:
        """The engine's worker and, where it has one, the encode worker behind it."""
        job.data.mkdir(parents=True, exist_ok=True)
        processes: list[Process] = []
        try:
            worker = Worker(spec.command(job, self._folder), self._folder / f"{job.name}.log")
            processes.append(worker)
            if spec.encode:
                processes.append(EncodeHop(job.settings, self._folder))
            yield worker, processes
        finally:
            for process in processes:
                process.stop()


def _backlog(feed: Feed, first: int, end: int) -> None:
    """Events of successive moments, up to now."""
    moment = time.time_ns() // 1_000_000 - (end - first) // _CHUNK
    for start in range(first, end, _CHUNK):
        feed.write(start, min(start + _CHUNK, end), moment)
        moment += 1
    feed.flush()
