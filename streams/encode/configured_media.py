"""The fetcher and the bank of encoders that the settings ask for."""

from contextlib import ExitStack
from pathlib import Path

from encoders.bank import EncoderBank
from encoders.base import Modality
from encoders.fetch import Fetcher
from encoders.known_media import KnownMedia
from encoders.media.pool import DecodePool
from encoders.vector_cache import VectorCache
from streams.encode.media import MediaEncoder
from streams.metrics import ENCODER_SECONDS
from streams.settings import Settings


def configured_media(settings: Settings, folder: Path, stack: ExitStack) -> MediaEncoder:
    """What fetches and encodes media; its vector cache lies in the folder, and the stack closes it."""
    cache = _cache(settings, folder, stack)
    bank = _bank(settings, cache, stack)
    fetcher = Fetcher(settings.fetch)
    stack.callback(fetcher.close)
    known = KnownMedia(bank, fetcher, cache)
    return MediaEncoder(bank, fetcher, settings.encode.media_budget_seconds, known)


def configured_bank(settings: Settings, folder: Path, stack: ExitStack) -> EncoderBank:
    """The encoders with their decoders, and the vector cache in the folder; the stack closes them."""
    return _bank(settings, _cache(settings, folder, stack), stack)


def _cache(settings: Settings, folder: Path, stack: ExitStack) -> VectorCache:
    cache = VectorCache(folder / "vectors", settings.encoders.cache_bytes)
    stack.callback(cache.close)
    return cache


def _bank(settings: Settings, cache: VectorCache, stack: ExitStack) -> EncoderBank:
    pool = DecodePool(settings.encoders)
    stack.callback(pool.close)
    return EncoderBank(settings.encoders, cache, pool, _observe)


def _observe(modality: Modality, seconds: float) -> None:
    ENCODER_SECONDS.labels(modality).observe(seconds)
