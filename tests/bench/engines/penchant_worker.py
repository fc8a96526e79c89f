"""Penchant's engine as a worker of the benchmark.

`penchant` is the engine on Faust, as the product hosts it, with the work's processor; `penchant-group` the
same on a bare consumer group; `penchant-product` the product's whole interests worker (full work only).
"""

import signal
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from state.events import Pack, Row
from state.store import Store
from streams import kafka
from streams.commands.serving import collect_seldom
from streams.engine import kafka_engine
from streams.engine.kafka_engine import EngineSpec, group_of
from streams.engine.processor import Effects, Output, Processor, SourceBatch, Work
from streams.topic_plans import user_state_changelog
from tests.bench.engines.job import Job, Ticker, read_job
from tests.bench.engines.small import fold, record

_USER = b"u"
_NAME = "bench"


class SmallProcessor:
    """The small work for the engine's seam."""

    def __init__(self, job: Job) -> None:
        self._topic = job.settings.topics.interests
        self._outputs = job.outputs
        self._decode = msgspec.msgpack.Decoder(Pack).decode

    def decode(self, value: bytes) -> SourceBatch[Row]:
        pack = self._decode(value)
        return SourceBatch(pack.first, pack.end, pack.rows, [row.offset for row in pack.rows])

    def keys(self, work: Work[Row]) -> Iterable[bytes]:
        return [_USER + user.encode() for user in {row.user_id for row in work.rows}]

    def apply(
        self,
        work: Mapping[int, Work[Row]],
        stored: Mapping[int, Mapping[bytes, bytes | None]],
        clock_ms: int,
    ) -> dict[int, Effects]:
        return {number: self._fold(part.rows, stored[number]) for number, part in work.items()}

    def opened(self, partition: int, store: Store) -> None: ...

    def closed(self, partition: int) -> None: ...

    def due(self, partition: int, clock_ms: int) -> list[bytes]:
        return []

    def _fold(self, rows: list[Row], stored: Mapping[bytes, bytes | None]) -> Effects:
        effects = Effects()
        puts, outputs = effects.puts, effects.outputs
        last: dict[str, tuple[int, Any]] = {}
        for row in rows:
            user = row.user_id
            key = _USER + user.encode()
            state, vector = fold(puts.get(key, stored.get(key)), row.item_id or "", row.time)
            puts[key] = state
            if self._outputs == "each":
                outputs.append(Output(self._topic, user.encode(), record(user, row.time, vector)))
            elif self._outputs == "user":
                last[user] = (row.time, vector)
        outputs.extend(
            Output(self._topic, user.encode(), record(user, time_ms, vector))
            for user, (time_ms, vector) in last.items()
        )
        return effects


class Counted:
    """Tells the ticker of each row that a processor has applied."""

    def __init__(self, processor: Processor[Row], ticker: Ticker) -> None:
        self._processor = processor
        self._ticker = ticker
        self.decode = processor.decode
        self.keys = processor.keys
        self.opened = processor.opened
        self.closed = processor.closed
        self.due = processor.due

    def apply(
        self,
        work: Mapping[int, Work[Row]],
        stored: Mapping[int, Mapping[bytes, bytes | None]],
        clock_ms: int,
    ) -> dict[int, Effects]:
        effects = self._processor.apply(work, stored, clock_ms)
        self._ticker.count += sum(len(part.rows) for part in work.values())
        return effects


class Untransacted:
    """A producer that is idempotent alone, behind the calls of a transactional one: for comparison only."""

    def __init__(self, producer: kafka.Producer) -> None:
        self._producer = producer
        self.produce = producer.produce
        self.poll = producer.poll
        self.flush = producer.flush
        self.purge = producer.purge

    def init_transactions(self, *_: float) -> None: ...

    def begin_transaction(self) -> None: ...

    def commit_transaction(self, seconds: float) -> None:
        assert self._producer.flush(seconds) == 0, "the broker takes no records"


def change_producers(job: Job) -> None:
    """Give the engine's journals producers as the job wants them."""
    made = kafka.producer

    def producer(settings: Any, transactional_id: str | None = None, overrides: Any = None) -> Any:
        config = dict(overrides or {})
        if job.linger_ms >= 0:
            config["linger.ms"] = job.linger_ms
        if job.transactions:
            return made(settings, transactional_id, config)
        return Untransacted(made(settings, None, config))

    kafka.producer = producer


def run_engine(job: Job, ticker: Ticker, stopped: Callable[[], bool]) -> None:
    settings = job.settings
    change_producers(job)
    spec = EngineSpec(
        _NAME,
        settings.topics.interactions_encoded,
        user_state_changelog(settings),
        job.data / _NAME,
        job.interval_seconds,
    )
    runner = kafka_engine.kafka_runner(settings, spec, Counted(work_processor(job), ticker))
    host_class(job.engine)(settings.kafka, group_of(settings, _NAME), spec.source, runner).run(stopped)


def work_processor(job: Job) -> Processor[Row]:
    if job.work == "small":
        return SmallProcessor(job)
    from tests.bench.engines.full import processor

    return processor(job.settings)


def host_class(engine: str) -> Any:
    if engine == "penchant-group":
        from streams.engine.group_host import GroupHost

        return GroupHost
    from streams.interests.faust_host import FaustHost

    return FaustHost


def run_product(job: Job, ticker: Ticker, stop: threading.Event) -> None:
    """The whole interests worker, with the count taken at its processor."""
    from streams.interests import worker
    from streams.models import serving

    made = serving.InterestsProcessor

    def processor(*parts: Any) -> Any:
        return Counted(made(*parts), ticker)

    serving.InterestsProcessor = processor  # type: ignore[misc,assignment]
    worker.InterestsWorker(job.settings).run(stop)


def main() -> None:
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    collect_seldom()
    job, ticker = read_job(), Ticker()
    if job.engine == "penchant-product":
        run_product(job, ticker, stop)
    else:
        run_engine(job, ticker, stop.is_set)


if __name__ == "__main__":
    main()
