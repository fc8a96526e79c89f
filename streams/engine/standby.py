"""The stores of one worker, and its standbys: copies of partitions that others own, kept level.

A standby reads, and does nothing else: it does not serve, fence or produce. When its partition is assigned to
this worker, its open store is handed to the engine, which goes on from the store's own bookmark.
"""

import logging
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack, closing, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path

from state.errors import StateError, StoreError
from state.rocks import RocksStore
from state.store import Store
from streams.engine.journal import Facts, Undone
from streams.engine.leftovers import Leftovers, is_spare
from streams.engine.place import BOOKMARK_KEY, Bookmark
from streams.engine.placement import Rules
from streams.engine.replica import Replica, answered, now_ms
from streams.engine.tail import Reading, Tail
from streams.errors import EngineError, PenchantError
from streams.metrics import STANDBY_LAG, STANDBY_RECORDS

_AGAIN_SECONDS = 5.0
_POLL_SECONDS = 0.1
_SETTLE_SECONDS = 60.0
_TIDY_SECONDS = 60.0
_STOP_SECONDS = 30.0
_TRUSTED_MS = 86_400_000
"""A store that was not written for so long is not worth telling of; whoever opens it decides."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class StandbyOptions:
    """Stores lie in `folder`. Copies take so many bytes a second at most, so that what is served has room."""

    name: str
    folder: Path
    rules: Rules = field(default_factory=Rules)
    bytes_per_second: float = 64e6
    cache_mb: int = 32
    write_buffer_mb: int = 16
    left_seconds: float = 600.0
    """How long a store stays on the disk that nobody here serves or copies any more."""


@dataclass(slots=True, eq=False)
class _Copy:
    store: Store
    replica: Replica
    facts: Facts
    level: bool = False
    settled: float = 0.0


class NoStandbys:
    """What an engine has whose stores are made elsewhere, in memory for example."""

    rules = Rules(0)

    def start(self) -> None:
        """Nothing to begin with."""

    def stop(self) -> None:
        """Nothing to end."""

    def follow(self, numbers: Iterable[int], awaited: Iterable[int], owned: Iterable[int] = ()) -> None:
        """Nothing is copied."""

    def held(self) -> dict[int, int]:
        return {}

    def due(self) -> bool:
        return False


class Standbys(NoStandbys):
    """Gives stores to the engine, and keeps copies in a thread of its own. May be called from any thread."""

    def __init__(self, options: StandbyOptions, tail: Callable[[], Tail]) -> None:
        self.rules = options.rules
        self._options = options
        self._make_tail = tail
        self._wanted: set[int] = set()
        self._awaited: set[int] = set()
        self._owned: set[int] = set()
        self._copies: dict[int, _Copy] = {}
        self._lent: dict[int, Store] = {}
        self._opening: set[int] = set()
        """Partitions whose stores are about to be lent."""
        self._known: dict[int, int] = {}
        """Changelog offset that each store had reached when it was last looked at."""
        self._again: dict[int, float] = defaultdict(float)
        self._leftovers = Leftovers(options.folder, options.left_seconds)
        self._tidy_at = 0.0
        self._lock = threading.Lock()
        """Held while a copy is written, taken in, handed over or removed."""
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"{options.name}-standby", daemon=True)

    def start(self) -> None:
        self._look_around()
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        if self._thread.ident is not None:
            self._thread.join(_STOP_SECONDS)

    def open(self, number: int) -> Store:
        """The store of a partition to be served, the copy's where there is one. The caller closes it."""
        with self._lock:
            self._wanted.discard(number)
            self._awaited.discard(number)
            self._opening.add(number)
            copy = self._copies.pop(number, None)
        if copy is not None:
            _log.info("%s: the standby at offset %d takes over", self._label(number), copy.replica.offset)
            _forget(self._label(number))
        try:
            store = copy.store if copy is not None else self._store(number)
            self._lent[number] = store
        finally:
            with self._lock:
                self._opening.discard(number)
        return store

    def follow(self, numbers: Iterable[int], awaited: Iterable[int], owned: Iterable[int] = ()) -> None:
        """Keep copies of these alone. `awaited` are those to be owned here as soon as they are level.

        What is `owned` from now on is about to be opened: a copy that is there waits for it.
        """
        with self._lock:
            self._wanted, self._awaited, self._owned = set(numbers), set(awaited), set(owned)

    def held(self) -> dict[int, int]:
        """Changelog offset that each store of this worker has reached."""
        for number, store in list(self._lent.items()):
            with suppress(StateError, EngineError):
                self._note(number, store)
        with self._lock:
            self._known.update({number: copy.replica.offset for number, copy in self._copies.items()})
        return dict(self._known)

    def level(self, number: int) -> bool:
        """Whether the copy has been level with its changelog, and still nearly is."""
        copy = self._copies.get(number)
        return copy is not None and copy.level

    def read(self, number: int, keys: Sequence[bytes]) -> list[bytes | None] | None:
        """Values of the copy, as far as it has come; none where there is no copy. Raises StoreError."""
        with self._lock:
            copy = self._copies.get(number)
            return None if copy is None else copy.store.get_many(keys)

    def due(self) -> bool:
        """Whether all that is awaited is level: a new assignment would give it to this worker."""
        awaited = set(self._awaited)
        return bool(awaited) and all(self.level(number) for number in awaited)

    def _look_around(self) -> None:
        """What the disk has of former times."""
        self._leftovers.sweep()
        for number in self._leftovers.numbers():
            folder = self._options.folder / str(number)
            try:
                store = RocksStore(folder, 1, lock_seconds=0.0)
            except StoreError as error:
                _log.warning("%s", error)
                continue
            try:
                self._note(number, store)
            except (StateError, EngineError) as error:
                _log.warning("%s: %s", folder, error)
            finally:
                store.close()

    def _note(self, number: int, store: Store) -> None:
        value = store.get(BOOKMARK_KEY)
        if value is None:
            self._known.pop(number, None)
            return
        bookmark = Bookmark.decode(value)
        if number in self._lent or now_ms() - bookmark.written_ms < _TRUSTED_MS:
            self._known[number] = bookmark.offset

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                if self._wanted:
                    self._follow()
                else:
                    self._tidy()
                    self._stopped.wait(_POLL_SECONDS)
            except Exception:
                _log.exception("%s: the standbys begin anew", self._options.name)
                self._stopped.wait(_AGAIN_SECONDS)
            finally:
                self._drop(list(self._copies))

    def _follow(self) -> None:
        tail = self._make_tail()
        try:
            while not self._stopped.is_set() and (self._wanted or self._copies):
                began = time.monotonic()
                kept = self._wanted | self._owned
                self._drop([number for number in list(self._copies) if number not in kept])
                self._take_in(tail)
                size = self._read(tail) if self._copies else 0
                self._keep_young(tail)
                self._tidy(tail)
                pause = size / self._options.bytes_per_second - (time.monotonic() - began)
                if not self._copies:
                    pause = _POLL_SECONDS
                self._stopped.wait(max(0.0, pause))
        finally:
            tail.close()

    def _keep_young(self, tail: Tail) -> None:
        """A partition that is level, and gets nothing, says so only once: it has to be asked."""
        for number, copy in list(self._copies.items()):
            if copy.level and time.monotonic() - copy.settled > _SETTLE_SECONDS:
                end = tail.ask_end(number)
                with self._lock:
                    copy.settled = time.monotonic()
                    if self._copies.get(number) is copy and copy.replica.offset == end:
                        copy.replica.settle()

    def _tidy(self, tail: Tail | None = None) -> None:
        """Remove stores that nobody here has used for long, where the changelog has all of them."""
        if time.monotonic() < self._tidy_at:
            return
        self._tidy_at = time.monotonic() + min(_TIDY_SECONDS, self._options.left_seconds)
        with self._lock:
            used = {number for number in self._leftovers.numbers() if self._is_used(number)}
        numbers = self._leftovers.due(used)
        if not numbers:
            return
        with closing(self._make_tail()) if tail is None else nullcontext(tail) as reader:
            for number in numbers:
                try:
                    self._remove(number, reader)
                except (StateError, PenchantError, OSError) as error:
                    _log.info("%s: its store stays: %s", self._label(number), error)
                    self._leftovers.keep(number)

    def _is_used(self, number: int) -> bool:
        """Whether its store is served, copied, or to be either."""
        lent = self._lent.get(number)
        asked_for = number in self._wanted | self._awaited | self._opening | self._copies.keys()
        return asked_for or (lent is not None and _is_open(lent))

    def _remove(self, number: int, tail: Tail) -> None:
        facts = tail.facts(number)
        store = self._store(number, lock_seconds=0.0)
        try:
            spare = is_spare(store, facts)
        finally:
            store.close()
        with self._lock:
            if not spare or self._is_used(number):
                self._leftovers.keep(number)
                return
            self._known.pop(number, None)
            self._lent.pop(number, None)
            self._leftovers.set_aside(number)
        self._leftovers.sweep()
        _log.info("%s: its store was not used for long here, and is removed", self._label(number))

    def _take_in(self, tail: Tail) -> None:
        """Begin with what is wanted, and read on with all."""
        for number in sorted(self._wanted - self._copies.keys()):
            if self._again[number] <= time.monotonic():
                self._begin(tail, number)
        tail.assign(self._positions())

    def _begin(self, tail: Tail, number: int) -> None:
        try:
            facts = tail.facts(number)
            undone = self._asked(tail, number, facts)
            # The lock keeps the engine from a folder that is being cleared.
            with self._lock:
                if number in self._wanted:
                    self._lent.pop(number, None)
                    self._copies[number] = self._copy(number, facts, undone)
        except (StateError, PenchantError) as error:
            # The engine may have the store still, or again.
            _log.info("%s: no standby yet: %s", self._label(number), error)
            self._again[number] = time.monotonic() + _AGAIN_SECONDS

    def _asked(self, tail: Tail, number: int, facts: Facts) -> Undone:
        """What the broker says of the store's last record, asked without the lock: others wait for that."""
        with self._lock, closing(self._store(number, lock_seconds=0.0)) as store:
            offset = Replica(store, self._label(number)).reached(facts)
        return answered(offset, tail.undone(number, offset) if offset else None)

    def _copy(self, number: int, facts: Facts, undone: Undone) -> _Copy:
        with ExitStack() as opened:
            store = self._store(number, lock_seconds=0.0)
            opened.callback(store.close)
            replica = Replica(store, self._label(number))
            reached = replica.reached(facts)
            if reached > facts.changelog_end:
                # A broker that has only just become the leader may say so: only an owner knows it to be true.
                raise EngineError(
                    f"its store is at {reached}, and the changelog ends at {facts.changelog_end}"
                )
            replica.begin(facts, undone)
            opened.pop_all()
        _log.info("%s: a standby from offset %d", self._label(number), replica.offset)
        return _Copy(store, replica, facts)

    def _read(self, tail: Tail) -> int:
        reading = tail.read(self._positions(), _POLL_SECONDS)
        for number in reading.chunks.keys() | reading.level:
            with self._lock:
                copy = self._copies.get(number)
                if copy is not None:
                    self._bring_on(number, copy, reading, tail.end(number))
        for number, reason in reading.failed.items():
            _log.warning("%s: the standby cannot go on: %s", self._label(number), reason)
            self._again[number] = time.monotonic() + _AGAIN_SECONDS
            self._drop([number])
        with self._lock:
            for number, copy in self._copies.items():
                self._measure(copy, self._label(number), tail.end(number))
        return reading.size

    def _measure(self, copy: _Copy, label: str, end: int) -> None:
        lag = max(0, end - copy.replica.offset)
        STANDBY_LAG.labels(label).set(lag)
        copy.level = copy.level and lag <= self._options.rules.tolerance

    def _positions(self) -> dict[int, int]:
        with self._lock:
            return {number: copy.replica.offset for number, copy in self._copies.items()}

    def _bring_on(self, number: int, copy: _Copy, reading: Reading, end: int) -> None:
        if now_ms() - copy.replica.since_ms > copy.facts.delete_retention_ms:
            reading.failed[number] = "deletions may have been missed meanwhile"
            return
        chunk = reading.chunks.get(number)
        try:
            if chunk is not None:
                copy.replica.take(chunk)
                STANDBY_RECORDS.inc(chunk.records)
            level_ms = copy.replica.caught_up(end)
            if number in reading.level:
                _level(copy, now_ms())
            elif level_ms is not None:
                _level(copy, level_ms)
        except StateError as error:
            reading.failed[number] = str(error)

    def _drop(self, numbers: Iterable[int]) -> None:
        for number in numbers:
            with self._lock:
                copy = self._copies.pop(number, None)
                if copy is not None:
                    self._known[number] = copy.replica.offset
                    copy.store.close()
                    _forget(self._label(number))

    def _store(self, number: int, lock_seconds: float = 10.0) -> Store:
        options = self._options
        return RocksStore(
            options.folder / str(number), options.cache_mb, lock_seconds, options.write_buffer_mb
        )

    def _label(self, number: int) -> str:
        return f"{self._options.name}-{number}"


def _is_open(store: Store) -> bool:
    try:
        store.get(BOOKMARK_KEY)
    except StoreError:
        return False
    return True


def _level(copy: _Copy, at_ms: int) -> None:
    if not copy.level:
        copy.settled = time.monotonic()
        copy.replica.settle(at_ms)
    else:
        copy.replica.level(at_ms)
    copy.level = True


def _forget(label: str) -> None:
    with suppress(KeyError):
        STANDBY_LAG.remove(label)
