"""The bank of encoders: media in, vectors in the shared space out, nothing encoded twice."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from threading import Lock
from typing import Protocol

import msgspec

from encoders.alignment import Alignment
from encoders.alignment_artifact import load_alignment
from encoders.alignment_builtin import builtin_alignment
from encoders.base import MODALITIES, Encoded, Medium, Modality
from encoders.batching import ON_CPU, ON_DEVICE, Batch, Queues
from encoders.classifying import class_weights
from encoders.describe.description import Described
from encoders.errors import DecoderCrash, MediumError
from encoders.image.classes import labels
from encoders.media.decoded import Decoded
from encoders.media.decoding import Decoding
from encoders.media.sniff import sniff
from encoders.media.text import decode_text
from encoders.media_key import MediaKeys
from encoders.native import MEDIA, Made, NativeMedium, classes_of, join
from encoders.natives import Natives
from encoders.observer import Observer
from encoders.remembered import Remembered
from encoders.settings import EncoderSettings
from encoders.versions import bank_version
from encoders.video.keyframes import KeyFrames

LASTING = frozenset({"broken", "empty", "too_large", "unsupported", "encoder_failed"})
"""Reasons that the same bytes will meet again; others may pass."""


class Decoder(Protocol):
    """What the bank needs of `encoders.media.pool.DecodePool`."""

    def decode_ahead(self, media: Sequence[Medium], ahead: int) -> Decoding: ...


class Cache(Protocol):
    """What the bank needs of `encoders.vector_cache.VectorCache`."""

    def get_many(self, keys: Sequence[bytes]) -> Sequence[bytes | None]: ...

    def put_many(self, values: Mapping[bytes, bytes]) -> None: ...


Failure = MediumError | DecoderCrash
Outcome = Made | Failure


class EncoderBank:
    """Encodes media of every modality. Any thread may call it; one encodes at a time.

    A medium goes by the digest of its bytes: first the outcomes kept in memory, then the vector cache, then
    decoding and encoding, batched by modality. A medium that fails fails alone.
    """

    def __init__(
        self, settings: EncoderSettings, cache: Cache | None, pool: Decoder, observer: Observer | None = None
    ) -> None:
        self._settings = settings
        self._cache = cache
        self._pool = pool
        self._observer = observer or Observer()
        self._natives = Natives(settings, self._observer)
        self._limits = ON_CPU if self._natives.device.type == "cpu" else ON_DEVICE
        self._keys = MediaKeys(self._natives.context)
        self._remembered = Remembered()
        self._lock = Lock()
        self._private: frozenset[bytes] = frozenset()
        """Keys, among those of the call in hand, that go to no disk."""
        self._builtin: Alignment | None = None
        self._alignment = self._configured_alignment()

    @property
    def version(self) -> str:
        """Equal versions give equal vectors: the encoders, how media are decoded, and the alignment."""
        contexts = {modality: self._natives.context(modality) for modality in MODALITIES}
        names = f"{self._natives.names}+{self._alignment.kind}"
        return bank_version(names, self._alignment.version, contexts)

    @property
    def encoders(self) -> dict[Modality, str]:
        """The encoder version of each modality."""
        return self._natives.versions

    @property
    def alignment(self) -> Alignment:
        """What serves now."""
        return self._alignment

    def use(self, alignment: Alignment) -> None:
        """Serves another alignment from the next call on. ArtifactError if it is for other encoders."""
        alignment.check(self.encoders)
        with self._lock:
            self._alignment = alignment
            self._remembered.clear()

    def encode(self, media: Sequence[Medium]) -> list[Encoded]:
        """What became of each medium, in their order; equal media are encoded once.

        Raises EncodersError only for what concerns no single medium, such as decoders that do not start, and
        an encoder that fails on samples which every encoder takes.
        """
        with self._lock:
            keys = [self._keys.key(medium) for medium in media]
            wanted = dict(zip(keys, media, strict=True))
            self._private = _private(keys, media)
            known = self._remembered.recall(wanted)
            if len(known) < len(wanted):
                known |= self._encode_missing({key: one for key, one in wanted.items() if key not in known})
            return [known[key] for key in keys]

    def encode_texts(self, texts: Sequence[str]) -> list[Encoded]:
        """The same for texts at hand."""
        return self.encode([Medium(text.encode(errors="replace"), Modality.TEXT) for text in texts])

    def key(self, medium: Medium) -> bytes:
        """What a medium goes by here; `at_hand` takes it in the medium's place."""
        return self._keys.key(medium)

    def at_hand(self, keys: Sequence[bytes]) -> dict[bytes, Encoded]:
        """Media that need neither decoding nor encoding, by key; a key of other encoders is not found."""
        current = [key for key in dict.fromkeys(keys) if self._keys.is_current(key)]
        found = self._remembered.recall(current)
        missing = [key for key in current if key not in found]
        if missing and self._cache is not None:
            # Encoding may be under way beside this: nobody waits for a batch to learn what is at hand.
            generation = self._remembered.generation
            aligned = self._aligned(self._cached(missing))
            self._remembered.keep(aligned, generation)
            found |= aligned
        return found

    def natives(self, media: Sequence[Medium]) -> list[NativeMedium | None]:
        """Vectors before alignment, cached as by `encode`; None for a medium that cannot be used."""
        with self._lock:
            keys = [self._keys.key(medium) for medium in media]
            wanted = dict(zip(keys, media, strict=True))
            self._private = _private(keys, media)
            found = self._cached(wanted)
            fresh = self._fresh({key: one for key, one in wanted.items() if key not in found})
            found |= {key: one.native for key, one in fresh.items() if isinstance(one, Made)}
            each = [found.get(key) for key in keys]
            return [one if one is not None and one.vectors else None for one in each]

    def builtin_alignment(self) -> Alignment:
        """The alignment of these encoders that needs no fitting; the first call takes seconds."""
        if self._builtin is None:
            natives = self._natives
            self._builtin = builtin_alignment(
                natives.text, class_weights(natives.image), class_weights(natives.audio), natives.versions,
                None if isinstance(natives.video, KeyFrames) else class_weights(natives.video),
            )  # fmt: skip
        return self._builtin

    def _configured_alignment(self) -> Alignment:
        if not self._settings.alignment:
            return self.builtin_alignment()
        alignment = load_alignment(Path(self._settings.alignment))
        alignment.check(self.encoders)
        return alignment

    def _encode_missing(self, missing: Mapping[bytes, Medium]) -> dict[bytes, Encoded]:
        cached = self._cached(missing)
        fresh = self._fresh({key: medium for key, medium in missing.items() if key not in cached})
        made = {key: one for key, one in fresh.items() if isinstance(one, Made)}
        encoded = self._aligned(cached | {key: one.native for key, one in made.items()})
        for key, one in fresh.items():
            if not isinstance(one, Made):
                encoded[key] = _failed(missing[key], one)
            elif one.failed:
                encoded[key] = _masked(encoded[key], one.failed)
        lasting = {key: one for key, one in encoded.items() if _lasts(one)}
        self._remembered.keep(lasting, self._remembered.generation)
        return encoded | {key: msgspec.structs.replace(encoded[key], cached=False) for key in made}

    def _cached(self, wanted: Iterable[bytes]) -> dict[bytes, NativeMedium]:
        if self._cache is None:
            return {}
        keys = list(wanted)
        records = [MEDIA.unpack(content) for content in self._cache.get_many(keys)]
        return {key: record for key, record in zip(keys, records, strict=True) if record is not None}

    def _fresh(self, wanted: Mapping[bytes, Medium]) -> dict[bytes, Outcome]:
        """Decodes and encodes at once, `batch_items` media ahead, which bounds what lies decoded in memory.

        The encoders never wait: while nothing more is decoded, they take what there is, and texts.
        """
        texts = {key: one for key, one in wanted.items() if one.modality is Modality.TEXT}
        others = [key for key in wanted if key not in texts]
        outcomes: dict[bytes, Outcome] = {}
        ready = self._text_batches(texts, outcomes)
        if others:
            media = [wanted[key] for key in others]
            with self._pool.decode_ahead(media, self._settings.batch_items) as decoding:
                for batch in self._batches(others, decoding, ready, outcomes):
                    self._observer.waiting(len(wanted) - len(outcomes))
                    outcomes |= self._encode_batch(batch)
        for batch in ready:
            self._observer.waiting(len(wanted) - len(outcomes))
            outcomes |= self._encode_batch(batch)
        self._observer.waiting(0)
        return outcomes

    def _batches(
        self,
        keys: Sequence[bytes],
        decoding: Decoding,
        at_hand: Iterator[Batch],
        outcomes: dict[bytes, Outcome],
    ) -> Iterator[Batch]:
        """What is to be encoded next; failures go to the outcomes."""
        queues = Queues(self._limits)
        while True:
            while decoding.is_waiting() and (batch := queues.fullest() or next(at_hand, None)):
                yield batch
            found = next(decoding, None)
            if found is None:
                break
            place, one = found
            if not isinstance(one, Decoded):
                outcomes[keys[place]] = one
            elif full := queues.add(keys[place], one):
                yield full
        yield from queues.rest()

    def _text_batches(self, texts: Mapping[bytes, Medium], outcomes: dict[bytes, Outcome]) -> Iterator[Batch]:
        """Text runs no foreign code: it is decoded here, the rest in the pool's processes."""
        queues = Queues(self._limits)
        for key, medium in texts.items():
            try:
                text = decode_text(medium.content, self._settings.max_text_characters)
            except MediumError as error:
                outcomes[key] = error
                continue
            if full := queues.add(key, Decoded(Modality.TEXT, text=text)):
                yield full
        yield from queues.rest()

    def _encode_batch(self, batch: Mapping[bytes, Decoded]) -> dict[bytes, Made]:
        made = dict(zip(batch, self._natives.encode(list(batch.values())), strict=True))
        if self._cache is not None:
            kept = {key: one for key, one in made.items() if one.is_whole and key not in self._private}
            self._cache.put_many({key: MEDIA.pack(one.native) for key, one in kept.items()})
        return made

    def _aligned(self, natives: Mapping[bytes, NativeMedium]) -> dict[bytes, Encoded]:
        """Aligns modality by modality, all media of the call at once."""
        alignment = self._alignment
        encoded = {
            key: Encoded(descriptions=_descriptions(native), cached=True) for key, native in natives.items()
        }
        for modality in MODALITIES:
            keys = [key for key, native in natives.items() if modality in native.vectors]
            if keys:
                batch = join([natives[key].vectors[modality] for key in keys])
                vectors = alignment.align(modality, batch.vectors, batch.classes)
                vectors.setflags(write=False)
                for key, vector in zip(keys, vectors, strict=True):
                    encoded[key].vectors[modality] = vector
        return encoded


def _private(keys: Iterable[bytes], media: Iterable[Medium]) -> frozenset[bytes]:
    """What somebody else has sent as well, or the catalogue shows, is no one's own."""
    pairs = list(zip(keys, media, strict=True))
    return frozenset(key for key, one in pairs if one.private).difference(
        key for key, one in pairs if not one.private
    )


def _failed(medium: Medium, failure: Failure) -> Encoded:
    if isinstance(failure, DecoderCrash):
        return Encoded(fatal=str(failure))
    modality = medium.modality or sniff(medium.content, medium.name)
    if modality is None:
        # What cannot be told has no modality to mask; as TEXT it is at least counted and seen.
        modality = Modality.TEXT
    return Encoded(masked={modality: failure.reason}, details={modality: failure.detail})


def _masked(encoded: Encoded, failed: Mapping[Modality, MediumError]) -> Encoded:
    return msgspec.structs.replace(
        encoded,
        masked={modality: error.reason for modality, error in failed.items()},
        details={modality: error.detail for modality, error in failed.items()},
    )


def _lasts(encoded: Encoded) -> bool:
    return encoded.fatal is None and LASTING.issuperset(encoded.masked.values())


def _descriptions(native: NativeMedium) -> Described:
    """What the image encoder's classes say, which comes with its vectors, then what the describers said."""
    seen: Described = ()
    for modality, vector in native.vectors.items():
        classes = classes_of([vector]) if modality in (Modality.IMAGE, Modality.VIDEO) else None
        if classes is not None:
            seen += labels(classes)
    return seen + native.descriptions
