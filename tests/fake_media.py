"""Stand-ins for the bank of encoders and the fetcher: quick, deterministic, and odd where a test asks."""

import hashlib
from collections.abc import Sequence

import numpy as np

from encoders.base import SHARED_DIM, Encoded, Float32, Medium, Modality
from encoders.describe.description import Description, Kind
from encoders.errors import MediumError
from encoders.fetch.request import FetchRequest
from streams.encode.media import MediaEncoder


def fake_vector(content: bytes) -> Float32:
    """A unit vector that the content alone decides."""
    seed = int.from_bytes(hashlib.sha256(content).digest()[:8], "big")
    vector = np.random.default_rng(seed).normal(size=SHARED_DIM).astype(np.float32)
    return np.asarray(vector / np.linalg.norm(vector), dtype=np.float32)


class FakeBank:
    """Content that begins with `fatal` or `broken` is that; a video has a sound track."""

    version = "fake-1"

    def __init__(self) -> None:
        self.batches: list[list[bytes]] = []

    def encode(self, media: Sequence[Medium]) -> list[Encoded]:
        self.batches.append([medium.content for medium in media])
        return [self._one(medium) for medium in media]

    @staticmethod
    def _one(medium: Medium) -> Encoded:
        modality = medium.modality or Modality.IMAGE
        if medium.content.startswith(b"fatal"):
            return Encoded(fatal="the decoder ended three times")
        if medium.content.startswith(b"broken"):
            return Encoded(masked={modality: "broken"}, details={modality: "no such format"})
        vectors = {modality: fake_vector(medium.content)}
        if modality is Modality.VIDEO:
            vectors[Modality.AUDIO] = fake_vector(b"sound of " + medium.content)
        return Encoded(vectors=vectors, descriptions=(Description(Kind.SEEN, f"{modality}-label", 1.0),))


class FakeFetcher:
    """Serves `https://media.test/<content>`; `https://media.test/!<reason>` fails with that reason."""

    def __init__(self) -> None:
        self.asked: list[FetchRequest] = []

    def fetch_many(
        self, requests: Sequence[FetchRequest], budget_seconds: float, anew: bool = False
    ) -> list[bytes | MediumError]:
        self.asked.extend(requests)
        return [self._one(request.uri.rpartition("/")[2]) for request in requests]

    @staticmethod
    def _one(name: str) -> bytes | MediumError:
        return MediumError(name[1:], "as the test asked") if name.startswith("!") else name.encode()


def fake_media() -> MediaEncoder:
    return MediaEncoder(FakeBank(), FakeFetcher(), 1.0)
