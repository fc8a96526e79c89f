"""The engines that stand side by side, and how a worker of each is started."""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from streams.errors import BrokerError
from tests.bench.engines.feed import Form
from tests.bench.engines.job import Job, WorkName
from tests.bench.engines.peers import PeerMissing, kafka_streams_command, quix_python, write_vectors

Command = Callable[[Job, Path], list[str]]
"""The command of a worker, given its job and a folder for its files. Raises PeerMissing."""


@dataclass(frozen=True, slots=True)
class Share:
    """How much of the events an engine gets: slow ones fewer, so that a cell takes as long for all."""

    events: float = 1.0
    warm: float = 0.25
    """Events before those that are measured, for each of these."""


@dataclass(frozen=True, slots=True)
class EngineSpec:
    title: str
    command: Command
    forms: Mapping[WorkName, Form]
    shares: Mapping[WorkName, Share]
    encode: bool = False
    """Whether the encode worker runs before it."""


def _python(module: str, interpreter: Callable[[], str] = lambda: sys.executable) -> Command:
    def command(job: Job, folder: Path) -> list[str]:
        path = folder / f"{job.name}.json"
        path.write_bytes(msgspec.json.encode(job))
        return [interpreter(), "-m", f"tests.bench.engines.{module}", str(path)]

    return command


def _kafka_streams(guarantee: str) -> Command:
    def command(job: Job, folder: Path) -> list[str]:
        topics = job.settings.topics
        vectors = str(write_vectors(folder))
        try:
            java = kafka_streams_command()
        except BrokerError as error:
            raise PeerMissing(str(error)) from error
        source, target = topics.interactions, topics.interests
        places = [job.settings.kafka.bootstrap_servers, source, target, str(job.data)]
        return [*java, job.name, *places, guarantee, job.outputs, vectors]

    return command


_BOTH = {"small": Share(), "full": Share()}
_PACKS: Mapping[WorkName, Form] = {"small": "packs", "full": "packs"}
_JSON: Mapping[WorkName, Form] = {"small": "json", "full": "rows"}
_QUIX = _python("quix_worker", lambda: str(quix_python()))
_FAUST_SHARES = {"small": Share(0.1), "full": Share(0.1)}
_QUIX_SHARES = {"small": Share(0.5), "full": Share(0.1)}
# The Java runtime compiles while it runs: it is measured when it is warm.
_JAVA_SHARES = {"small": Share(1.0, 4.0)}

ENGINES: Mapping[str, EngineSpec] = {
    "penchant": EngineSpec("Penchant's engine, on packs", _python("penchant_worker"), _PACKS, _BOTH),
    "penchant-group": EngineSpec(
        "the same on a bare consumer group", _python("penchant_worker"), _PACKS, _BOTH
    ),
    "penchant-product": EngineSpec(
        "Penchant's whole interests worker, on packs",
        _python("penchant_worker"),
        {"full": "packs"},
        {"full": Share()},
    ),
    "penchant-encode": EngineSpec(
        "Penchant with the encode hop",
        _python("penchant_worker"),
        {"small": "json", "full": "json"},
        _BOTH,
        encode=True,
    ),
    "faust": EngineSpec("Faust as documented", _python("faust_worker"), _JSON, _FAUST_SHARES),
    "quix": EngineSpec("Quix Streams 3", _QUIX, _JSON, _QUIX_SHARES),
    "quix-eos": EngineSpec("Quix Streams 3, exactly once", _QUIX, _JSON, _QUIX_SHARES),
    "kafka-streams": EngineSpec(
        "Kafka Streams, one thread, warm", _kafka_streams("at_least_once"), {"small": "json"}, _JAVA_SHARES
    ),
    "kafka-streams-eos": EngineSpec(
        "Kafka Streams, exactly once", _kafka_streams("exactly_once_v2"), {"small": "json"}, _JAVA_SHARES
    ),
    "loop": EngineSpec(
        "bare confluent-kafka loop",
        _python("loop_worker"),
        {"small": "json", "full": "packs"},
        _BOTH,
    ),
}
DEFAULT = ("penchant", "penchant-product", "penchant-encode", "faust", "quix", "kafka-streams", "loop")
