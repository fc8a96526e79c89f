"""A store in RocksDB: the only file of `state` that knows rocksdict."""

import logging
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar, cast

from rocksdict import BlockBasedOptions, Cache, Options, Rdict, WriteBatch, WriteOptions

from state.errors import StoreError

_MEGABYTE = 1024 * 1024
_SCAN_CHUNK = 1_000
_LOCK_WAIT_SECONDS = 10.0
_SIZES = ("rocksdb.live-sst-files-size", "rocksdb.size-all-mem-tables")

_STALL_SECONDS = 30.0
_POLL_SECONDS = 0.001
_STALLED = "Result incomplete"

_WITHOUT_LOG = WriteOptions()
_WITHOUT_LOG.disable_wal = True  # type: ignore[method-assign, assignment]  # a property, whatever the stub says
# Else a write that waits for a flush would hold up all threads of the process.
_WITHOUT_LOG.no_slowdown = True
_NEVER = 1 << 20

_log = logging.getLogger(__name__)

ResultT = TypeVar("ResultT")


class RocksStore:
    """A `Store` in the folder `path`, without a write-ahead log: the changelog is one already.

    There is one column family, its memtables are flushed in the order in which they were written, and a write
    lies in one of them whole. So after a kill the files hold what some write, not long ago, had come to.
    """

    def __init__(
        self,
        path: Path,
        block_cache_mb: int = 32,
        lock_seconds: float = _LOCK_WAIT_SECONDS,
        write_buffer_mb: int = 16,
    ) -> None:
        """Open or create. Damaged files are thrown away, for the changelog has it all.

        Raises StoreError where the folder cannot be used, or another process has held it for `lock_seconds`.
        """
        self._path = path
        self._block_cache_mb = block_cache_mb
        self._buffer = write_buffer_mb * _MEGABYTE
        self._db = self._open(lock_seconds)
        self._bulk = False
        self._unflushed_since: float | None = None
        self._closed = False

    def get(self, key: bytes) -> bytes | None:
        return cast(bytes | None, self._guarded(lambda: self._db.get(key)))

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        if not keys:
            return []
        return cast(list[bytes | None], self._guarded(lambda: self._db.get(list(keys))))

    def write(self, changes: Mapping[bytes, bytes | None]) -> None:
        if self._unflushed_since is None:
            self._unflushed_since = time.monotonic()
        give_up = time.monotonic() + _STALL_SECONDS
        while not self._guarded(lambda: self._written(changes)):
            self._await_flush(give_up)

    def load(self, changes: Mapping[bytes, bytes | None]) -> None:
        if not self._bulk:
            self._bulk = True
            self._guarded(lambda: self._db.set_options(_buffered(2 * self._buffer, compacting=False)))
        self.write(changes)

    def settle(self, seconds: float = 0.0) -> None:
        if self._bulk:
            self._guarded(lambda: self._db.set_options(_buffered(self._buffer, compacting=True)))
            self._bulk = False
        since = self._unflushed_since
        if since is None:
            return
        self._check_room()
        if time.monotonic() - since >= seconds:
            # By a thread of RocksDB's own. Where it fails, the next write fails.
            self._guarded(lambda: self._db.flush(wait=False))
            self._unflushed_since = None

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        start: bytes | None = prefix
        while start is not None:
            # No iterator lives between two chunks, since an open one would keep the files locked.
            chunk, start = self._chunk(start, prefix)
            yield from chunk

    def size(self) -> int:
        return sum(int(self._db.property_int_value(name) or 0) for name in _SIZES)

    def clear(self) -> None:
        self.close()
        shutil.rmtree(self._path, ignore_errors=True)
        self._db = self._open(0.0)
        self._bulk = False
        self._unflushed_since = None
        self._closed = False

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        try:
            self._db.close()
        except Exception as error:  # rocksdict raises bare Exception for everything
            _log.warning(
                "%s: what was written last could not be kept, and is read from the changelog again: %s",
                self._path,
                error,
            )

    def _written(self, changes: Mapping[bytes, bytes | None]) -> bool:
        """Whether it is, or must wait for a flush."""
        try:
            # A batch that was refused is of no more use.
            self._db.write(_batch(changes), _WITHOUT_LOG)
        except Exception as error:  # rocksdict raises bare Exception for everything
            if str(error).startswith(_STALLED):
                return False
            raise
        return True

    def _check_room(self) -> None:
        """A disk that is full is told of before the memory is, too: nothing else writes to it for long."""
        waiting = self._db.property_int_value("rocksdb.cur-size-all-mem-tables") or 0
        free = shutil.disk_usage(self._path).free
        if free < waiting:
            raise StoreError(
                f"{self._path}: No space left on device: {free} bytes are free, {waiting} wait to be written"
            )

    def _await_flush(self, give_up: float) -> None:
        look_again = time.monotonic() + 100 * _POLL_SECONDS
        while True:
            time.sleep(_POLL_SECONDS)
            now = time.monotonic()
            if now > give_up:
                raise StoreError(f"{self._path}: nothing was flushed for {_STALL_SECONDS:.0f} s")
            if now > look_again or not self._db.property_int_value("rocksdb.is-write-stopped"):
                return

    def _chunk(self, start: bytes, prefix: bytes) -> tuple[list[tuple[bytes, bytes]], bytes | None]:
        cursor = self._guarded(self._db.iter)
        cursor.seek(start)
        found: list[tuple[bytes, bytes]] = []
        while cursor.valid():
            key = cursor.key()
            if not key.startswith(prefix):
                return found, None
            if len(found) == _SCAN_CHUNK:
                return found, key
            found.append((key, cursor.value()))
            cursor.next()
        self._guarded(cursor.status)
        return found, None

    def _open(self, lock_seconds: float) -> Rdict:
        self._path.mkdir(parents=True, exist_ok=True)
        give_up = time.monotonic() + lock_seconds
        while True:
            try:
                return Rdict(str(self._path), self._options())
            except Exception as error:  # rocksdict raises bare Exception for everything
                self._mend(error, give_up)

    def _mend(self, error: Exception, give_up: float) -> None:
        """Return where opening once more may help; raise StoreError where it will not."""
        text = str(error)
        if text.startswith("Corruption"):
            _log.warning("%s is damaged and will be rebuilt from the changelog: %s", self._path, text)
            shutil.rmtree(self._path)
            self._path.mkdir(parents=True)
        elif "lock" not in text.lower():
            raise StoreError(f"{self._path} cannot be opened: {text}") from error
        elif time.monotonic() > give_up:
            raise StoreError(
                f"{self._path} is held by another process; give every worker its own app.data folder"
            ) from error
        else:
            time.sleep(0.05)

    def _options(self) -> Options:
        table = BlockBasedOptions()
        table.set_block_cache(Cache(self._block_cache_mb * _MEGABYTE))
        table.set_bloom_filter(10, False)
        options = Options(raw_mode=True)
        options.create_if_missing(True)
        options.set_block_based_table_factory(table)
        options.set_write_buffer_size(self._buffer)
        options.set_max_write_buffer_number(2)
        # After a load there are many files: they are compacted beside the writes, which must not wait for it.
        options.set_level_zero_slowdown_writes_trigger(_NEVER)
        options.set_level_zero_stop_writes_trigger(_NEVER)
        options.set_soft_pending_compaction_bytes_limit(0)
        options.set_hard_pending_compaction_bytes_limit(0)
        options.set_keep_log_file_num(2)
        return options

    def _guarded(self, action: Callable[[], ResultT]) -> ResultT:
        try:
            return action()
        except Exception as error:  # rocksdict raises bare Exception for everything
            raise StoreError(f"{self._path}: {error}") from error


def _buffered(size: int, compacting: bool) -> dict[str, str]:
    return {
        "disable_auto_compactions": str(not compacting).lower(),
        "write_buffer_size": str(size),
        # Compaction packs what was loaded, when there is time.
        "compression": "kSnappyCompression" if compacting else "kNoCompression",
    }


def _batch(changes: Mapping[bytes, bytes | None]) -> WriteBatch:
    batch = WriteBatch(raw_mode=True)
    for key, value in changes.items():
        if value is None:
            batch.delete(key)
        else:
            batch.put(key, value)
    return batch
