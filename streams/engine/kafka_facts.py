"""What the broker says of a partition's source and changelog, and how its records become chunks."""

import base64
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass

from streams import kafka
from streams.engine.journal import Chunk, Facts
from streams.errors import EngineError, TopicError
from streams.settings import KafkaSettings
from streams.topics import SilentCluster, partition_counts, topic_id, topic_values

_ASK_SECONDS = 10.0
_LOOK_SECONDS = 5.0
_ONE: kafka.Config = {
    "enable.partition.eof": True,
    "fetch.wait.max.ms": 10,
    "fetch.message.max.bytes": 100_000,
}
_NOTHING_THERE = (kafka.KafkaError._PARTITION_EOF, kafka.KafkaError._AUTO_OFFSET_RESET)


@dataclass(frozen=True, slots=True)
class JournalNames:
    """`owner` is the same for all workers of a deployment and engine: ids of transactions begin with it.

    `outputs` are topics that its transactions may write to.
    """

    owner: str
    source: str
    changelog: str
    outputs: tuple[str, ...] = ()


class FactsReader:
    """Raises TopicError where the topics are not as they must be, SilentCluster and KafkaException."""

    def __init__(self, settings: KafkaSettings, names: JournalNames) -> None:
        self._settings = settings
        self._names = names
        self._admin = kafka.admin_client(settings)

    def read(self, reader: kafka.Consumer, partition: int) -> Facts:
        source, changelog = self._names.source, self._names.changelog
        ids = [base64.urlsafe_b64decode(f"{topic_id(self._admin, name)}==") for name in (source, changelog)]
        self._check_topics(partition_counts(self._admin, (source, changelog)))
        config = topic_values(self._admin, changelog)
        if config["cleanup.policy"] != "compact":
            policy = config["cleanup.policy"]
            raise TopicError(f"{changelog}: cleanup.policy={policy} would delete states; set it to compact")
        start, _ = kafka.watermarks(reader, source, partition, _ASK_SECONDS)
        first, end = kafka.watermarks(reader, changelog, partition, _ASK_SECONDS)
        return Facts(ids[0], start, ids[1], end, int(config["delete.retention.ms"]), first)

    def written_end(self, partition: int) -> int:
        """Offset behind the last record or marker of the changelog, be its transaction ended or not."""
        place = kafka.TopicPartition(self._names.changelog, partition)
        asked = self._admin.list_offsets(
            {place: kafka.OffsetSpec.latest()},  # type: ignore[no-untyped-call]
            isolation_level=kafka.IsolationLevel.READ_UNCOMMITTED,
            request_timeout=_ASK_SECONDS,
        )
        try:
            return int(asked[place].result(_ASK_SECONDS + 5).offset)
        except FutureTimeout:
            raise SilentCluster(f"{place.topic}: the cluster does not answer") from None

    def undone(self, partition: int, offset: int) -> bool | None:
        """As `streams.engine.journal.Journal.undone`. A marker is there for nobody either."""
        if self._is_there(partition, offset - 1, "read_committed"):
            return False
        return True if self._is_there(partition, offset - 1, "read_uncommitted") else None

    def _is_there(self, partition: int, offset: int, isolation: str) -> bool:
        """Whether a reader gets a record of the changelog at this offset."""
        reader = kafka.consumer(
            self._settings, f"{self._names.owner}-restore", {**_ONE, "isolation.level": isolation}
        )
        try:
            reader.assign([kafka.TopicPartition(self._names.changelog, partition, offset)])
            give_up = time.monotonic() + _LOOK_SECONDS
            while time.monotonic() < give_up:
                message = reader.poll(_LOOK_SECONDS / 10)
                error = None if message is None else message.error()
                if message is not None and error is None:
                    return message.offset() == offset
                if error is not None and error.code() in _NOTHING_THERE:
                    return False
                if error is not None and not kafka.may_pass(error):
                    raise kafka.KafkaException(error)
        finally:
            reader.close()
        raise SilentCluster(f"{self._names.changelog}: the cluster does not answer")

    def output_partitions(self) -> list[tuple[str, int]]:
        """Every place that transactions of this engine may have written to, but for the changelog."""
        counts = partition_counts(self._admin, self._names.outputs)
        return [(topic, number) for topic, count in counts.items() for number in range(count)]

    def _check_topics(self, counts: Mapping[str, int]) -> None:
        if counts[self._names.source] != counts[self._names.changelog]:
            raise TopicError(
                f"{self._names.changelog}: has {counts[self._names.changelog]} partitions, but "
                f"{self._names.source} has {counts[self._names.source]}; states belong to partitions, so "
                "both need the same number"
            )


def chunk_of(messages: Iterable[kafka.Message], position: int) -> Chunk:
    """Records of one partition of which `position` comes next, with errors that pass among them.

    The end of the partition is an event of its own: it counts the markers that follow the last record.
    Raises EngineError where the changelog cannot be read.
    """
    changes: dict[bytes, bytes | None] = {}
    records, end = 0, position
    for message in messages:
        error = message.error()
        if error is None:
            changes[message.key() or b""] = message.value()
            records, end = records + 1, (message.offset() or 0) + 1
        elif error.code() == kafka.KafkaError._PARTITION_EOF:
            end = max(end, message.offset() or 0)
        elif not kafka.may_pass(error):
            raise EngineError(f"the changelog cannot be read: {error.str()}")
    return Chunk(changes, records, end)
