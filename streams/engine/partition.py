"""One source partition in the hands of its owner, and how it gets there: fence, check, restore."""

import logging
import time
from dataclasses import dataclass, replace

from state.store import Store
from streams.engine.journal import Cancelled, Facts, Journal
from streams.engine.place import BOOKMARK_KEY, NO_RAW, PLACE_KEY, Bookmark, Place
from streams.errors import ChangelogCut, SourceRecreated
from streams.metrics import RECOVERY, RESTORED

_log = logging.getLogger(__name__)


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

    def bookmark(self, offset: int) -> bytes:
        return Bookmark(offset, _now_ms(), self.changelog_topic).encode()

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

    def run(self) -> Partition:
        """Take the partition from its owner before, and make the store level with its changelog.

        Raises SourceRecreated where going on would skip events in silence, ChangelogCut where states would
        be missing, and OpeningCancelled.
        """
        facts = self.journal.fence(self.cancelled)
        self._restore(facts)
        value = self.store.get(PLACE_KEY)
        if value is None:
            place = Place(facts.source_start, NO_RAW, facts.source_topic)
        else:
            place = _reached(Place.decode(value), facts, self.label)
        return Partition(self.number, self.label, self.store, self.journal, place, facts.changelog_topic)

    def _restore(self, facts: Facts) -> None:
        start = self._local_start(facts)
        began, records, progress = time.monotonic(), 0, RECOVERY.labels(self.label)
        for chunk in self.journal.replay(start, facts.changelog_end, self.cancelled):
            bookmark = Bookmark(chunk.end, _now_ms(), facts.changelog_topic).encode()
            self.store.write({**chunk.changes, BOOKMARK_KEY: bookmark})
            records += chunk.records
            RESTORED.inc(chunk.records)
            progress.set((chunk.end - start) / (facts.changelog_end - start))
        progress.set(1.0)
        if records:
            _log.info("%s: restored %d records in %.1f s", self.label, records, time.monotonic() - began)

    def _local_start(self, facts: Facts) -> int:
        """Changelog offset from which the store lacks records; a store that cannot be trusted is cleared."""
        value = self.store.get(BOOKMARK_KEY)
        if value is not None:
            bookmark = Bookmark.decode(value)
            reason = _distrust(bookmark, facts)
            if reason is None:
                _check_whole(bookmark.offset, facts, self.label)
                return bookmark.offset
            _log.warning("%s: the local store %s: rebuilding it from the changelog", self.label, reason)
        # Before the store is cleared: it may be the last that has those states.
        _check_whole(0, facts, self.label)
        self.store.clear()
        return 0


def _distrust(bookmark: Bookmark, facts: Facts) -> str | None:
    if bookmark.topic != facts.changelog_topic:
        return "belongs to another changelog topic"
    if bookmark.offset > facts.changelog_end:
        return "is ahead of the changelog"
    age = _now_ms() - bookmark.written_ms
    if bookmark.offset < facts.changelog_end and age > facts.delete_retention_ms:
        # What was deleted meanwhile may have left the changelog without a trace.
        return "is older than the changelog keeps deletions"
    return None


def _check_whole(start: int, facts: Facts, label: str) -> None:
    """Compaction leaves the start of the changelog where it is: only what deletes states moves it."""
    if facts.changelog_start > start:
        raise ChangelogCut(
            f"{label}: the changelog was cut up to offset {facts.changelog_start}, by retention or by hand, "
            f"and the local store has it up to {start} only: states would be missing. Start the worker whose "
            "data folder still has them, or make the changelog topic anew to count again what the source "
            "still holds; keep cleanup.policy=compact"
        )
    if facts.changelog_start:
        _log.warning(
            "%s: the changelog was cut up to offset %d: the states before live in this local store alone",
            label,
            facts.changelog_start,
        )


def _reached(place: Place, facts: Facts, label: str) -> Place:
    """The place, not before the start of the source.

    Behind the last record lie markers, one for each producer that wrote there, so that a source which was
    read to its end, and then cut by retention, begins beyond the place. Where records were cut unread, the
    next one with a raw range leaves a hole. Without raw ranges nothing can tell: it is said aloud.
    """
    if place.topic != facts.source_topic:
        raise SourceRecreated(
            f"{label}: the source topic was deleted and made anew, so its offsets start again; "
            "delete the changelog topic too, or give the deployment another app.name"
        )
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


def _now_ms() -> int:
    return int(time.time() * 1000)
