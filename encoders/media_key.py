"""Keys of the vector cache: a digest of a medium's bytes and of all that decides what they become."""

from collections.abc import Callable
from hashlib import blake2b

from encoders.base import MODALITIES, Medium, Modality
from encoders.media.sniff import sniff

DIGEST_BYTES = 16
"""Collision-proof on purpose: media come from strangers, and a key made to collide would poison the cache."""


class MediaKeys:
    """Keys under one set of encoders; `context` gives, per modality, what else decides the vectors."""

    def __init__(self, context: Callable[[Modality], str]) -> None:
        self._contexts = {modality: _digest(context(modality).encode()) for modality in MODALITIES}
        everything = b"".join(self._contexts.values())
        # A container that is not stated to be a video may turn out to hold sound alone.
        self._sniffed_video = _digest(b"sniffed video" + everything)
        self._unknown = _digest(b"unknown" + everything)

    def key(self, medium: Medium) -> bytes:
        """32 bytes. Equal for equal bytes of equal modality, whatever they are called."""
        return _digest(medium.content) + self._context(medium)

    def is_current(self, key: bytes) -> bool:
        """Whether the key could be of these encoders."""
        return key[DIGEST_BYTES:] in (*self._contexts.values(), self._sniffed_video, self._unknown)

    def _context(self, medium: Medium) -> bytes:
        if medium.modality is not None:
            return self._contexts[medium.modality]
        found = sniff(medium.content, medium.name)
        if found is None:
            return self._unknown
        return self._sniffed_video if found is Modality.VIDEO else self._contexts[found]


def _digest(content: bytes) -> bytes:
    return blake2b(content, digest_size=DIGEST_BYTES).digest()
