"""What is let in: each raw offset once, in order, and nothing beyond a hole."""

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from streams.engine.place import NO_RAW, Place
from streams.engine.processor import SourceBatch
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


def admit(
    place: Place, queue: deque[Delivery], limit: int, decode: Callable[[bytes], SourceBatch[RowT]]
) -> Admission[RowT]:
    """Take records from the queue until there are `limit` rows, or a hole.

    Offsets may jump, since markers of transactions take some, so a hole shows in the raw ranges alone. They
    have the last word on a record below the place, too: what was not covered yet is not skipped. Records
    without a range are held by the order in which they are delivered.
    """
    source, raw = place.source, place.raw
    admission: Admission[RowT] = Admission(place)
    while queue and len(admission.rows) < limit:
        offset, value = queue.popleft()
        try:
            batch = decode(value)
        except RecordError as error:
            if offset >= source:
                admission.refused.append(((offset, value), error))
                source = offset + 1
            continue
        ranged = batch.first != NO_RAW
        if offset < source and not (ranged and raw != NO_RAW and batch.end > raw):
            admission.counts["skipped_record"] += 1
            continue
        if ranged and raw != NO_RAW and batch.first > raw:
            admission.hole = True
            break
        _take(batch, raw, admission)
        source = max(source, offset + 1)
        raw = max(raw, batch.end)
    admission.place = Place(source, raw, place.topic)
    return admission


def _take(batch: SourceBatch[RowT], raw: int, admission: Admission[RowT]) -> None:
    if batch.first == NO_RAW or batch.first >= raw:
        admission.rows.extend(batch.rows)
        return
    for row, offset in zip(batch.rows, batch.offsets, strict=True):
        if offset < 0 or offset >= raw:
            admission.rows.append(row)
        else:
            admission.counts["skipped_row"] += 1
