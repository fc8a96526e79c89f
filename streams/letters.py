"""Dead letters as they are read again, each with its place, and the marks of those that were redriven."""

import contextlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from state.times import LATEST
from streams.dead_letters import RECORD_TIME, TOPIC_ID, TRUNCATED, DeadLetter, original_headers
from streams.raw import RawRecord, header
from streams.reading import Stretch, read, whole
from streams.settings import Settings
from streams.topic_ids import id_bytes

REDRIVEN = "redriven"
"""Header with the place of the letter: on the record that was sent again, and on the letter's mark."""
_EVENT_ID = "event_id"
_TIME = "time"

Tell = Callable[[int], None]


class LetterPlace(NamedTuple):
    """Where a letter lies in `dead-letters`."""

    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.partition}:{self.offset}"

    @classmethod
    def parse(cls, text: str) -> "LetterPlace":
        """Raises ValueError for anything but PARTITION:OFFSET."""
        partition, colon, offset = text.partition(":")
        if not (colon and partition.isdecimal() and offset.isdecimal() and text.isascii()):
            raise ValueError(f"{text}: a letter is named by PARTITION:OFFSET, such as 2:17")
        return cls(int(partition), int(offset))


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter. Its record has the original place, time, key, value and headers.

    Where a build did not write the record's time, it is that of the letter.
    """

    place: LetterPlace
    dead: DeadLetter
    cut_from: int | None = None
    """Bytes that the value had, where the letter holds its beginning alone."""


@dataclass(frozen=True, slots=True)
class Mark:
    """Says that the letter at `place` was redriven. It lies in the letter's partition, so it outlives it.

    `event_id` is the one that the redriven event has; none for an item. `time` is epoch milliseconds.
    """

    place: LetterPlace
    event_id: str | None
    time: int

    def headers(self) -> list[tuple[str, bytes | None]]:
        told = {REDRIVEN: str(self.place), _EVENT_ID: self.event_id, _TIME: str(self.time)}
        return [(name, value.encode()) for name, value in told.items() if value is not None]


@dataclass(frozen=True, slots=True)
class Selection:
    """Which letters are meant; an empty set means any. Epoch milliseconds: since <= time < until."""

    places: frozenset[LetterPlace] = frozenset()
    stages: frozenset[str] = frozenset()
    reasons: frozenset[str] = frozenset()
    topics: frozenset[str] = frozenset()
    keys: frozenset[bytes] = frozenset()
    since: int | None = None
    until: int | None = None

    def takes(self, letter: Letter) -> bool:
        dead = letter.dead
        return (
            (not self.places or letter.place in self.places)
            and (not self.stages or dead.stage in self.stages)
            and (not self.reasons or dead.reason in self.reasons)
            and (not self.topics or dead.record.topic in self.topics)
            and (not self.keys or dead.record.key in self.keys)
            and (self.since is None or dead.time >= self.since)
            and (self.until is None or dead.time < self.until)
        )

    def narrowed(self, stretches: Iterable[Stretch]) -> list[Stretch]:
        """What must be read of the topic. A letter's mark comes after it, in the same partition."""
        if not self.places:
            return list(stretches)
        firsts: dict[int, int] = {}
        for partition, offset in self.places:
            firsts[partition] = min(offset, firsts.get(partition, offset))
        return [
            Stretch(each.topic, each.partition, max(each.first, firsts[each.partition]), each.end)
            for each in stretches
            if each.partition in firsts
        ]


class LetterLog:
    """The selected letters as of the moment in which it is made; read once for the marks, and then again.

    `settled` waits for open transactions, and so misses no mark that is committed. Raises TopicError.
    """

    def __init__(self, settings: Settings, selection: Selection, settled: bool = False) -> None:
        self._settings = settings
        self._selection = selection
        self._stretches = selection.narrowed(whole(settings, settings.topics.dead_letters, settled))

    @property
    def offsets(self) -> int:
        """How far the reading goes: what `tell` comes to."""
        return sum(each.end - each.first for each in self._stretches)

    def marks(self, tell: Tell, look: Callable[[Letter], None] = lambda _: None) -> dict[LetterPlace, Mark]:
        """The latest mark of each redriven letter. `look` is shown each selected letter in passing."""
        found: dict[LetterPlace, Mark] = {}
        for record in read(self._settings, self._stretches, tell):
            mark = parse_mark(record)
            if mark is not None:
                found[mark.place] = mark
                continue
            letter = parse_letter(record)
            if letter is not None and self._selection.takes(letter):
                look(letter)
        return found

    def letters(self, tell: Tell) -> Iterator[Letter]:
        """The selected letters, in order within each partition."""
        for record in read(self._settings, self._stretches, tell):
            letter = parse_letter(record)
            if letter is not None and self._selection.takes(letter):
                yield letter


def parse_letter(record: RawRecord) -> Letter | None:
    """A record of `dead-letters` as a letter; none where its headers are not a letter's."""
    told = {name: _text(header(record.headers, name)) for name in _TOLD}
    with contextlib.suppress(ValueError):
        time = int(told["time"])
        if not 0 <= time <= LATEST:
            return None
        original = RawRecord(
            topic=told["topic"],
            partition=int(told["partition"]),
            offset=int(told["offset"]),
            timestamp=_record_time(record, time),
            key=record.key,
            value=record.value,
            headers=original_headers(record.headers),
            topic_id=id_bytes(_text(header(record.headers, TOPIC_ID))),
        )
        dead = DeadLetter(original, told["stage"], told["error_class"], told["message"], time)
        cut = header(record.headers, TRUNCATED)
        return Letter(LetterPlace(record.partition, record.offset), dead, None if cut is None else int(cut))
    return None


def parse_mark(record: RawRecord) -> Mark | None:
    """A record of `dead-letters` as a mark; none where it is not one."""
    place = header(record.headers, REDRIVEN)
    if place is None or header(record.headers, "topic") is not None:
        return None
    try:
        named = LetterPlace.parse(_text(place))
    except ValueError:
        return None
    event_id = header(record.headers, _EVENT_ID)
    told = _text(header(record.headers, _TIME))
    moment = int(told) if told.isascii() and told.isdecimal() else record.timestamp
    if event_id is None:
        return Mark(named, None, moment)
    return Mark(named, event_id.decode("utf-8", "replace"), moment)


def _record_time(record: RawRecord, time: int) -> int:
    told = _text(header(record.headers, RECORD_TIME))
    return min(int(told), LATEST) if told.isascii() and told.isdecimal() else time


_TOLD = ("topic", "partition", "offset", "stage", "error_class", "message", "time")


def _text(value: bytes | None) -> str:
    return "" if value is None else value.decode("utf-8", "replace")
