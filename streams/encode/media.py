"""The media of a batch: each fetched and encoded once, all in one call of the bank."""

import mimetypes
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import urlsplit

import msgspec

from encoders.base import Encoded, Medium, Modality
from encoders.errors import MediumError
from encoders.fetch.request import FetchRequest
from encoders.known_media import KnownMedia, Reference, Resolved
from streams.encode.words import WordReader
from streams.metrics import FETCHES

PASSING = frozenset({"missing", "too_slow"})
"""Reasons of a failed fetch that may be gone a while later."""


SCHEMES = frozenset({"file", "https", "http", "data", "s3", "gs"})


class Wanted(msgspec.Struct, frozen=True):
    """One medium to encode: a text at hand, or a URI to fetch. Equal ones are encoded once a batch."""

    text: str | None = None
    uri: str | None = None
    sha256: str | None = None
    modality: Modality | None = None
    private: bool = False
    """Of one user, who brought it along: nothing of it is written to this worker's disk."""


@dataclass(slots=True, frozen=True)
class EncodedMedia:
    """What became of each medium, and those whose fetch may succeed later."""

    encoded: Mapping[Wanted, Encoded]
    late: frozenset[Wanted] = frozenset()
    unfetched: Mapping[Wanted, MediumError] = field(default_factory=dict)


@dataclass(slots=True)
class Found:
    """What is behind each medium: what is known of it already, or content that is still to be encoded."""

    known: dict[Wanted, Encoded]
    contents: dict[Wanted, Medium]
    unfetched: dict[Wanted, MediumError]

    def __contains__(self, one: object) -> bool:
        return one in self.known or one in self.contents

    def update(self, more: "Found") -> None:
        """Takes in what was found besides."""
        self.known.update(more.known)
        self.contents.update(more.contents)
        self.unfetched.update(more.unfetched)

    def only(self, wanted: Iterable[Wanted]) -> "Found":
        """What of it is about these, in their order."""
        each = list(wanted)
        return Found(
            {one: self.known[one] for one in each if one in self.known},
            {one: self.contents[one] for one in each if one in self.contents},
            {one: self.unfetched[one] for one in each if one in self.unfetched},
        )

    @property
    def late(self) -> frozenset[Wanted]:
        return frozenset(one for one, error in self.unfetched.items() if error.reason in PASSING)


class Bank(Protocol):
    """`encoders.bank.EncoderBank`, as far as this worker needs it."""

    @property
    def version(self) -> str: ...

    def encode(self, media: Sequence[Medium]) -> list[Encoded]: ...


class MediaFetcher(Protocol):
    """`encoders.fetch.Fetcher`, as far as this worker needs it."""

    def fetch_many(
        self, references: Sequence[FetchRequest], budget_seconds: float, anew: bool = False
    ) -> Sequence[bytes | MediumError]: ...


class MediaEncoder:
    """Fetches and encodes what a batch wants, within `budget_seconds` of fetching. Any thread may call it.

    With `known`, what is behind a reference is fetched only where no vectors of it are at hand.
    """

    def __init__(
        self,
        bank: Bank,
        fetcher: MediaFetcher,
        budget_seconds: float,
        known: KnownMedia | None = None,
        words: WordReader | None = None,
    ) -> None:
        self._bank = bank
        self._fetcher = fetcher
        self._budget_seconds = budget_seconds
        self._known = known
        self.words = WordReader() if words is None else words

    @property
    def version(self) -> str:
        return self._bank.version

    def encode(
        self, wanted: Iterable[Wanted], budget_seconds: float | None = None, anew: bool = False
    ) -> EncodedMedia:
        """Never raises for a medium's sake. Raises EncodersError for what concerns all.

        What could not be fetched a moment ago is not tried, unless `anew`.
        """
        return self.encode_found(self.find(wanted, budget_seconds, anew))

    def find(
        self, wanted: Iterable[Wanted], budget_seconds: float | None = None, anew: bool = False
    ) -> Found:
        """The first half of `encode`, which fetches; it may run beside the second half of another batch."""
        each = list(dict.fromkeys(wanted))
        known: dict[Wanted, Encoded] = {}
        unfetched: dict[Wanted, MediumError] = {}
        contents: dict[Wanted, Medium] = {}
        budget = self._budget_seconds if budget_seconds is None else budget_seconds
        for one, found in zip(each, self._found(each, budget, anew), strict=True):
            if isinstance(found, Medium):
                contents[one] = found
            elif isinstance(found, Encoded):
                known[one] = found
            else:
                known[one] = _masked(one, found)
                unfetched[one] = found
        return Found(known, contents, unfetched)

    def encode_found(self, found: Found) -> EncodedMedia:
        """The second half of `encode`."""
        encoded = self._bank.encode(list(found.contents.values())) if found.contents else []
        made = dict(zip(found.contents, encoded, strict=True))
        return EncodedMedia(found.known | made, found.late, found.unfetched)

    def _found(
        self, wanted: Sequence[Wanted], budget_seconds: float, anew: bool
    ) -> list[Encoded | Medium | MediumError]:
        remote = {
            one: Reference(one.uri, one.sha256, one.modality, one.private)
            for one in wanted
            if one.uri is not None
        }
        resolved = self._resolved(list(remote.values()), budget_seconds, anew) if remote else []
        found = dict(zip(remote, resolved, strict=True))
        for one, each in found.items():
            FETCHES.labels(_scheme(one.uri or ""), each.outcome).inc()
        return [
            _owned(one, found[one].found)
            if one in found
            else Medium((one.text or "").encode(), one.modality, private=one.private)
            for one in wanted
        ]

    def _resolved(
        self, references: Sequence[Reference], budget_seconds: float, anew: bool
    ) -> Sequence[Resolved]:
        if self._known is not None:
            return self._known.resolve(references, budget_seconds, anew)
        requests = [FetchRequest(one.uri, one.sha256) for one in references]
        contents = self._fetcher.fetch_many(requests, budget_seconds, anew)
        return [
            Resolved(content.reason, content)
            if isinstance(content, MediumError)
            else Resolved("fetched", Medium(content, one.modality, one.uri))
            for one, content in zip(references, contents, strict=True)
        ]


def guess_modality(uri: str) -> Modality | None:
    """The modality that a URI's media type or file name speaks of, or none."""
    scheme, _, rest = uri.partition(":")
    try:
        if scheme.lower() == "data":
            kind = rest[:100].partition(",")[0].partition(";")[0] or "text/plain"
        else:
            kind = mimetypes.guess_type(urlsplit(uri).path)[0] or ""
        return Modality(kind.partition("/")[0].lower())
    except ValueError:
        return None


def _owned(wanted: Wanted, found: Encoded | Medium | MediumError) -> Encoded | Medium | MediumError:
    if wanted.private and isinstance(found, Medium):
        return msgspec.structs.replace(found, private=True)
    return found


def _scheme(uri: str) -> str:
    """The scheme where it is one of the known, so that no input makes labels without end."""
    scheme = uri.partition(":")[0].lower()
    return scheme if scheme in SCHEMES else "other"


def _masked(wanted: Wanted, error: MediumError) -> Encoded:
    modality = wanted.modality or guess_modality(wanted.uri or "")
    if modality is None:
        return Encoded()
    return Encoded(masked={modality: error.reason}, details={modality: error.detail})
