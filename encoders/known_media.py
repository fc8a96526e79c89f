"""The vector cache's front: references whose content is known already need no download.

Per reference it keeps the bank's key of the content, the validators that its source gave, and until when
nobody need ask. Only the bank knows whether vectors for that key are at hand, and whether its encoders still
are those that the key was made for; an entry of the front promises nothing.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from threading import Lock
from typing import NamedTuple, Protocol

import msgspec

from encoders.base import Encoded, Medium, Modality
from encoders.entries import Entries
from encoders.errors import MediumError
from encoders.fetch.request import Answer, FetchRequest, Validators
from encoders.remembered import MOST

PREFIX = b"reference:"
"""Before the digest: no key of the bank is so long."""


class Reference(msgspec.Struct, frozen=True):
    """A reference, and what is said to be behind it."""

    uri: str
    sha256: str | None = None
    modality: Modality | None = None
    private: bool = False
    """Of one person: what its source said is kept in memory, and on no disk."""


class Bank(Protocol):
    """What is needed of `encoders.bank.EncoderBank`."""

    def key(self, medium: Medium) -> bytes: ...

    def at_hand(self, keys: Sequence[bytes]) -> dict[bytes, Encoded]: ...


class AnsweringFetcher(Protocol):
    """What is needed of `encoders.fetch.Fetcher`."""

    def allows(self, uri: str) -> bool: ...

    def answers(
        self, references: Sequence[FetchRequest], budget_seconds: float, anew: bool = False
    ) -> Sequence[Answer | MediumError]: ...


class Store(Protocol):
    """What is needed of `encoders.vector_cache.VectorCache`."""

    def get_many(self, keys: Sequence[bytes]) -> Sequence[bytes | None]: ...

    def put_many(self, values: Mapping[bytes, bytes]) -> None: ...


class Resolved(NamedTuple):
    """What became of a reference, and how: `fresh`, `unchanged`, `stale`, `fetched`, or an error's reason."""

    outcome: str
    found: Encoded | Medium | MediumError


class _Entry(msgspec.Struct, frozen=True, array_like=True):
    key: bytes
    validators: Validators
    fresh_until: float
    """Seconds since the epoch."""


_ENTRIES = Entries(_Entry)


class KnownMedia:
    """Resolves references to vectors that are at hand, else to content. Any thread may call it."""

    def __init__(
        self, bank: Bank, fetcher: AnsweringFetcher, store: Store, clock: Callable[[], float] = time.time
    ) -> None:
        self._bank = bank
        self._fetcher = fetcher
        self._store = store
        self._clock = clock
        self._own = _Own()

    def resolve(
        self, references: Sequence[Reference], budget_seconds: float, anew: bool = False
    ) -> list[Resolved]:
        """What each reference names, in their order, within the budget.

        Asked of nobody is what is at hand and fresh, or verified by its SHA-256; of the rest the source says
        whether it changed. Where the source does not answer in time, what is at hand stands in.
        """
        known, at_hand = self._known(references)
        resolved = [self._fresh(one, known.get(one), at_hand) for one in references]
        asked = [one for one, found in zip(references, resolved, strict=True) if found is None]
        requests = [self._request(one, known.get(one)) for one in asked]
        answers = self._fetcher.answers(requests, budget_seconds, anew) if asked else []
        outcomes = {
            one: _outcome(one, answer, known.get(one), at_hand)
            for one, answer in zip(asked, answers, strict=True)
        }
        self._keep(dict(zip(asked, answers, strict=True)), outcomes, known)
        return [
            outcomes[one] if found is None else found for one, found in zip(references, resolved, strict=True)
        ]

    def _known(self, references: Sequence[Reference]) -> tuple[dict[Reference, _Entry], dict[bytes, Encoded]]:
        """Entries whose vectors are at hand, and the vectors by their keys."""
        keys = [_front_key(one) for one in references]
        found = self._own.over(keys, self._store.get_many(keys))
        entries = {one: _ENTRIES.unpack(content) for one, content in zip(references, found, strict=True)}
        at_hand = self._bank.at_hand([entry.key for entry in entries.values() if entry is not None])
        return (
            {one: entry for one, entry in entries.items() if entry is not None and entry.key in at_hand},
            at_hand,
        )

    def _fresh(
        self, reference: Reference, entry: _Entry | None, at_hand: Mapping[bytes, Encoded]
    ) -> Resolved | None:
        if entry is None or not self._fetcher.allows(reference.uri):
            return None
        if reference.sha256 is None and self._clock() >= entry.fresh_until:
            return None
        return Resolved("fresh", at_hand[entry.key])

    @staticmethod
    def _request(reference: Reference, entry: _Entry | None) -> FetchRequest:
        validators = entry.validators if entry is not None and entry.validators else None
        return FetchRequest(reference.uri, reference.sha256, validators)

    def _keep(
        self,
        answers: Mapping[Reference, Answer | MediumError],
        outcomes: Mapping[Reference, Resolved],
        known: Mapping[Reference, _Entry],
    ) -> None:
        fresh: dict[bytes, bytes] = {}
        own: dict[bytes, bytes] = {}
        now = self._clock()
        for one, answer in answers.items():
            if isinstance(answer, MediumError):
                continue
            found = outcomes[one].found
            key = self._bank.key(found) if isinstance(found, Medium) else known[one].key
            if answer.validators or answer.fresh_seconds or one.sha256:
                entry = _Entry(key, answer.validators, now + answer.fresh_seconds)
                (own if one.private else fresh)[_front_key(one)] = _ENTRIES.pack(entry)
        self._store.put_many(fresh)
        self._own.put_many(own)


class _Own:
    """Entries that go to no disk; those go first that were put longest ago."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._entries: OrderedDict[bytes, bytes] = OrderedDict()
        self._lock = Lock()

    def over(self, keys: Sequence[bytes], found: Sequence[bytes | None]) -> list[bytes | None]:
        """What was found, but where there is an entry here."""
        with self._lock:
            return [self._entries.get(key, other) for key, other in zip(keys, found, strict=True)]

    def put_many(self, entries: Mapping[bytes, bytes]) -> None:
        with self._lock:
            for key, entry in entries.items():
                self._entries.pop(key, None)
                self._entries[key] = entry
            while len(self._entries) > self._most:
                self._entries.popitem(last=False)


def _outcome(
    reference: Reference,
    answer: Answer | MediumError,
    entry: _Entry | None,
    at_hand: Mapping[bytes, Encoded],
) -> Resolved:
    if isinstance(answer, MediumError):
        if answer.reason == "too_slow" and entry is not None:
            return Resolved("stale", at_hand[entry.key])
        return Resolved(answer.reason, answer)
    if answer.content is None and entry is not None:
        return Resolved("unchanged", at_hand[entry.key])
    return Resolved("fetched", Medium(answer.content or b"", reference.modality, reference.uri))


def _front_key(reference: Reference) -> bytes:
    said = msgspec.json.encode((reference.uri, reference.sha256, reference.modality))
    return PREFIX + blake2b(said, digest_size=32).digest()
