"""What must not go unsaid of the raw topic."""

import logging
from typing import TypeVar

from streams.engine.guard import Admission
from streams.engine.partition import Partition
from streams.engine.processor import NO_TOPIC

RowT = TypeVar("RowT")

_log = logging.getLogger(__name__)


def tell_of_raw(partition: Partition, admission: Admission[RowT]) -> None:
    """Say what the admission came to, before its place becomes the partition's."""
    before, after = partition.place, admission.place
    if before.raw_topic not in (after.raw_topic, NO_TOPIC):
        _log.warning(
            "%s: the raw topic was made anew: its events count from its start on, the states stay; of the "
            "topic before, all up to offset %d was counted",
            partition.label,
            dict(after.past).get(before.raw_topic, before.raw),
        )
    if admission.lost:
        _log.error(
            "%s: %d raw offsets or more are gone unread, and passed over, as interests.skip_trimmed asks: "
            "unset it now; raw offset %d comes next",
            partition.label,
            admission.lost,
            after.raw,
        )
    skipped = admission.counts["skipped_row"]
    if skipped:
        _log.warning(
            "%s: %d rows were counted before and are skipped; raw offset %d comes next",
            partition.label,
            skipped,
            after.raw,
        )
