"""Interests in, descriptions out: who has changed enough waits for a turn, and is written of beside the loop.

The offsets that are committed stop before the latest record of everyone who still waits, so that a worker
that starts again reads it once more. What was said last lies in `interest-descriptions` itself.
"""

import logging
import time
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass, field

from encoders.language.base import Description, Request
from state.errors import UNREADABLE, StateError
from streams.describe.budget import Budget
from streams.describe.cache import DescriptionCache
from streams.describe.drift import Glimpse, drift, glimpses
from streams.describe.memory import Memory
from streams.describe.recall import Recall
from streams.describe.scribe import Answers, Scribe
from streams.describe.stage import STAGE, Draft, Drafter, encoded, record_of
from streams.describe.states import Held, StateCopies
from streams.describe.waiting import Entry, Waiting
from streams.encode.loop import COVER_SECONDS
from streams.encode.relay import Relay
from streams.encode.sink import TransactionalSink
from streams.encode.source import RawSource
from streams.errors import EngineError
from streams.kafka import Producer
from streams.metrics import DESCRIBED, EVENTS, QUEUE_DEPTH, REJECTED
from streams.raw import RawRecord
from streams.settings import Settings

BATCH_RECORDS = 500
RETRY_MS = 250
"""A state that its copy does not have yet is looked for again after so long."""
MISSING_TRIES = 2_400
FAILED_TRIES = 5
PASSING = ("", "ungrounded")
"""Why a template's text may be used for others, too: the model was asked, or is not to be."""

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Outcome:
    """What one transaction writes: descriptions, and nulls for users who are forgotten."""

    drafts: list[tuple[Draft, bytes]] = field(default_factory=list)
    gone: list[tuple[int, bytes]] = field(default_factory=list)


@dataclass(slots=True)
class _Flight:
    """Drafts that are being written."""

    drafts: list[Draft]
    void: set[bytes] = field(default_factory=set)
    """Users who must not be described any more."""


@dataclass(slots=True, frozen=True)
class Tools:
    """What the loop works with. `clock_ms` tells epoch milliseconds."""

    drafter: Drafter
    states: StateCopies
    recall: Recall
    scribe: Scribe
    shelf_ready: Callable[[], bool]
    state_partitions: int
    """Of the changelog."""
    clock_ms: Callable[[], int] = lambda: int(time.time() * 1000)


class DescribeLoop(Relay[Outcome]):
    """One step: read, take in what was written, begin to write of those whose turn it is."""

    def __init__(self, settings: Settings, source: RawSource, sink: TransactionalSink, tools: Tools) -> None:
        super().__init__(STAGE, source, sink, BATCH_RECORDS)
        self._settings = settings.describe
        self._topics = settings.topics
        self._tools = tools
        self._waiting = Waiting()
        self._memory: dict[int, Memory] = {}
        self._homes: dict[int, set[int]] = {}
        self._read_to: dict[int, int] = {}
        self._early: set[int] = set()
        """Partitions of which records came before it was known what their users were described as."""
        self._gone: dict[bytes, tuple[int, int]] = {}
        """Users who are forgotten, by partition and offset, and whose description must still go."""
        self._flight: _Flight | None = None
        self._cache = DescriptionCache(self._settings.cached)
        now = time.monotonic()
        self._count = Budget(self._settings.per_minute, now)
        self._characters = Budget(self._settings.characters_per_minute, now)
        self._commits_at = 0.0

    def ready(self) -> bool:
        """Whether all users of this worker's partitions can be described."""
        numbers = {number for _, number in self.source.positions}
        copies = all(self._tools.states.level(home) for home in self._followed())
        return numbers <= self._memory.keys() and copies and self._tools.shelf_ready()

    def moved(self, came: Set[int], went: Set[int]) -> None:
        for number in went | came:
            self._memory.pop(number, None)
            self._read_to.pop(number, None)
            self._homes.pop(number, None)
        # Where both topics have as many partitions, users lie in those of the same number.
        self._homes.update((number, {number}) for number in came if number < self._tools.state_partitions)
        self._tools.states.follow(self._followed())
        self._waiting.forget(went | came)
        self._gone = {user: place for user, place in self._gone.items() if place[0] not in went | came}
        if self._flight is not None:
            self._flight.void.update(
                draft.entry.user for draft in self._flight.drafts if draft.entry.number in went | came
            )
        self._tools.recall.drop(went)
        self._tools.recall.ask(came)

    def step(self, beat: Callable[[], None]) -> None:
        """Raises EngineError where it cannot go on."""
        try:
            self._step(beat)
        except StateError as error:
            raise EngineError(str(error)) from error

    def _step(self, beat: Callable[[], None]) -> None:
        records = self.fresh(beat)
        self._recall(beat)
        if records:
            self._take(records)
        elif records is not None:
            self.source.check()
        self._take_in(beat)
        if self._flight is None and self._tools.shelf_ready():
            self._begin()
        if self._gone or time.monotonic() >= self._commits_at:
            self._commits_at = time.monotonic() + COVER_SECONDS / 10
            self._pass_on(Outcome(), beat)
        QUEUE_DEPTH.labels(STAGE).set(len(self._waiting))

    def turn_over(self, records: list[RawRecord]) -> Outcome:
        """Records alone write nothing: descriptions come in their own time."""
        self._take(records)
        return Outcome()

    def write(self, outcome: Outcome, client: Producer) -> None:
        topic = self._topics.interest_descriptions
        # First, since a user may have come back.
        for _, user in outcome.gone:
            self.sink.put(client, topic, key=user, value=None)
        for draft, value in outcome.drafts:
            headers = [("event_time", b"%d" % draft.told.timestamp)]
            self.sink.put(client, topic, key=draft.entry.user, value=value, headers=headers)

    def settled(self, outcome: Outcome) -> None:
        for draft, _ in outcome.drafts:
            self._remember(draft)
        for _, user in outcome.gone:
            self._gone.pop(user, None)
        EVENTS.labels(STAGE, "published").inc(len(outcome.drafts))
        EVENTS.labels(STAGE, "forgotten").inc(len(outcome.gone))

    def _recall(self, beat: Callable[[], None]) -> None:
        """Take in what is known of users; what was read before of their partitions is read once more."""
        came = self._tools.recall.take()
        self._memory.update(came)
        if self._early & came.keys():
            self._early.clear()
            self.source.rewind(beat)

    def _followed(self) -> set[int]:
        return {home for homes in self._homes.values() for home in homes if home >= 0}

    def _take(self, records: list[RawRecord]) -> None:
        now = self._tools.clock_ms()
        for record in records:
            if record.partition not in self._memory:
                self._early.add(record.partition)
                continue
            self._read_to[record.partition] = record.offset + 1
            user = record.key or b""
            if record.value is None:
                self._forget(record.partition, record.offset, user)
                continue
            try:
                glimpse = glimpses.decode(record.value)
            except UNREADABLE as error:
                where = f"{record.topic}-{record.partition}@{record.offset}"
                _log.warning("%s: not an interest: %s", where, error)
                EVENTS.labels(STAGE, "unreadable").inc()
                continue
            self._note(record, user, glimpse, now)
        EVENTS.labels(STAGE, "read").inc(len(records))
        self._tools.states.follow(self._followed())

    def _note(self, record: RawRecord, user: bytes, glimpse: Glimpse, now: int) -> None:
        self._homes.setdefault(record.partition, set()).add(glimpse.home)
        told = self._memory[record.partition].get(user)
        if not drift(glimpse, told, self._settings):
            self._waiting.drop(record.partition, user)
            return
        language = (glimpse.context or {}).get(self._settings.language_key)
        self._waiting.put(
            Entry(
                user,
                record.partition,
                record.offset,
                glimpse.version,
                glimpse.timestamp,
                glimpse.home,
                language if isinstance(language, str) else "",
                due_ms=now if told is None else told.written + round(self._settings.interval_seconds * 1000),
            )
        )

    def _forget(self, number: int, offset: int, user: bytes) -> None:
        self._waiting.drop(number, user)
        self._memory[number].drop(user)
        self._gone[user] = (number, offset)
        if self._flight is not None:
            self._flight.void.add(user)

    def _begin(self) -> None:
        """Have those written of whose turn it is, as far as the budget allows."""
        now = time.monotonic()
        limit = min(self._settings.batch, int(self._count.left(now)) if self._settings.per_minute else 2**31)
        if limit < 1 or self._characters.left(now) <= 0:
            return
        turns = self._waiting.take(self._tools.clock_ms(), limit)
        held = self._tools.states.read([(entry.home, entry.user) for entry in turns])
        entries = self._present(turns, held)
        drafts = self._tools.drafter.drafts(entries, held, self._tools.scribe.name, self._tools.clock_ms())
        wanted = [draft for draft in drafts if self._is_level(draft) and self._differs(draft)]
        if wanted:
            self._count.spend(len(wanted))
            self._characters.spend(sum(draft.characters for draft in wanted))
            self._flight = _Flight(wanted)
            self._tools.scribe.submit(self._unknown(wanted))

    def _present(self, entries: list[Entry], held: Mapping[bytes, Held]) -> list[Entry]:
        """Those of whom there is news, and a state: who has news alone waits for it."""
        found = []
        for entry in entries:
            told = self._memory[entry.number].get(entry.user)
            if told is not None and entry.version <= told.version and entry.timestamp <= told.timestamp:
                continue
            if entry.user in held and self._tools.states.level(entry.home):
                found.append(entry)
            else:
                self._wait(entry)
        return found

    def _is_level(self, draft: Draft) -> bool:
        """Whether the state is not of before the record that was read; else the user waits for it.

        By time, too: a user who was forgotten, and came back, has low versions again.
        """
        entry = draft.entry
        if draft.told.version >= entry.version and draft.told.timestamp >= entry.timestamp:
            return True
        self._wait(entry)
        return False

    def _wait(self, entry: Entry) -> None:
        """For a state that the copy of the changelog does not have yet."""
        entry.tries += 1
        if entry.tries <= MISSING_TRIES:
            self._waiting.again(entry, self._tools.clock_ms() + RETRY_MS)
            return
        _log.warning("a state is not found in the changelog, and its user is not described")
        DESCRIBED.labels("no_state", "", "").inc()

    def _differs(self, draft: Draft) -> bool:
        """Whether there is anything to say, and it was not said already; else it is remembered as said."""
        told = self._memory[draft.entry.number].get(draft.entry.user)
        if draft.request.statements and (told is None or told.digest != draft.digest):
            return True
        outcome = "unchanged" if draft.request.statements else "nothing"
        DESCRIBED.labels(outcome, "", draft.told.language).inc()
        self._remember(draft)
        return False

    def _unknown(self, drafts: list[Draft]) -> list[Request]:
        """One request for each digest that is not in the cache."""
        requests = {draft.digest: draft.request for draft in drafts if self._cache.get(draft.digest) is None}
        return list(requests.values())

    def _take_in(self, beat: Callable[[], None]) -> None:
        flight = self._flight
        answers = None if flight is None else self._tools.scribe.poll()
        if flight is None or answers is None:
            return
        self._flight = None
        said = self._said(flight.drafts, answers)
        there = self._tools.states.read([(draft.entry.home, draft.entry.user) for draft in flight.drafts])
        outcome = Outcome()
        for draft in flight.drafts:
            if draft.entry.user in flight.void or draft.entry.user not in there:
                DESCRIBED.labels("void", "", draft.told.language).inc()
                continue
            description = said.get(draft.digest)
            if description is None:
                self._try_again(draft)
            elif description.sentences:
                self._tell(draft, description)
                outcome.drafts.append((draft, encoded(record_of(draft, description))))
            else:
                DESCRIBED.labels("nothing", description.model, description.language).inc()
                self._remember(draft)
        if outcome.drafts and not self._pass_on(outcome, beat):
            for draft, _ in outcome.drafts:
                self._waiting.again(draft.entry, self._tools.clock_ms())

    def _said(self, drafts: list[Draft], answers: Answers) -> Mapping[bytes, Description]:
        """Descriptions by digest, of the cache and of the answers."""
        asked = {draft.digest: draft for draft in drafts if self._cache.get(draft.digest) is None}
        said = {
            draft.digest: found for draft in drafts if (found := self._cache.get(draft.digest)) is not None
        }
        for digest, answer in zip(asked, answers, strict=True):
            if isinstance(answer, Description):
                said[digest] = answer
                self._characters.spend(len(answer.summary))
                if answer.fallback in PASSING:
                    self._cache.put(digest, answer)
                for each in answer.rejected:
                    REJECTED.labels(each.reason).inc()
            else:
                _log.warning("no description: %s", answer)
        return said

    def _try_again(self, draft: Draft) -> None:
        entry = draft.entry
        entry.failures += 1
        DESCRIBED.labels("failed", "", draft.told.language).inc()
        if entry.failures <= FAILED_TRIES:
            wait = round(self._settings.interval_seconds * 1000)
            self._waiting.again(entry, self._tools.clock_ms() + max(RETRY_MS, wait))

    def _tell(self, draft: Draft, description: Description) -> None:
        outcome = "written" if not description.fallback else f"fallback_{description.fallback}"
        DESCRIBED.labels(outcome, description.model, description.language).inc()

    def _remember(self, draft: Draft) -> None:
        memory = self._memory.get(draft.entry.number)
        if memory is not None:
            memory.put(draft.entry.user, draft.told)

    def _pass_on(self, outcome: Outcome, beat: Callable[[], None]) -> bool:
        """Commit what is to be written with the offsets that are done with; False where that failed."""
        outcome.gone = [(number, user) for user, (number, _) in self._gone.items()]
        ends = self._ends(outcome)
        if not (ends or outcome.drafts or outcome.gone):
            return True
        self.source.confirm(self.source.ask(), beat)
        if not self.commit(outcome, ends, beat):
            return False
        self.settled(outcome)
        return True

    def _ends(self, outcome: Outcome) -> dict[tuple[str, int], int]:
        """Offsets behind all that is done with once the outcome is written."""
        waiting = self._waiting.first_offsets()
        for draft in self._flight.drafts if self._flight is not None else ():
            entry = draft.entry
            waiting[entry.number] = min(waiting.get(entry.number, entry.offset), entry.offset)
        ends = dict(self.source.passed())
        for (topic, number), position in self.source.positions.items():
            done = ends.get((topic, number), self._read_to.get(number, position))
            ends[topic, number] = min(done, waiting.get(number, done))
        # Offsets of what is written go along even where they are the same: the group's coordinator refuses
        # them from who has lost the partition.
        numbers = {draft.entry.number for draft, _ in outcome.drafts} | {number for number, _ in outcome.gone}
        return {
            place: end
            for place, end in ends.items()
            if end > self.source.positions.get(place, end) or place[1] in numbers
        }
