"""A bounded cache of vectors on disk, so that no medium is encoded twice.

Nothing in it is state: whatever is lost is encoded again. So a corrupt cache is wiped with a warning, a
full disk switches the cache off, and only a folder that another process holds is an error.
"""

import logging
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Lock
from typing import cast

from rocksdict import (
    AccessType,
    BlockBasedOptions,
    Cache,
    DBCompactionStyle,
    DBCompressionType,
    FifoCompactOptions,
    Options,
    Rdict,
    WriteBatch,
)

from encoders.errors import ArtifactError

LOGGER = logging.getLogger(__name__)

BLOCK_CACHE_BYTES = 8 * 1024 * 1024
LARGEST_BUFFER = 16 * 1024 * 1024
SMALLEST_BUFFER = 64 * 1024
OVERHEAD_BYTES = 4 * 1024 * 1024
"""What RocksDB writes beside the tables: its log, manifest and options files."""


OWN_FILES = re.compile(
    r"\d+\.(sst|log|dbtmp)|LOG.*|(MANIFEST|OPTIONS)-.*|CURRENT|IDENTITY|LOCK|rocksdict-config\.json"
)
"""What may be wiped: should the folder be the wrong one, nothing else in it is lost."""


class VectorCache:
    """Keys and values are bytes; the caller puts the encoder's version into the key.

    RocksDB compacts first in, first out: once the tables reach `max_bytes` (less the write-ahead log and
    some bookkeeping), the oldest table is dropped. One process at a time may hold the folder, any of its
    threads may read and write. Raises ArtifactError when another process holds the folder, or it cannot be
    made.
    """

    def __init__(self, path: Path, max_bytes: int) -> None:
        self._path = path
        self._options = _options(max_bytes)
        self._lock = Lock()
        self._store: Rdict | None = None
        try:
            path.mkdir(parents=True, exist_ok=True)
            self._store = Rdict(str(path), self._options)
        except Exception as error:
            if _is_held(error):
                raise ArtifactError(
                    f"the vector cache {path} is in use by another process; "
                    "give each encode worker its own folder"
                ) from error
            if isinstance(error, OSError):
                raise ArtifactError(f"the vector cache {path} cannot be made: {error}") from error
            self._start_anew(error)

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """The values of the keys in their order, None for a key that is not there."""
        if not keys:
            return []
        with self._lock:
            if self._store is None:
                return [None] * len(keys)
            try:
                return cast(list[bytes | None], self._store.get(list(keys)))
            except Exception as error:
                self._start_anew(error)
                return [None] * len(keys)

    def put_many(self, values: Mapping[bytes, bytes]) -> None:
        """Keeps the values; those that a crash of the machine loses are encoded again."""
        if not values:
            return
        batch = WriteBatch(raw_mode=True)
        for key, value in values.items():
            batch.put(key, value)
        with self._lock:
            if self._store is None:
                return
            try:
                self._store.write(batch)
            except Exception as error:
                self._start_anew(error)

    def close(self) -> None:
        """Writes out what is in memory and lets the folder go. Closing twice is harmless."""
        with self._lock:
            store, self._store = self._store, None
            if store is not None:
                _close_quietly(store)

    def _start_anew(self, error: Exception) -> None:
        LOGGER.warning("vector cache %s is unusable and starts empty: %s", self._path, error)
        store, self._store = self._store, None
        if store is not None:
            _close_quietly(store)
        try:
            for file in self._path.iterdir():
                if OWN_FILES.fullmatch(file.name):
                    file.unlink()
            self._store = Rdict(str(self._path), self._options)
        except Exception as failure:
            LOGGER.warning("vector cache %s is off until the next start: %s", self._path, failure)


class StoredVectors:
    """What lay in the folder of a vector cache when this was made, whoever fills it meanwhile; read-only.

    Errors are RocksDB's, of any class.
    """

    def __init__(self, path: Path) -> None:
        self._store = Rdict(str(path), _options(0), access_type=AccessType.read_only())

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """The values of the keys in their order, None for a key that is not there."""
        return cast(list[bytes | None], self._store.get(list(keys))) if keys else []

    def close(self) -> None:
        """Lets the folder go."""
        _close_quietly(self._store)


def _options(max_bytes: int) -> Options:
    buffer = max(SMALLEST_BUFFER, min(LARGEST_BUFFER, max_bytes // 16))
    fifo = FifoCompactOptions()
    beside_tables = 3 * buffer + min(OVERHEAD_BYTES, max_bytes // 4)
    fifo.max_table_files_size = max(4 * buffer, max_bytes - beside_tables)

    tables = BlockBasedOptions()
    tables.set_block_cache(Cache(BLOCK_CACHE_BYTES))
    tables.set_bloom_filter(10, False)

    options = Options(raw_mode=True)
    options.create_if_missing(True)
    options.set_compaction_style(DBCompactionStyle.fifo())
    options.set_fifo_compaction_options(fifo)
    options.set_block_based_table_factory(tables)
    # Vectors are noise to a compressor.
    options.set_compression_type(DBCompressionType.none())
    options.set_write_buffer_size(buffer)
    options.set_max_write_buffer_number(2)
    # Required by this way of compacting; the tables are few and large.
    options.set_max_open_files(-1)
    options.set_level_zero_slowdown_writes_trigger(1 << 20)
    options.set_level_zero_stop_writes_trigger(1 << 20)
    options.set_keep_log_file_num(1)
    options.set_max_log_file_size(1024 * 1024)
    options.set_max_manifest_file_size(1024 * 1024)
    return options


def _is_held(error: Exception) -> bool:
    return "While lock file" in str(error) or "lock hold by current process" in str(error)


def _close_quietly(store: Rdict) -> None:
    try:
        store.close()
    except Exception as error:
        LOGGER.warning("closing the vector cache: %s", error)
