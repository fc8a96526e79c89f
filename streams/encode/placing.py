"""Where the reading of a raw partition begins: what was committed, held against what is there."""

from dataclasses import dataclass

from state.events import NO_TOPIC
from streams.errors import SourceRecreated, SourceTrimmed

RawEnd = tuple[bytes, int]
"""Id of a raw topic, and the offset behind the last one covered of it."""

NOTHING: RawEnd = (NO_TOPIC, -1)


@dataclass(slots=True, frozen=True)
class Committed:
    """What the group has committed of one partition; offset -1 for nothing.

    `topic` is the id of the topic that the offset counts in, NO_TOPIC where builds wrote none.
    """

    offset: int
    topic: bytes = NO_TOPIC

    def tells(self, topic: bytes) -> bool:
        """Whether it says alone where to go on in the topic of this id."""
        return self.offset >= 0 and self.topic in (topic, NO_TOPIC)


@dataclass(slots=True, frozen=True)
class Log:
    """One raw partition as it is now: `topic` is the topic's id, its offsets are [low, high)."""

    name: str
    topic: bytes
    low: int
    high: int


@dataclass(slots=True, frozen=True)
class Start:
    """Where to go on: the first offset that no pack covers, and how many from there on are gone."""

    position: int
    lost: int = 0
    follows: RawEnd | None = None
    """Where the raw topic begins for us: what was covered before it, which was of another."""
    recreated: bool = False

    @property
    def offset(self) -> int:
        """The first offset to read."""
        return self.position + self.lost


def start_of(committed: Committed, covered: RawEnd, log: Log, skip_trimmed: bool) -> Start:
    """Where to start. `covered` is the end of the last pack, NOTHING where there is none, or none is asked.

    Where the group's offset is gone, the packs tell what was read. An id that differs tells of a topic that
    was made anew: it is read from its start, whatever the offsets are. Without ids, offsets beyond the end
    tell the same. Raises SourceTrimmed and SourceRecreated.
    """
    topic, position = committed.topic, committed.offset
    if position < 0:
        topic, position = covered
        if position < 0:
            return Start(log.low, follows=NOTHING)
        if topic == NO_TOPIC and position > log.high:
            return Start(log.low, follows=covered, recreated=True)
    if topic not in (log.topic, NO_TOPIC):
        follows = covered if covered != NOTHING else (committed.topic, committed.offset)
        return Start(log.low, follows=follows, recreated=True)
    if position > log.high:
        raise _beyond(position, topic, log)
    lost = max(0, log.low - position)
    if lost and not skip_trimmed:
        raise SourceTrimmed(
            f"{log.name}: offsets {position} to {log.low - 1} were cut before they were read; raise the "
            "topic's retention, and set encode.skip_trimmed to go on without them, once"
        )
    return Start(position, lost)


def _beyond(position: int, topic: bytes, log: Log) -> SourceRecreated:
    if topic == NO_TOPIC:
        return SourceRecreated(
            f"{log.name}: the group is at offset {position}, the log ends at {log.high}; was the topic "
            "made anew? Delete the group's offsets, and it is read from its start"
        )
    return SourceRecreated(
        f"{log.name}: the group is at offset {position}, the log ends at {log.high}: the brokers lost "
        "records that were read already. New ones would take their offsets and not count: delete the topic "
        "and make it anew, then it is read from its start"
    )
