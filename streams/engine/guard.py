"""What is let in: each raw offset once, in order, and nothing beyond a hole."""

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from streams.engine.place import MAX_PAST, NO_RAW, Place
from streams.engine.processor import NO_TOPIC, RawEnd, SourceBatch
from streams.errors import RecordError

RowT = TypeVar("RowT")

Delivery = tuple[int, bytes]
"""Offset in the source topic, and the record's value."""


@dataclass(slots=True)
class Admission(Generic[RowT]):
    """What one partition got: rows in order, and the place that they lead to."""

    place: Place
    rows: list[RowT] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    refused: list[tuple[Delivery, RecordError]] = field(default_factory=list)
    """Records that the processor cannot read, and why: they are set aside, and block nothing."""
    hole: bool = False
    """The record after `place` does not follow on it: the source must be read again from there."""
    lost: int = 0
    """Raw offsets that holes which were passed over took; what is missing of topics before is not known."""


def admit(
    place: Place,
    queue: deque[Delivery],
    limit: int,
    decode: Callable[[bytes], SourceBatch[RowT]],
    forgiving: bool = False,
) -> Admission[RowT]:
    """Take records from the queue until there are `limit` rows, or a hole.

    Offsets may jump, since markers of transactions take some, so a hole shows in the raw ranges alone. They
    have the last word on a record below the place, too: what was not covered yet is not skipped. Records
    without a range are held by the order in which they are delivered. A hole is passed over, and counted,
    where the call is `forgiving`.
    """
    reach = _Reach(place)
    admission: Admission[RowT] = Admission(place)
    while queue and len(admission.rows) < limit:
        offset, value = queue.popleft()
        try:
            batch = decode(value)
        except RecordError as error:
            if offset >= reach.source:
                admission.refused.append(((offset, value), error))
                reach.source = offset + 1
            continue
        raw = NO_RAW if batch.first == NO_RAW else reach.raw_for(batch)
        if offset < reach.source and (raw is None or raw == NO_RAW or batch.end <= raw):
            admission.counts["skipped_record"] += 1
            continue
        if raw is None or (raw != NO_RAW and batch.first > raw):
            if not forgiving:
                admission.hole = True
                break
            admission.lost += batch.first - (0 if raw is None else raw)
            raw = NO_RAW
        _take(batch, offset, raw, admission)
        reach.take(batch)
        reach.source = max(reach.source, offset + 1)
    admission.place = reach.place()
    return admission


class _Reach:
    """How far a partition was taken, while it moves on: in the source, and in each raw topic."""

    __slots__ = ("past", "raw", "raw_topic", "source", "topic")

    def __init__(self, place: Place) -> None:
        self.source, self.raw = place.source, place.raw
        self.topic, self.raw_topic = place.topic, place.raw_topic
        self.past = dict(place.past)

    def raw_for(self, batch: SourceBatch[RowT]) -> int | None:
        """Raw offset that comes next in the batch's topic: NO_RAW where any may, None where it leaves a hole.

        A topic that was never met begins with the record that says what it follows. A record that names no
        topic, and a place that knows none, come from builds that wrote none: they go by offsets alone.
        """
        if batch.topic in (self.raw_topic, NO_TOPIC):
            return self.raw
        if batch.topic in self.past:
            return self.past[batch.topic]
        if batch.follows is None:
            return self.raw if self.raw_topic == NO_TOPIC else None
        return NO_RAW if self.raw == NO_RAW or self._has(batch.follows) else None

    def take(self, batch: SourceBatch[RowT]) -> None:
        """A record was taken that `raw_for` let in."""
        if batch.first == NO_RAW:
            return
        if batch.topic in self.past:
            self.past[batch.topic] = max(self.past[batch.topic], batch.end)
            return
        if batch.topic not in (self.raw_topic, NO_TOPIC):
            begins = batch.follows is not None or self.raw_topic != NO_TOPIC
            if begins and self.raw != NO_RAW:
                self._leave()
            self.raw_topic = batch.topic
        self.raw = max(self.raw, batch.end)

    def _has(self, end: RawEnd) -> bool:
        topic, raw = end
        return self.raw >= raw and (topic in (self.raw_topic, NO_TOPIC) or self.raw_topic == NO_TOPIC)

    def _leave(self) -> None:
        if self.raw_topic != NO_TOPIC:
            self.past = dict([(self.raw_topic, self.raw), *self.past.items()][:MAX_PAST])
        self.raw = NO_RAW

    def place(self) -> Place:
        return Place(self.source, self.raw, self.topic, self.raw_topic, tuple(self.past.items()))


def _take(batch: SourceBatch[RowT], record: int, raw: int, admission: Admission[RowT]) -> None:
    for refusal in batch.refused:
        if batch.first == NO_RAW or refusal.offset < 0 or refusal.offset >= raw:
            admission.refused.append(((record, refusal.value), refusal.error))
    if batch.first == NO_RAW or batch.first >= raw:
        admission.rows.extend(batch.rows)
        return
    for row, offset in zip(batch.rows, batch.offsets, strict=True):
        if offset < 0 or offset >= raw:
            admission.rows.append(row)
        else:
            admission.counts["skipped_row"] += 1
