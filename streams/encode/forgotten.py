"""Transactions of an encode worker that a broker forgot to end: see docs/decisions/0005.

Their coordinator holds them for ended, and whoever reads the partitions waits behind them for ever. The next
transaction of the same producer ends them, where it writes to the same partitions, and as it ends itself. So
a worker that begins looks whether one hangs, and makes that transaction.
"""

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import TimeoutError as FutureTimeout
from contextlib import suppress
from dataclasses import dataclass

import msgspec

from state.events import NO_TOPIC, Pack
from state.items import EncodedItem
from streams import kafka
from streams.encode.placing import RawEnd
from streams.encode.sink import TransactionalSink
from streams.raw import header, header_pairs
from streams.settings import Settings
from streams.topic_ids import id_bytes
from streams.topics import SilentCluster, partition_counts

MARKER_SECONDS = 2.0
"""Longer than a transaction of a healthy worker holds up the readers of a partition."""
OFFSET_SECONDS = 5.0
"""How long offsets may take that no transaction holds back, beyond the time that one may last."""
_ASK_SECONDS = 10.0
_PAUSE_SECONDS = 0.1

Beat = Callable[[], None]
Place = tuple[str, int]

_log = logging.getLogger(__name__)
_packs = msgspec.msgpack.Decoder(Pack)
_items = msgspec.msgpack.Decoder(EncodedItem)
_EMPTY_PACK = msgspec.msgpack.encode(Pack(-1, -1, []))


@dataclass(slots=True, frozen=True)
class Hanging:
    """The first record that readers of the place wait behind; none where it cannot be read."""

    place: Place
    key: bytes | None = None
    value: bytes | None = None
    raw: tuple[Place, RawEnd] | None = None
    """The raw partition that it comes from, and the end of what it covers there."""


def end_forgotten(settings: Settings, sink: TransactionalSink, beat: Beat) -> None:
    """End what hangs of the sink's own producer. Raises EngineError.

    It is committed where the group has consumed what it was made of, and else aborted, to be done again: an
    offset that hangs with it is taken back then. What hangs of other producers stays as it is.
    """
    search = _Search(settings)
    try:
        hanging = search.hanging(beat)
    except (kafka.KafkaException, SilentCluster) as error:
        # Where partitions have no leader, nobody waits for what comes behind; the next start looks again.
        _log.warning("whether a transaction hangs cannot be told: %s", error)
        return
    if not hanging:
        return
    names = ", ".join(f"{topic}-{number}" for topic, number in (each.place for each in hanging))
    ends, group = search.consumed(hanging, beat), f"{settings.app.name}-encode"
    commit = ends is not None and any(_is_consumed(each, ends) for each in hanging)
    _log.warning(
        "%s: readers wait for a transaction that does not end; if it is this worker's, it is %s now",
        names,
        "committed" if commit else "aborted",
    )

    def write(client: kafka.Producer) -> None:
        for each in hanging:
            sink.put(client, each.place[0], partition=each.place[1], **_harmless(settings, each))

    offsets = [] if ends is not None else [kafka.TopicPartition(settings.topics.keyed, 0, 0)]
    sink.finish(write, offsets, search.metadata(group), commit)


def _is_consumed(hanging: Hanging, ends: Mapping[Place, RawEnd]) -> bool:
    if hanging.raw is None:
        return False
    place, (topic, end) = hanging.raw
    counted, committed = ends.get(place, (NO_TOPIC, -1))
    return committed >= end and (topic == counted or NO_TOPIC in (topic, counted))


def _harmless(settings: Settings, hanging: Hanging) -> dict[str, bytes | None]:
    """A record for the place that changes nothing where it is read."""
    topic = hanging.place[0]
    if topic == settings.topics.interactions_encoded:
        return {"value": _EMPTY_PACK}
    if topic == settings.topics.items_encoded:
        return {"key": hanging.key or b"", "value": hanging.value}
    return {"value": None}


class _Search:
    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._admin = kafka.admin_client(settings.kafka)
        names = settings.topics
        self._topics = (names.interactions_encoded, names.items_encoded, names.dead_letters)

    def hanging(self, beat: Beat) -> list[Hanging]:
        """Where the last stable offset stays behind the end, and stays where it is."""
        places = [
            (topic, number)
            for topic, count in partition_counts(self._admin, self._topics).items()
            for number in range(count)
        ]
        first = self._behind(places)
        give_up = time.monotonic() + MARKER_SECONDS
        while first and time.monotonic() < give_up:
            beat()
            time.sleep(_PAUSE_SECONDS)
            now = self._behind(first)
            first = {place: stable for place, stable in first.items() if now.get(place) == stable}
        return [self._first_record(place, stable) for place, stable in first.items()]

    def consumed(self, hanging: Iterable[Hanging], beat: Beat) -> dict[Place, RawEnd] | None:
        """What the group has committed of the raw partitions; None where a transaction holds that back."""
        keyed = self._settings.topics.keyed
        raw = {each.raw[0] if each.raw is not None else (keyed, 0) for each in hanging}
        asked = [kafka.TopicPartition(*place) for place in raw]
        client = kafka.consumer(self._settings.kafka, f"{self._settings.app.name}-encode")
        give_up = time.monotonic() + self._settings.kafka.transaction_timeout_ms / 1000 + OFFSET_SECONDS
        try:
            while time.monotonic() < give_up:
                beat()
                with suppress(kafka.KafkaException):
                    found = client.committed(asked, timeout=1.0)
                    if not any(each.error for each in found):
                        return {
                            (each.topic, each.partition): (id_bytes(each.metadata), each.offset)
                            for each in found
                        }
                time.sleep(_PAUSE_SECONDS)
            return None
        finally:
            client.close()

    def metadata(self, group: str) -> object:
        """Of the group, as one that is no member of it: it is said only that offsets are taken back."""
        client = kafka.consumer(self._settings.kafka, group)
        try:
            return client.consumer_group_metadata()
        finally:
            client.close()

    def _behind(self, places: Iterable[Place]) -> dict[Place, int]:
        """Last stable offsets of those of the places whose records go on behind them."""
        asked = [kafka.TopicPartition(*place) for place in places]
        stable = self._ends(asked, kafka.IsolationLevel.READ_COMMITTED)
        written = self._ends(asked, kafka.IsolationLevel.READ_UNCOMMITTED)
        return {place: offset for place, offset in stable.items() if offset < written[place]}

    def _ends(
        self, asked: Iterable[kafka.TopicPartition], isolation: kafka.IsolationLevel
    ) -> dict[Place, int]:
        wanted = {each: kafka.OffsetSpec.latest() for each in asked}  # type: ignore[no-untyped-call]
        answers = self._admin.list_offsets(wanted, isolation_level=isolation, request_timeout=_ASK_SECONDS)
        try:
            return {
                (each.topic, each.partition): int(answer.result(_ASK_SECONDS + 5).offset)
                for each, answer in answers.items()
            }
        except FutureTimeout:
            raise SilentCluster("the cluster does not tell where its partitions end") from None

    def _first_record(self, place: Place, offset: int) -> Hanging:
        overrides: kafka.Config = {"isolation.level": "read_uncommitted", "auto.offset.reset": "earliest"}
        client = kafka.consumer(self._settings.kafka, f"{self._settings.app.name}-encode-hanging", overrides)
        try:
            client.assign([kafka.TopicPartition(*place, offset)])
            message = client.poll(_ASK_SECONDS)
        finally:
            client.close()
        if message is None or message.error() is not None or message.offset() != offset:
            return Hanging(place)
        return Hanging(place, message.key(), message.value(), self._raw(place, message))

    def _raw(self, place: Place, message: kafka.Message) -> tuple[Place, RawEnd] | None:
        names, value = self._settings.topics, message.value() or b""
        with suppress(msgspec.DecodeError, ValueError):
            if place[0] == names.interactions_encoded:
                pack = _packs.decode(value)
                return ((names.keyed, place[1]), (pack.topic, pack.end)) if pack.end >= 0 else None
            if place[0] == names.items_encoded:
                item = _items.decode(value)
                return (names.items, item.partition), (item.topic, item.offset + 1)
            told = header_pairs(message.headers())
            topic, partition, end = (header(told, name) or b"" for name in ("topic", "partition", "offset"))
            return (topic.decode(), int(partition)), (NO_TOPIC, int(end) + 1)
        return None
