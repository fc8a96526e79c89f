"""The media of a batch: each fetched and encoded once, all in one call of the bank."""

import mimetypes
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol
from urllib.parse import urlsplit

import msgspec

from encoders.base import Encoded, Medium, Modality
from encoders.errors import MediumError
from encoders.fetch.request import FetchRequest


class Wanted(msgspec.Struct, frozen=True):
    """One medium to encode: a text at hand, or a URI to fetch. Equal ones are encoded once a batch."""

    text: str | None = None
    uri: str | None = None
    sha256: str | None = None
    modality: Modality | None = None


class Bank(Protocol):
    """`encoders.bank.EncoderBank`, as far as this worker needs it."""

    @property
    def version(self) -> str: ...

    def encode(self, media: Sequence[Medium]) -> list[Encoded]: ...


class MediaFetcher(Protocol):
    """`encoders.fetch.Fetcher`, as far as this worker needs it."""

    def fetch_many(
        self, requests: Sequence[FetchRequest], budget_seconds: float
    ) -> Sequence[bytes | MediumError]: ...


class MediaEncoder:
    """Fetches and encodes what a batch wants, within `budget_seconds` of fetching."""

    def __init__(self, bank: Bank, fetcher: MediaFetcher, budget_seconds: float) -> None:
        self._bank = bank
        self._fetcher = fetcher
        self._budget_seconds = budget_seconds

    @property
    def version(self) -> str:
        return self._bank.version

    def encode(self, wanted: Iterable[Wanted]) -> Mapping[Wanted, Encoded]:
        """What became of each. Never raises for a medium's sake."""
        each = list(dict.fromkeys(wanted))
        results: dict[Wanted, Encoded] = {}
        media: list[tuple[Wanted, Medium]] = []
        for one, content in zip(each, self._contents(each), strict=True):
            if isinstance(content, MediumError):
                results[one] = _masked(one, content)
            else:
                media.append((one, Medium(content, one.modality, one.uri or "")))
        if media:
            encoded = self._bank.encode([medium for _, medium in media])
            results.update(zip((one for one, _ in media), encoded, strict=True))
        return results

    def _contents(self, wanted: Sequence[Wanted]) -> list[bytes | MediumError]:
        remote = [one for one in wanted if one.uri is not None]
        requests = [FetchRequest(one.uri, one.sha256) for one in remote if one.uri is not None]
        fetched = self._fetcher.fetch_many(requests, self._budget_seconds) if requests else []
        by_uri = dict(zip(remote, fetched, strict=True))
        return [by_uri[one] if one.uri is not None else (one.text or "").encode() for one in wanted]


def _masked(wanted: Wanted, error: MediumError) -> Encoded:
    modality = wanted.modality or guess_modality(wanted.uri or "")
    if modality is None:
        return Encoded()
    return Encoded(masked={modality: error.reason}, details={modality: error.detail})


def guess_modality(uri: str) -> Modality | None:
    """The modality that a URI's media type or file name speaks of, or none."""
    scheme, _, rest = uri.partition(":")
    if scheme.lower() == "data":
        kind = rest[:100].partition(",")[0].partition(";")[0] or "text/plain"
    else:
        try:
            kind = mimetypes.guess_type(urlsplit(uri).path)[0] or ""
        except ValueError:
            return None
    try:
        return Modality(kind.partition("/")[0].lower())
    except ValueError:
        return None
