"""The bank of encoders: media in, vectors in the shared space out, nothing encoded twice."""

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from threading import Lock
from typing import Protocol

import msgspec
import xxhash

from encoders.alignment import Alignment
from encoders.alignment_artifact import load_alignment
from encoders.alignment_builtin import builtin_alignment
from encoders.base import MODALITIES, Encoded, Medium, Modality
from encoders.classifying import class_weights
from encoders.describe.description import Described
from encoders.errors import DecoderCrash, MediumError
from encoders.image.classes import labels
from encoders.media.decoded import Decoded
from encoders.media.sniff import sniff
from encoders.media.text import decode_text
from encoders.media_key import MediaKeys
from encoders.native import MEDIA, NativeMedium, join
from encoders.natives import Natives, Observe
from encoders.settings import EncoderSettings
from encoders.video.keyframes import KeyFrames

REMEMBERED = 20_000
"""Media whose outcome is kept in memory, about 1.5 KB each."""
LASTING = frozenset({"broken", "empty", "too_large", "unsupported"})
"""Reasons that the same bytes will meet again; others may pass."""


class Decoder(Protocol):
    """What the bank needs of `encoders.media.pool.DecodePool`."""

    def decode(self, media: Sequence[Medium]) -> Sequence[Decoded | MediumError | DecoderCrash]: ...


class Cache(Protocol):
    """What the bank needs of `encoders.vector_cache.VectorCache`."""

    def get_many(self, keys: Sequence[bytes]) -> Sequence[bytes | None]: ...

    def put_many(self, values: Mapping[bytes, bytes]) -> None: ...


Failure = MediumError | DecoderCrash
Outcome = NativeMedium | Failure


class EncoderBank:
    """Encodes media of every modality. Calls from several threads run one after the other.

    A medium goes by the digest of its bytes: first the outcomes kept in memory, then the vector cache, then
    decoding and encoding, batched by modality. A medium that fails fails alone.
    """

    def __init__(
        self, settings: EncoderSettings, cache: Cache | None, pool: Decoder, observe: Observe | None = None
    ) -> None:
        self._settings = settings
        self._cache = cache
        self._pool = pool
        self._natives = Natives(settings, observe)
        self._keys = MediaKeys(self._natives.context)
        self._remembered: OrderedDict[bytes, Encoded] = OrderedDict()
        self._lock = Lock()
        self._builtin: Alignment | None = None
        self._alignment = self._configured_alignment()

    @property
    def version(self) -> str:
        """Equal versions give equal vectors: the encoders, how media are decoded, and the alignment."""
        contexts = " ".join(self._natives.context(modality) for modality in MODALITIES)
        digest = xxhash.xxh3_64_hexdigest(f"{contexts} {self._alignment.version}".encode())
        return f"{self._natives.names}+{self._alignment.kind}-{digest}"

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

        Raises EncodersError only for what concerns no single medium, such as decoders that do not start.
        """
        with self._lock:
            keys = [self._keys.key(medium) for medium in media]
            wanted = dict(zip(keys, media, strict=True))
            known = {key: self._remembered[key] for key in wanted if key in self._remembered}
            for key in known:
                self._remembered.move_to_end(key)
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
        with self._lock:
            current = [key for key in dict.fromkeys(keys) if self._keys.is_current(key)]
            found = {key: self._remembered[key] for key in current if key in self._remembered}
            for key in found:
                self._remembered.move_to_end(key)
            missing = [key for key in current if key not in found]
            if missing and self._cache is not None:
                aligned = self._aligned(self._cached(missing))
                self._remember(aligned)
                found |= aligned
            return found

    def natives(self, media: Sequence[Medium]) -> list[NativeMedium | None]:
        """Vectors before alignment, cached as by `encode`; None for a medium that cannot be used."""
        with self._lock:
            keys = [self._keys.key(medium) for medium in media]
            wanted = dict(zip(keys, media, strict=True))
            found: dict[bytes, Outcome] = {**self._cached(wanted)}
            found |= self._fresh({key: one for key, one in wanted.items() if key not in found})
            each = [found[key] for key in keys]
            return [one if isinstance(one, NativeMedium) else None for one in each]

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
        made = {key: one for key, one in fresh.items() if isinstance(one, NativeMedium)}
        encoded = self._aligned(cached | made)
        failed = {
            key: _failed(missing[key], one) for key, one in fresh.items() if not isinstance(one, NativeMedium)
        }
        self._remember(encoded)
        self._remember(
            {key: one for key, one in failed.items() if not LASTING.isdisjoint(one.masked.values())}
        )
        return encoded | failed | {key: msgspec.structs.replace(encoded[key], cached=False) for key in made}

    def _cached(self, wanted: Iterable[bytes]) -> dict[bytes, NativeMedium]:
        if self._cache is None:
            return {}
        keys = list(wanted)
        records = [MEDIA.unpack(content) for content in self._cache.get_many(keys)]
        return {key: record for key, record in zip(keys, records, strict=True) if record is not None}

    def _fresh(self, wanted: Mapping[bytes, Medium]) -> dict[bytes, Outcome]:
        """Decodes and encodes, `batch_items` media at a time, which bounds what lies decoded in memory."""
        outcomes: dict[bytes, Outcome] = {}
        for part in _chunks(wanted, self._settings.batch_items):
            decoded = self._decode(part)
            usable = {key: one for key, one in decoded.items() if isinstance(one, Decoded)}
            natives = dict(zip(usable, self._natives.encode(list(usable.values())), strict=True))
            if self._cache is not None:
                self._cache.put_many({key: MEDIA.pack(native) for key, native in natives.items()})
            outcomes |= {key: one for key, one in decoded.items() if not isinstance(one, Decoded)}
            outcomes |= natives
        return outcomes

    def _decode(self, part: Mapping[bytes, Medium]) -> dict[bytes, Decoded | Failure]:
        """Text runs no foreign code: it is decoded here, the rest in the pool's processes."""
        limit = self._settings.max_text_characters
        texts = {key: medium for key, medium in part.items() if medium.modality is Modality.TEXT}
        others = {key: medium for key, medium in part.items() if key not in texts}
        decoded: dict[bytes, Decoded | Failure] = {
            key: _decode_text(medium, limit) for key, medium in texts.items()
        }
        if others:
            decoded |= dict(zip(others, self._pool.decode(list(others.values())), strict=True))
        return decoded

    def _aligned(self, natives: Mapping[bytes, NativeMedium]) -> dict[bytes, Encoded]:
        """Aligns modality by modality, all media of the call at once."""
        encoded = {
            key: Encoded(descriptions=_descriptions(native), cached=True) for key, native in natives.items()
        }
        for modality in MODALITIES:
            keys = [key for key, native in natives.items() if modality in native.vectors]
            if keys:
                batch = join([natives[key].vectors[modality] for key in keys])
                vectors = self._alignment.align(modality, batch.vectors, batch.classes)
                vectors.setflags(write=False)
                for key, vector in zip(keys, vectors, strict=True):
                    encoded[key].vectors[modality] = vector
        return encoded

    def _remember(self, encoded: Mapping[bytes, Encoded]) -> None:
        self._remembered.update(encoded)
        while len(self._remembered) > REMEMBERED:
            self._remembered.popitem(last=False)


def _chunks(wanted: Mapping[bytes, Medium], size: int) -> Iterator[dict[bytes, Medium]]:
    items = iter(wanted.items())
    while part := dict(islice(items, size)):
        yield part


def _decode_text(medium: Medium, limit: int) -> Decoded | MediumError:
    try:
        return Decoded(Modality.TEXT, text=decode_text(medium.content, limit))
    except MediumError as error:
        return error


def _failed(medium: Medium, failure: Failure) -> Encoded:
    if isinstance(failure, DecoderCrash):
        return Encoded(fatal=str(failure))
    modality = medium.modality or sniff(medium.content, medium.name)
    if modality is None:
        # What cannot be told has no modality to mask; as TEXT it is at least counted and seen.
        modality = Modality.TEXT
    return Encoded(masked={modality: failure.reason}, details={modality: failure.detail})


def _descriptions(native: NativeMedium) -> Described:
    """What the image encoder's classes say, which comes with its vectors, then what the describers said."""
    seen: Described = ()
    for modality, vector in native.vectors.items():
        classes = join([vector]).classes
        if classes is not None and modality in (Modality.IMAGE, Modality.VIDEO):
            seen += labels(classes)
    return seen + native.descriptions
