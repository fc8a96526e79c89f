"""The fetcher and the bank of encoders that the settings ask for."""

from contextlib import ExitStack
from pathlib import Path

from encoders.bank import EncoderBank
from encoders.base import Modality
from encoders.device import resolve_device
from encoders.fetch import Fetcher
from encoders.known_media import KnownMedia
from encoders.language.keywords import Keywords
from encoders.language.sentiment import configured_sentiment
from encoders.layered_cache import BulkVectors, LayeredCache
from encoders.media.pool import DecodePool
from encoders.observer import Observer
from encoders.registry import text_encoder
from encoders.vector_cache import VectorCache
from streams.encode.media import MediaEncoder
from streams.encode.words import WordReader
from streams.metrics import DECODERS_ENDED, ENCODER_BATCH, ENCODER_FAILURES, ENCODER_SECONDS, QUEUE_DEPTH
from streams.settings import Settings


def configured_media(settings: Settings, folder: Path, stack: ExitStack) -> MediaEncoder:
    """What fetches and encodes media; its vector cache lies in the folder, and the stack closes it."""
    cache = configured_cache(settings, folder, stack)
    bank = _bank(settings, cache, stack)
    fetcher = Fetcher(settings.fetch)
    stack.callback(fetcher.close)
    known = KnownMedia(bank, fetcher, cache)
    return MediaEncoder(
        bank, fetcher, settings.encode.media_budget_seconds, known, configured_words(settings)
    )


def configured_words(settings: Settings) -> WordReader:
    """What reads the words of events. Raises ArtifactError for a judge that cannot be loaded."""
    device = resolve_device(settings.encoders.device)
    judge = configured_sentiment(settings.encode.sentiment, settings.encoders, device)
    if not settings.encode.keywords:
        return WordReader(judge)
    finder = Keywords(text_encoder(settings.encoders, device), settings.encode.keywords)
    return WordReader(judge, finder)


def configured_bank(settings: Settings, folder: Path, stack: ExitStack) -> EncoderBank:
    """The encoders with their decoders, and the vector cache in the folder; the stack closes them."""
    return _bank(settings, configured_cache(settings, folder, stack), stack)


def configured_cache(settings: Settings, folder: Path, stack: ExitStack) -> LayeredCache:
    """The vector cache in the folder, in front of what was encoded in bulk; the stack closes them."""
    own = VectorCache(folder / "vectors", settings.encoders.cache_bytes)
    cache = LayeredCache(own, BulkVectors(bulk_folder(settings)))
    stack.callback(cache.close)
    return cache


def bulk_folder(settings: Settings) -> Path:
    """Where `penchant encode-catalogue` puts vectors, and encode workers look for them."""
    return Path(settings.encoders.bulk_vectors or Path(settings.app.data) / "catalogue-vectors")


def _bank(settings: Settings, cache: LayeredCache, stack: ExitStack) -> EncoderBank:
    metrics = Metrics()
    pool = DecodePool(settings.encoders, observer=metrics)
    stack.callback(pool.close)
    return EncoderBank(settings.encoders, cache, pool, metrics)


class Metrics(Observer):
    """Makes metrics of what the encoders do."""

    def encoded(self, modality: Modality, media: int, seconds: float) -> None:
        ENCODER_SECONDS.labels(modality).observe(seconds)
        ENCODER_BATCH.labels(modality).observe(media)

    def waiting(self, media: int) -> None:
        QUEUE_DEPTH.labels("media").set(media)

    def decoder_ended(self, cause: str) -> None:
        DECODERS_ENDED.labels(cause).inc()

    def failed(self, encoder: str, reason: str) -> None:
        ENCODER_FAILURES.labels(encoder, reason).inc()
