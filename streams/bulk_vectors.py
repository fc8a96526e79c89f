"""The folder of vectors that were encoded in bulk, while it is filled."""

import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack

from encoders.bank import EncoderBank
from encoders.errors import ArtifactError
from encoders.fetch import Fetcher
from encoders.known_media import KnownMedia
from encoders.layered_cache import mark
from encoders.media.pool import DecodePool
from encoders.vector_cache import VectorCache
from streams.encode.configured_media import bulk_folder
from streams.encode.media import MediaEncoder
from streams.errors import InputError
from streams.settings import Settings
from streams.specimen import Stopwatch

MARK_SECONDS = 60.0


class BulkFill:
    """Encoders that keep what they make in the folder of `encoders.bulk_vectors`; the stack closes them.

    One process at a time may fill it, while encode workers read: they are told of what came every minute, and
    at the end. Raises InputError where another process fills it, ArtifactError where it cannot be made.
    """

    def __init__(self, settings: Settings, stack: ExitStack) -> None:
        self.folder = bulk_folder(settings)
        self.most_bytes = settings.encoders.cache_bytes
        self.stopwatch = Stopwatch()
        try:
            store = VectorCache(self.folder, self.most_bytes)
        except ArtifactError as error:
            if not self.folder.is_dir():
                raise
            raise InputError(f"{error}; or does `penchant encode-catalogue` run already?") from error
        stack.callback(mark, self.folder)
        stack.callback(store.close)
        self.cache = _Weighed(store)
        pool = DecodePool(settings.encoders)
        stack.callback(pool.close)
        bank = EncoderBank(settings.encoders, self.cache, pool, self.stopwatch)
        fetcher = Fetcher(settings.fetch)
        stack.callback(fetcher.close)
        known = KnownMedia(bank, fetcher, self.cache)
        self.media = MediaEncoder(bank, fetcher, settings.fetch.timeout_seconds, known)
        self._marks_at = 0.0

    def tell(self) -> None:
        """Tells the workers of what came, now and then."""
        if time.monotonic() >= self._marks_at:
            self._marks_at = time.monotonic() + MARK_SECONDS
            mark(self.folder)


class _Weighed:
    """A vector cache that adds up what was found in it and what was put there."""

    def __init__(self, store: VectorCache) -> None:
        self._store = store
        self.bytes = 0

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        found = self._store.get_many(keys)
        self.bytes += sum(len(value) for value in found if value is not None)
        return found

    def put_many(self, values: Mapping[bytes, bytes]) -> None:
        self.bytes += sum(map(len, values.values()))
        self._store.put_many(values)
