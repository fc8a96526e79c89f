"""From states to requests, and from descriptions to records: plain functions, no Kafka and no clock."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, tzinfo
from zoneinfo import ZoneInfo

import msgspec

from encoders.language.base import Description, Request, Statement
from encoders.language.sanitising import prepared
from state.facts import Facts, Shelf, read_facts
from state.fusion import Fusion
from streams.describe.drift import Told, leading, packed
from streams.describe.statements import digest_of, language_of, statements_of
from streams.describe.states import Held
from streams.describe.waiting import Entry
from streams.interests.numerals import DECIMALS
from streams.records import DescriptionFact, DescriptionSentence, InterestDescription
from streams.settings import Settings

STAGE = "describe"
_json = msgspec.json.Encoder()


@dataclass(frozen=True, slots=True)
class Draft:
    """One user's description as it comes about."""

    entry: Entry
    request: Request
    digest: bytes
    told: Told
    """What is remembered once it is done; `written` is when it was begun."""
    vector: tuple[float, ...]

    @property
    def characters(self) -> int:
        """Of the facts, about."""
        statements = self.request.statements
        return sum(len(each.text) + sum(map(len, each.detail)) for each in statements)


class Drafter:
    """Makes drafts of users, given their states."""

    def __init__(self, fusion: Fusion, shelf: Shelf, settings: Settings) -> None:
        self._fusion = fusion
        self._shelf = shelf
        self._languages = settings.language.languages
        self._zone = zone_of(settings)

    def facts(self, held: Sequence[Held]) -> list[Facts]:
        """Raises StateError."""
        return read_facts(self._fusion, held, self._shelf, self._zone)

    def drafts(
        self, entries: Sequence[Entry], held: Mapping[bytes, Held], writer: str, now_ms: int
    ) -> list[Draft]:
        """One for each entry, all of which are held. `writer` names who will write. Raises StateError."""
        records = [held[entry.user] for entry in entries]
        if not records:
            return []
        vectors = self._fusion.read([state for state, _ in records]).interest.tolist()
        return [
            self._draft(entry, facts, (vector, writer, now_ms))
            for entry, facts, vector in zip(entries, self.facts(records), vectors, strict=True)
        ]

    def _draft(self, entry: Entry, facts: Facts, made: tuple[list[float], str, int]) -> Draft:
        vector, writer, now_ms = made
        language = language_of(facts, entry.language, self._languages)
        # What goes out as a cited fact is as clean as what a model is given.
        request = prepared(Request(entry.user.decode(), language, statements_of(facts)))
        digest = digest_of(request, writer)
        told = Told(
            version=facts.version,
            timestamp=facts.time,
            written=now_ms,
            model=self._fusion.artifact.version,
            language=language,
            digest=digest,
            vector=packed(vector),
            topics=leading({topic.name: topic.share for topic in facts.topics}),
        )
        return Draft(entry, request, digest, told, tuple(round(number, DECIMALS) for number in vector))


def record_of(draft: Draft, description: Description) -> InterestDescription:
    """The public record."""
    told = draft.told
    cited = dict.fromkeys(name for sentence in description.sentences for name in sentence.cites)
    by_id = {statement.id: statement for statement in draft.request.statements}
    return InterestDescription(
        user_id=draft.request.user,
        version=told.version,
        timestamp=told.timestamp,
        written=told.written,
        language=description.language,
        model=description.model,
        summary=description.summary,
        sentences=[DescriptionSentence(each.text, list(each.cites)) for each in description.sentences],
        keywords=list(description.keywords),
        tags=list(description.tags),
        facts=[_fact(by_id[name]) for name in cited if name in by_id],
        interest_model=told.model,
        vector=list(draft.vector),
        topics=list(told.topics),
        digest=told.digest.hex(),
        rejected=dict(Counter(each.reason for each in description.rejected)),
    )


def encoded(record: InterestDescription) -> bytes:
    return _json.encode(record)


def told_of(record: InterestDescription) -> Told:
    """What is remembered of a record that was read back."""
    return Told(
        version=record.version,
        timestamp=record.timestamp,
        written=record.written,
        model=record.interest_model,
        language=record.language,
        digest=bytes.fromhex(record.digest),
        vector=packed(record.vector),
        topics=tuple(record.topics),
    )


def zone_of(settings: Settings) -> tzinfo:
    """The time zone of `describe.time_zone`."""
    name = settings.describe.time_zone
    return UTC if name == "UTC" else ZoneInfo(name)


def _fact(statement: Statement) -> DescriptionFact:
    return DescriptionFact(
        statement.id,
        statement.kind.value,
        statement.text,
        list(statement.detail),
        statement.weight,
        statement.trend.value,
        statement.scale.value,
    )
