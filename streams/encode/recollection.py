"""What the last owner of a partition was waiting for, read back from the packs that it wrote.

The events that wait for an unknown item live in memory alone. Their rows tell all that is needed to go on
waiting, so a worker that takes a partition over reads the last packs of it, beside the stream.
"""

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import msgspec

from encoders.base import Float32
from state.events import ACTIONS, Action, Pack, Row, RowKind
from streams.encode.drafts import UNKNOWN_ITEM, Draft
from streams.encode.item_view import OTHER_ENCODERS
from streams.encode.vectors import from_wire
from streams.kafka import KafkaError, KafkaException, TopicPartition, consumer
from streams.settings import Settings

WAITING = frozenset({UNKNOWN_ITEM, OTHER_ENCODERS})
"""Reasons of masks that go when the item comes."""
READ_SECONDS = 300.0
_CALL_SECONDS = 15.0
_POLL_SECONDS = 0.2
_BATCH = 500
_TEXT = 0
_SEARCH = ACTIONS.index(Action.SEARCH)

_log = logging.getLogger(__name__)
_decoder = msgspec.msgpack.Decoder(Pack)


@dataclass(slots=True, frozen=True)
class Recollected:
    """An event that waits: its draft, the item, and the sequence of its last correction."""

    draft: Draft
    item_id: str
    sequence: int


class Recollection:
    """Reads in threads of its own; `take` gives what was found.

    `came` and `went` say which partitions are owned: what was found of one that went is dropped.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._owned: dict[int, object] = {}
        self._found: list[tuple[object, Recollected]] = []
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []

    def came(self, partitions: Iterable[int]) -> None:
        """Start to read what these partitions' last owner waited for. Call it before packs are written."""
        token = object()
        numbers = sorted(partitions)
        if not numbers or self._settings.encode.unknown_item_seconds <= 0:
            return
        with self._lock:
            self._owned.update(dict.fromkeys(numbers, token))
        thread = threading.Thread(target=self._run, args=(numbers, token), name="recollection", daemon=True)
        self._threads = [each for each in self._threads if each.is_alive()] + [thread]
        thread.start()

    def went(self, partitions: Iterable[int]) -> None:
        with self._lock:
            for number in partitions:
                self._owned.pop(number, None)

    def take(self) -> list[Recollected]:
        """What was found since the last call, of partitions that are owned still."""
        if not self._found:
            return []
        with self._lock:
            found, self._found = self._found, []
            return [each for token, each in found if self._owned.get(each.draft.partition) is token]

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(_CALL_SECONDS)

    def _run(self, partitions: list[int], token: object) -> None:
        """A failure costs corrections of older events, not the stream: it is told, and that is all."""
        try:
            recent = list(recollect(self._recent(partitions), self._settings.encode.waiting_events))
        except KafkaException as error:
            _log.warning("what partitions %s waited for is not known: %s", partitions, error)
            return
        with self._lock:
            self._found.extend((token, each) for each in recent)
        if recent:
            _log.info("%d events of partitions %s wait for an item", len(recent), partitions)

    def _recent(self, partitions: list[int]) -> Iterator[tuple[int, Pack]]:
        topic = self._settings.topics.interactions_encoded
        since = int((time.time() - self._settings.encode.unknown_item_seconds) * 1000)
        group = f"{self._settings.app.name}-encode-recollection"
        source = consumer(self._settings.kafka, group, {"enable.partition.eof": True})
        try:
            places = [TopicPartition(topic, number, since) for number in partitions]
            places = source.offsets_for_times(places, timeout=_CALL_SECONDS)
            behind = {each.partition for each in places if each.offset >= 0}
            source.assign([each for each in places if each.offset >= 0])
            deadline = time.monotonic() + READ_SECONDS
            while behind and not self._stop.is_set() and time.monotonic() < deadline:
                for message in source.consume(_BATCH, _POLL_SECONDS):
                    error = message.error()
                    value = message.value()
                    if error is None and value is not None:
                        yield message.partition() or 0, _decoder.decode(value)
                    elif error is not None and error.code() == KafkaError._PARTITION_EOF:
                        behind.discard(message.partition() or 0)
                    elif error is not None:
                        raise KafkaException(error)
        finally:
            source.close()


def recollect(packs: Iterable[tuple[int, Pack]], limit: int) -> Iterator[Recollected]:
    """The events among the packs that wait for their item, oldest first, the last `limit` of them."""
    waiting: OrderedDict[tuple[str, str], tuple[int, Row, int]] = OrderedDict()
    for partition, pack in packs:
        for row in pack.rows:
            event = (row.user_id, row.event_id)
            if row.item_id is None or WAITING.isdisjoint(row.masked.values()):
                waiting.pop(event, None)
            elif row.kind == RowKind.EVENT:
                waiting[event] = (partition, row, 0)
            elif row.kind == RowKind.AMEND and event in waiting:
                first = waiting[event][1]
                amended = msgspec.structs.replace(first, vectors=row.vectors, masked=row.masked)
                waiting[event] = (partition, amended, row.sequence)
            if len(waiting) > limit:
                waiting.popitem(last=False)
    for partition, row, sequence in waiting.values():
        if row.item_id is not None:
            yield Recollected(_draft(partition, row), row.item_id, sequence)


def _draft(partition: int, row: Row) -> Draft:
    """The row taken apart. A comment's vector is told from a text medium's by the comment being there."""
    own: dict[int, list[Float32]] = {code: [from_wire(vector)] for code, vector in row.vectors.items()}
    stands_in = row.text is not None and row.action != _SEARCH
    comment = own.pop(_TEXT, [None])[0] if stands_in else None
    masked = {code: reason for code, reason in row.masked.items() if reason not in WAITING}
    bare = msgspec.structs.replace(row, vectors={}, masked={}, topics=())
    return Draft(partition, bare, own=own, masked=masked, comment=comment)
