"""An engine on Kafka and RocksDB, with the thread that runs it: what hosts are given."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from streams.engine.engine import Engine, EngineOptions, Resources
from streams.engine.journal import Cancelled
from streams.engine.kafka_facts import JournalNames
from streams.engine.kafka_journal import KafkaJournal
from streams.engine.kafka_tail import KafkaTail
from streams.engine.partition import Partition
from streams.engine.placement import Rules
from streams.engine.processor import Processor
from streams.engine.runner import Runner, RunnerOptions
from streams.engine.source_check import kafka_source_check
from streams.engine.standby import StandbyOptions, Standbys
from streams.settings import Settings

RowT = TypeVar("RowT")
Check = Callable[[Partition, Cancelled], None]
"""As in `Resources.check`."""


@dataclass(frozen=True, slots=True)
class EngineSpec:
    """`folder` belongs to this process alone; `interval_seconds` lie between two batches at least."""

    name: str
    source: str
    changelog: str
    folder: Path
    interval_seconds: float = 0.0
    beat: Callable[[], None] = lambda: None
    owner: str = ""
    """What the ids of its transactions begin with, where that is not the group."""


def group_of(settings: Settings, name: str) -> str:
    """The consumer group of an engine, and what the ids of its transactions begin with."""
    return f"{settings.app.name}-{name}"


def kafka_standbys(settings: Settings, spec: EngineSpec) -> Standbys:
    """The stores of an engine, and copies of what others own, where its host knows how to share them out."""
    interests = settings.interests
    options = StandbyOptions(
        spec.name,
        spec.folder,
        Rules(interests.standbys),
        bytes_per_second=interests.standby_mb_per_second * 1e6,
        cache_mb=interests.block_cache_mb,
        write_buffer_mb=interests.write_buffer_mb,
    )
    return Standbys(options, lambda: KafkaTail(settings.kafka, journal_names(settings, spec)))


def kafka_engine(
    settings: Settings,
    spec: EngineSpec,
    processor: Processor[RowT],
    standbys: Standbys,
    check: Check = lambda partition, cancelled: None,
) -> Engine[RowT]:
    """An engine whose partitions are those of `spec.source`, and whose stores are with `standbys`."""
    names = journal_names(settings, spec)
    resources = Resources(standbys.open, lambda number: KafkaJournal(settings.kafka, names, number), check)
    interests, letters = settings.interests, settings.topics.dead_letters
    options = EngineOptions(
        spec.name, interests.batch_rows, spec.source, letters, skip_trimmed=interests.skip_trimmed
    )
    return Engine(processor, resources, options)


def kafka_runner(settings: Settings, spec: EngineSpec, processor: Processor[RowT]) -> Runner[RowT]:
    """A runner that a host can feed from `spec.source`."""
    standbys = kafka_standbys(settings, spec)
    check = kafka_source_check(settings.kafka, spec.source, spec.changelog)
    options = runner_options(settings, spec, check)
    return Runner(kafka_engine(settings, spec, processor, standbys), options, standbys)


def runner_options(settings: Settings, spec: EngineSpec, check: Callable[[], None]) -> RunnerOptions:
    """`check` is called every few seconds."""
    return RunnerOptions(
        spec.name,
        queued_records=settings.interests.queued_packs,
        # By then a member that was away has heard that it is none any more.
        rest_seconds=settings.kafka.session_timeout_ms / 1000 + 1,
        interval_seconds=spec.interval_seconds,
        beat=spec.beat,
        check=check,
    )


def journal_names(settings: Settings, spec: EngineSpec) -> JournalNames:
    """The topics of an engine, and whom its transactions belong to."""
    topics = settings.topics
    outputs = (
        topics.interests,
        topics.recommendations,
        topics.interest_descriptions,
        topics.item_deltas,
        topics.item_signals,
        topics.user_receipts,
        topics.dead_letters,
        topics.interactions_encoded,
    )
    owner = spec.owner or group_of(settings, spec.name)
    return JournalNames(owner, spec.source, spec.changelog, outputs)
