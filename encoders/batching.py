"""Decoded media before the encoders: they wait by modality until a batch is full, or an encoder is idle."""

import math
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from encoders.base import MODALITIES, Modality
from encoders.media.decoded import FRAME_SIDE, IMAGE_SIDE, SOUND_RATE, Decoded

Batch = dict[bytes, Decoded]


class Limit(NamedTuple):
    """What one batch may hold: so many media, and so much of what they cost."""

    media: int
    cost: float


CHARACTERS = 20_000
"""Enough texts that those of like length find each other."""

ON_CPU: Mapping[Modality, Limit] = {
    Modality.TEXT: Limit(256, CHARACTERS),
    Modality.IMAGE: Limit(8, 8 * IMAGE_SIDE**2),
    Modality.AUDIO: Limit(8, 20.0),
    Modality.VIDEO: Limit(8, 8 * FRAME_SIDE**2),
}
"""Wider batches gain nothing on a CPU; narrow ones let the encoder begin while others are still decoded."""

ON_DEVICE: Mapping[Modality, Limit] = {
    Modality.TEXT: Limit(1024, 16 * CHARACTERS),
    Modality.IMAGE: Limit(128, 128 * IMAGE_SIDE**2),
    Modality.AUDIO: Limit(128, 300.0),
    Modality.VIDEO: Limit(32, 128 * FRAME_SIDE**2),
}


def cost(decoded: Decoded) -> float:
    """Characters of a text, pixels of an image or of key frames, seconds of a sound."""
    if decoded.text is not None:
        return len(decoded.text)
    if decoded.image is not None:
        return float(math.prod(decoded.image.shape[:2]))
    if decoded.frames is not None:
        return float(math.prod(decoded.frames.shape[:3]))
    return 0.0 if decoded.sound is None else len(decoded.sound) / SOUND_RATE


class Queues:
    """One queue for each modality. None holds more than a batch and the medium that made it full."""

    def __init__(self, limits: Mapping[Modality, Limit]) -> None:
        self._limits = limits
        self._waiting: dict[Modality, Batch] = {}
        self._costs: dict[Modality, float] = {}

    def add(self, key: bytes, decoded: Decoded) -> Batch | None:
        """Takes a medium. Gives the batch that is full with it, which waits no more."""
        modality = decoded.modality
        batch = self._waiting.setdefault(modality, {})
        batch[key] = decoded
        self._costs[modality] = self._costs.get(modality, 0.0) + cost(decoded)
        limit = self._limits[modality]
        is_full = len(batch) >= limit.media or self._costs[modality] >= limit.cost
        return self._take(modality) if is_full else None

    def fullest(self) -> Batch | None:
        """The batch that has come furthest; none where nothing waits."""
        if not self._waiting:
            return None
        shares = {each: self._costs[each] / self._limits[each].cost for each in self._waiting}
        return self._take(max(shares, key=shares.__getitem__))

    def rest(self) -> Iterator[Batch]:
        """All that waits, in batches of one modality."""
        for modality in MODALITIES:
            if modality in self._waiting:
                yield self._take(modality)

    def _take(self, modality: Modality) -> Batch:
        del self._costs[modality]
        return self._waiting.pop(modality)
