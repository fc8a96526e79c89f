"""A store as a copy of a changelog partition: whether it can be trusted, how far it is, bringing it on.

Owners restore with it when they open a partition, and standbys follow with it.
"""

import logging
import time

from state.store import LASTING_SECONDS, Store
from streams.engine.journal import Changes, Chunk, Facts, Undone
from streams.engine.place import BOOKMARK_KEY, Bookmark
from streams.errors import ChangelogCut, EngineError

_BULK_RECORDS = 10_000
"""From so many missing records on, loading without compaction is worth its end."""

_log = logging.getLogger(__name__)


class Replica:
    """One thread at a time.

    A bookmark says since when the store has known all deletions. While records of the past are read, that is
    when the store was last level, or when the reading began; not the time of reading.
    """

    def __init__(self, store: Store, label: str) -> None:
        self._store = store
        self._label = label
        self._topic = b""
        self.since_ms = 0
        """Since when the store knows all deletions up to `offset`."""
        self._bulk = False
        self._told = 0
        self._goal: tuple[int, int] | None = None
        self.offset = 0
        """Offset in the changelog that comes next."""

    def reached(self, facts: Facts) -> int:
        """Offset that the store says it has reached in this changelog."""
        bookmark = self._bookmark()
        return bookmark.offset if bookmark is not None and bookmark.topic == facts.changelog_topic else 0

    def begin(self, facts: Facts, undone: Undone) -> int:
        """Changelog offset from which the store lacks records; a store that cannot be trusted is cleared.

        Raises ChangelogCut where states would be missing.
        """
        self._topic, now = facts.changelog_topic, now_ms()
        bookmark = self._bookmark()
        if bookmark is not None:
            reason = _distrust(bookmark, facts, now)
            if reason is None and bookmark.offset:
                reason = _taken_back(bookmark, facts, undone(bookmark.offset))
            if reason is not None:
                _log.warning("%s: the local store %s: rebuilding it from the changelog", self._label, reason)
                bookmark = None
        self.offset = 0 if bookmark is None else bookmark.offset
        self.since_ms = now if bookmark is None else bookmark.written_ms
        # Before the store is cleared: it may be the last that has those states.
        _check_whole(self.offset, facts, self._label)
        if bookmark is None:
            self._store.clear()
        self._bulk = facts.changelog_end - self.offset > _BULK_RECORDS
        return self.offset

    def take(self, chunk: Chunk) -> None:
        """Bring the store to the chunk's end."""
        self.offset = chunk.end
        self._put(chunk.changes)

    def caught_up(self, end: int) -> int | None:
        """When the changelog ended where the store is by now, epoch ms; None where it is not so far yet.

        `end` is what the reader was told last. Where records keep coming, it never hears that there are no
        more of them: so it is told as a goal when it is news, and asked whether the goal is reached.
        """
        if self._goal is None and end > self._told:
            self._told, self._goal = end, (end, now_ms())
        if self._goal is None or self.offset < self._goal[0]:
            return None
        at_ms, self._goal = self._goal[1], None
        return at_ms

    def level(self, at_ms: int | None = None) -> None:
        """The store was level with the changelog then, now by default: to be written with the next chunk."""
        self.since_ms = max(self.since_ms, now_ms() if at_ms is None else at_ms)

    def settle(self, at_ms: int | None = None) -> None:
        """The same, written at once."""
        self.level(at_ms)
        loaded, self._bulk = self._bulk, False
        if self.offset:
            self._put({})
        self._store.settle(0.0 if loaded else LASTING_SECONDS)

    def _bookmark(self) -> Bookmark | None:
        value = self._store.get(BOOKMARK_KEY)
        return None if value is None else Bookmark.decode(value)

    def _put(self, changes: Changes) -> None:
        marked = {**changes, BOOKMARK_KEY: self._mark()}
        if self._bulk:
            self._store.load(marked)
        else:
            self._store.write(marked)

    def _mark(self) -> bytes:
        return Bookmark(self.offset, self.since_ms, self._topic).encode()


def answered(offset: int, answer: bool | None) -> Undone:
    """What was asked before of a store that had reached this offset. Raises EngineError for another one."""

    def undone(reached: int) -> bool | None:
        if reached != offset:
            raise EngineError("its store has moved on meanwhile")
        return answer

    return undone


def _distrust(bookmark: Bookmark, facts: Facts, now: int) -> str | None:
    if bookmark.topic != facts.changelog_topic:
        return "belongs to another changelog topic"
    if bookmark.offset > facts.changelog_end:
        return "is ahead of the changelog"
    if facts.forgotten is not None and bookmark.offset > facts.forgotten:
        return "has what a broker forgot to commit"
    if bookmark.offset < facts.changelog_end and now - bookmark.written_ms > facts.delete_retention_ms:
        # What was deleted meanwhile may have left the changelog without a trace.
        return "is older than the changelog keeps deletions"
    return None


def _taken_back(bookmark: Bookmark, facts: Facts, undone: bool | None) -> str | None:
    if undone:
        return "has what a broker noted as committed, and aborted"
    if undone is None and bookmark.own and not facts.changelog_start:
        # What was read is committed. Of what an owner was told nothing is left to see if it was aborted.
        # Where the changelog was cut, the store may be the last that has its states.
        return "was last written by its owner, and the changelog has nothing of it any more"
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


def now_ms() -> int:
    """Epoch milliseconds."""
    return int(time.time() * 1000)
