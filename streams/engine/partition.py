"""One source partition in the hands of its owner, and how it gets there: fence, check, restore."""

import logging
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace

from state.store import Store
from streams.engine.journal import Cancelled, Changes, Facts, Journal
from streams.engine.place import NO_RAW, PLACE_KEY, Bookmark, Place
from streams.engine.replica import Replica, now_ms
from streams.engine.restoring import Restoring
from streams.engine.source_check import changelog_recreated
from streams.errors import SourceRecreated

_log = logging.getLogger(__name__)


@dataclass(slots=True, frozen=True)
class Quiet:
    """A partition whose outputs another one has written, for all records below a source offset."""

    until: int
    changes: Changes = field(default_factory=dict)
    """What is to be stored when that offset is reached."""
    told: Callable[[], None] = lambda: None
    """Called once they are, and before the first output."""


FOREVER = 2**62


@dataclass(slots=True)
class Partition:
    """`place` and `store` are level with the changelog but during a commit."""

    number: int
    label: str
    """Engine and number, for logs and metrics."""
    store: Store
    journal: Journal
    place: Place
    changelog_topic: bytes
    quiet: Quiet | None = None

    def bookmark(self, offset: int) -> bytes:
        return Bookmark(offset, now_ms(), self.changelog_topic, own=True).encode()

    def close(self) -> None:
        self.journal.close()
        self.store.close()


@dataclass(slots=True, frozen=True)
class Opening:
    """What it takes to open a partition. Who makes one closes `store` and `journal` where `run` fails."""

    number: int
    label: str
    store: Store
    journal: Journal
    cancelled: Cancelled
    skip_trimmed: bool = False
    """Whether a source that was made anew may be read from its start, by raw ranges."""
    changelog: bytes | None = None
    """Id of the changelog topic that this process has used so far."""

    def run(self) -> Partition:
        """Take the partition from its owner before, and make the store level with its changelog.

        Raises SourceRecreated where going on would skip events in silence, ChangelogCut where states would
        be missing, and OpeningCancelled.
        """
        facts = self.journal.fence(self.cancelled)
        if self.changelog not in (None, facts.changelog_topic):
            raise changelog_recreated(self.label)
        self._restore(facts)
        value = self.store.get(PLACE_KEY)
        if value is None:
            place = Place(facts.source_start, NO_RAW, facts.source_topic)
        else:
            place = self._reached(Place.decode(value), facts)
        return Partition(self.number, self.label, self.store, self.journal, place, facts.changelog_topic)

    def _restore(self, facts: Facts) -> None:
        replica = Replica(self.store, self.label)
        start = replica.begin(facts, self.journal.undone)
        restoring = Restoring(self.label, start, facts.changelog_end)
        try:
            for chunk in self.journal.replay(start, facts.changelog_end, self.cancelled):
                replica.take(chunk)
                restoring.tell(chunk)
            replica.settle()
            restoring.finish()
        finally:
            restoring.close()

    def _reached(self, place: Place, facts: Facts) -> Place:
        if place.topic == facts.source_topic:
            return _not_before(place, facts, self.label)
        if not self.skip_trimmed:
            raise SourceRecreated(
                f"{self.label}: the source topic was deleted and made anew, so its offsets start again. Set "
                "interests.skip_trimmed for one start: states stay, and it is read from its start, without "
                "what was lost with the old one"
            )
        _log.error("%s: the source topic was made anew: it is read from its start", self.label)
        return replace(place, source=facts.source_start, topic=facts.source_topic)


def opened(store: Store, journal: Callable[[], Journal], opens: Callable[[Journal], Partition]) -> Partition:
    """What `opens` makes of the store and the journal; where it fails, both are closed."""
    with ExitStack() as held:
        held.callback(store.close)
        made = journal()
        held.callback(made.close)
        partition = opens(made)
        held.pop_all()
    return partition


def _not_before(place: Place, facts: Facts, label: str) -> Place:
    """The place, not before the start of the source.

    Behind the last record lie markers, one for each producer that wrote there, so that a source which was
    read to its end, and then cut by retention, begins beyond the place. Where records were cut unread, the
    next one with a raw range leaves a hole. Without raw ranges nothing can tell: it is said aloud.
    """
    if facts.source_start <= place.source:
        return place
    if place.raw == NO_RAW:
        _log.warning(
            "%s: the source was cut up to offset %d, and read up to %d: what was not read is lost",
            label,
            facts.source_start,
            place.source,
        )
    return replace(place, source=facts.source_start)
