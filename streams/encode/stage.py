"""The encode stage: records in, what must be written out. No Kafka client and no clock of its own in here."""

import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache, partial
from itertools import islice
from typing import NamedTuple

import msgspec

from encoders.base import MODALITIES, Encoded
from state.events import Row
from state.items import EncodedItem
from streams.dead_letters import DeadLetter, set_aside
from streams.encode.ahead import FetchAhead
from streams.encode.drafts import (
    Draft,
    Missing,
    Plan,
    amend,
    compose,
    draft_event,
    joined_topics,
    plain_row,
    plan_event,
    with_late,
)
from streams.encode.item_view import ItemView, KnownItem, Overlay, known
from streams.encode.items import ItemPlan, encode_item, plan_item, withdraw
from streams.encode.late_items import LateItem, LateItems, late_item
from streams.encode.media import EncodedMedia, MediaEncoder, Wanted
from streams.encode.packs import MAX_PACK_BYTES, NO_RANGE, Border, cut_packs, encode_pack
from streams.encode.parsing import NewItem, Withdrawal, parse_interaction, parse_item
from streams.encode.pending import PendingEvents, Waiting
from streams.encode.user_commands import command_row
from streams.encode.words import Words
from streams.errors import RecordError
from streams.metrics import CACHE, CLAMPED, DEAD_LETTERS, EVENTS, MASKED
from streams.partitioning import partition_of
from streams.raw import RawRecord
from streams.settings import Settings

STAGE = "encode"

Step = Plan | ItemPlan | Withdrawal | Row

_log = logging.getLogger(__name__)
_encoder = msgspec.msgpack.Encoder()


@dataclass(slots=True)
class Outcome:
    """What a batch writes, and what holds once that is committed."""

    taken: int = 0
    """How many of the records this is about: the first ones."""
    packs: list[tuple[int, bytes]] = field(default_factory=list)
    """Partition and value, for `interactions.encoded`."""
    items: list[tuple[bytes, bytes | None]] = field(default_factory=list)
    """Key and value, for `items.encoded`."""
    dead_letters: list[DeadLetter] = field(default_factory=list)
    fetched: int = 0
    """How many different media had to be fetched."""
    fresh: list[KnownItem] = field(default_factory=list)
    remembered: list[tuple[Draft, set[Missing]]] = field(default_factory=list)
    amended: list[tuple[Waiting, Draft, set[Missing]]] = field(default_factory=list)
    late: set[Wanted] = field(default_factory=set)
    """Media of remembered events and items that may still come."""
    late_items: dict[str, LateItem | None] = field(default_factory=dict)
    """By id: items with late media; none for an item that is complete, or withdrawn."""
    renewed: set[int] = field(default_factory=set)
    """Partitions of `items` whose items were encoded again."""
    events: Counter[str] = field(default_factory=Counter)
    masked: Counter[tuple[str, str]] = field(default_factory=Counter)
    cache: Counter[str] = field(default_factory=Counter)
    clamped: int = 0


@dataclass(slots=True, frozen=True)
class News:
    """What came from elsewhere since the last batch, and events may wait for."""

    items: frozenset[str] = frozenset()
    media: Mapping[Wanted, Encoded] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.items or self.media)


class Share(NamedTuple):
    """How much of the records that are at hand a batch takes at most."""

    records: int = 1_000_000
    media: int = 1_000_000
    """Different media that have to be fetched."""


@dataclass(slots=True)
class _Batch:
    """What the steps of one batch share. `rows` by partition."""

    media: EncodedMedia
    items: Overlay
    outcome: Outcome
    words: Words
    rows: dict[int, list[Row]] = field(default_factory=lambda: defaultdict(list))
    commands: dict[int, list[Row]] = field(default_factory=dict)


NO_NEWS = News()
ALL = Share()


class EncodeStage:
    """Holds what a worker knows beyond one batch: the items, and the events that wait for one."""

    def __init__(
        self, settings: Settings, media: MediaEncoder, view: ItemView, partitions: int | None = None
    ) -> None:
        """`partitions` of the packs' topic are those that there are, where that is not what is set."""
        self.view = view
        self._partitions = settings.topics.partitions if partitions is None else partitions
        self.pending = PendingEvents(settings.encode.unknown_item_seconds, settings.encode.waiting_events)
        self.late_items = LateItems()
        self._media = media
        self._ahead = FetchAhead(media)
        self._actions = settings.actions
        self._shared = settings.encode.shared_media
        self._interactions = settings.topics.keyed
        self._commands = settings.topics.user_commands

    def process(
        self,
        records: Sequence[RawRecord],
        borders: Mapping[int, Border],
        news: News = NO_NEWS,
        share: Share = ALL,
    ) -> Outcome:
        """Encode the records, in order, and correct the events that waited for the news.

        `borders` says per partition of `interactions` where its packs go on. Takes the first of the records,
        one at least and no more than its share; media of as many further ones are fetched meanwhile. Changes
        nothing here: call `settle` when the outcome is committed.
        """
        outcome = Outcome()
        steps = self._plan(records, share, outcome)
        wanted = dict.fromkeys(one for _, step in steps for one in _media_of(step))
        found = self._ahead.find(wanted)
        if outcome.taken < len(records):
            self._ahead.begin(self._coming(records[outcome.taken :], share), wanted)
        media = self._media.encode_found(found)
        outcome.cache.update("hit" if each.cached else "miss" for each in media.encoded.values())
        for one, error in media.unfetched.items():
            if not media.encoded[one].masked:
                outcome.masked["unknown", error.reason] += 1
        events = [step.event for _, step in steps if isinstance(step, Plan)]
        words = self._media.words.read(events)
        batch = _Batch(media, Overlay(self.view), outcome, words)
        self._renew(news, batch)
        for record, step in steps:
            if isinstance(step, ItemPlan | Withdrawal):
                self._guard(outcome, record, partial(self._item, step, batch))
        for record, step in steps:
            if isinstance(step, Plan):
                try:
                    self._event(step, batch)
                except Exception as error:
                    self._fail(outcome, record, error)
            elif isinstance(step, Row):
                self._command(step, batch)
        self._pack(records[: outcome.taken], borders, batch)
        self._amend(news, batch)
        return outcome

    def settle(self, outcome: Outcome) -> None:
        """The outcome is committed: from now on it holds."""
        for item in outcome.fresh:
            self.view.apply(item)
        for draft, missing in outcome.remembered:
            self.pending.remember(draft, missing)
        for waiting, draft, missing in outcome.amended:
            self.pending.settle(waiting, draft, missing)
        for item_id, late in outcome.late_items.items():
            if late is None:
                self.late_items.drop(item_id)
            else:
                self.late_items.remember(late)
        _count(outcome)

    def close(self) -> None:
        """Fetch nothing more ahead."""
        self._ahead.close()

    def waits_for(self, missing: Missing) -> bool:
        """Whether some event or item waits for it."""
        if self.pending.waits_for(missing):
            return True
        return isinstance(missing, Wanted) and self.late_items.waits_for(missing)

    def _plan(
        self, records: Sequence[RawRecord], share: Share, outcome: Outcome
    ) -> list[tuple[RawRecord, Step]]:
        steps: list[tuple[RawRecord, Step]] = []
        uris: set[Wanted] = set()
        for record in islice(records, share.records):
            step = None
            try:
                step = self._step(record)
            except Exception as error:
                self._fail(outcome, record, error)
            remote = [one for one in _media_of(step) if one.uri is not None]
            if remote and outcome.taken and len(uris.union(remote)) > share.media:
                break
            uris.update(remote)
            outcome.taken += 1
            if step is not None:
                steps.append((record, step))
        outcome.fetched = len(uris)
        return steps

    def _coming(self, records: Sequence[RawRecord], share: Share) -> Iterable[Wanted]:
        """What the next batch has to fetch, as far as its records can be read; their turn comes later."""
        coming: dict[Wanted, None] = {}
        for record in islice(records, share.records):
            # Most records bring nothing to fetch, and are not read twice.
            if record.value is None or b'"uri"' not in record.value:
                continue
            with suppress(Exception):
                coming |= dict.fromkeys(one for one in _media_of(self._step(record)) if one.uri is not None)
            if len(coming) >= share.media:
                break
        return coming

    def _step(self, record: RawRecord) -> Step:
        if record.topic == self._interactions:
            return plan_event(parse_interaction(record, self._actions), self.view, self._shared)
        if record.topic == self._commands:
            return command_row(record)
        parsed = parse_item(record)
        return plan_item(parsed) if isinstance(parsed, NewItem) else parsed

    def _item(self, step: ItemPlan | Withdrawal, batch: _Batch) -> None:
        outcome = batch.outcome
        if isinstance(step, Withdrawal):
            item = withdraw(step)
            self._put_item(item, [_encoder.encode(item), None], batch)
            outcome.late_items[item.item_id] = None
            outcome.events["withdrawn"] += 1
            return
        item = encode_item(step, batch.media, batch.items, self._media.version)
        self._put_item(item, [_encode_item(item)], batch)
        late = late_item(step, batch.media)
        outcome.late_items[item.item_id] = late
        outcome.late |= late.media.late if late is not None else frozenset()
        outcome.events["item"] += 1
        _count_masked(item.masked, outcome)

    def _put_item(self, item: EncodedItem, values: list[bytes | None], batch: _Batch) -> None:
        batch.outcome.items.extend((item.item_id.encode(), value) for value in values)
        lean = known(item)
        batch.items.add(lean)
        batch.outcome.fresh.append(lean)

    def _renew(self, news: News, batch: _Batch) -> None:
        """Items whose late media came, before the batch's own records of the same items."""
        for late in self.late_items.find(news.media):
            renewed = late.with_late(news.media)
            self._guard(batch.outcome, late.plan.new.record, partial(self._renew_item, renewed, batch))

    def _renew_item(self, late: LateItem, batch: _Batch) -> None:
        item = encode_item(late.plan, late.media, batch.items, self._media.version)
        self._put_item(item, [_encode_item(item)], batch)
        batch.outcome.late_items[late.item_id] = late if late.media.late else None
        batch.outcome.renewed.add(late.partition)
        batch.outcome.events["renewed"] += 1

    def _event(self, plan: Plan, batch: _Batch) -> None:
        outcome = batch.outcome
        row = plain_row(plan, batch.items)
        if row is None:
            draft = draft_event(plan, batch.media)
            draft.row.sentiment = batch.words.sentiment_of(plan.event)
            draft.about = batch.words.topics_of(plan.event)
            row, missing = compose(draft, batch.items)
            if missing:
                outcome.remembered.append((draft, missing))
                outcome.late |= draft.late
        elif plan.event.interaction.text is not None:
            row.sentiment = batch.words.sentiment_of(plan.event)
            row.topics = joined_topics(row.topics, batch.words.topics_of(plan.event))
        batch.rows[plan.event.record.partition].append(row)
        outcome.clamped += plan.event.clamped
        outcome.events["encoded" if row.vectors else "empty"] += 1
        _count_masked(row.masked, outcome)

    def _command(self, row: Row, batch: _Batch) -> None:
        """It goes where the user's state is, wherever it came from."""
        number = partition_of(row.user_id.encode(), self._partitions)
        batch.commands.setdefault(number, []).append(row)
        batch.outcome.events["command"] += 1

    def _pack(self, records: Iterable[RawRecord], borders: Mapping[int, Border], batch: _Batch) -> None:
        ends = {r.partition: r.offset + 1 for r in records if r.topic == self._interactions}
        for partition, end in ends.items():
            for pack in cut_packs(borders[partition], end, batch.rows.get(partition, [])):
                batch.outcome.packs.extend((partition, value) for value in encode_pack(pack))
        for partition, rows in batch.commands.items():
            for pack in cut_packs(NO_RANGE, -1, rows):
                batch.outcome.packs.extend((partition, value) for value in encode_pack(pack))

    def _amend(self, news: News, batch: _Batch) -> None:
        outcome = batch.outcome
        corrections: dict[int, list[Row]] = {}
        fresh = (item.item_id for item in outcome.fresh)
        for waiting in self.pending.find((*fresh, *news.items, *news.media)):
            draft = with_late(waiting.draft, news.media) if news.media else waiting.draft
            row, missing = compose(draft, batch.items)
            if missing >= waiting.missing:
                continue
            corrected = amend(row, waiting.sequence + 1)
            corrections.setdefault(draft.partition, []).append(corrected)
            outcome.amended.append((waiting, draft, missing))
            outcome.events["amended"] += 1
        for partition, rows in corrections.items():
            for pack in cut_packs(NO_RANGE, -1, rows):
                outcome.packs.extend((partition, value) for value in encode_pack(pack))

    def _guard(self, outcome: Outcome, record: RawRecord, step: Callable[[], None]) -> None:
        """Run a step of one record; where it fails, the record is a dead letter and the batch goes on."""
        try:
            step()
        except Exception as error:
            self._fail(outcome, record, error)

    def _fail(self, outcome: Outcome, record: RawRecord, error: Exception) -> None:
        """To be called while the error is handled."""
        if not isinstance(error, RecordError):
            _log.exception("a step failed at %s-%d offset %d", record.topic, record.partition, record.offset)
            error = RecordError("internal_error", f"{type(error).__name__}: {error}")
        outcome.dead_letters.append(set_aside(record, STAGE, error))
        outcome.events["dead_letter"] += 1


def _media_of(step: Step | None) -> Sequence[Wanted]:
    if isinstance(step, Plan):
        return step.media()
    return step.wanted if isinstance(step, ItemPlan) else ()


def _encode_item(item: EncodedItem) -> bytes:
    content = _encoder.encode(item)
    if len(content) > MAX_PACK_BYTES:
        raise RecordError("too_large", f"the encoded item has {len(content)} bytes; shorten its attributes")
    return content


def _count_masked(masked: Mapping[int, str], outcome: Outcome) -> None:
    for code, reason in masked.items():
        outcome.masked[MODALITIES[code].value, reason] += 1


def _count(outcome: Outcome) -> None:
    for kind, count in outcome.events.items():
        EVENTS.labels(STAGE, kind).inc(count)
    for (modality, reason), count in outcome.masked.items():
        MASKED.labels(modality, reason).inc(count)
        _warn_once(modality, reason)
    for result, count in outcome.cache.items():
        CACHE.labels(result).inc(count)
    for letter in outcome.dead_letters:
        DEAD_LETTERS.labels(STAGE, letter.reason).inc()
    CLAMPED.inc(outcome.clamped)


_HINTS = {
    "refused": " (fetch.schemes, fetch.hosts and fetch.file_roots say what may be read)",
    "too_large": " (fetch.max_bytes)",
    "too_slow": " (encode.media_budget_seconds)",
    "other_encoders": " (its item was encoded by other encoders than these: load the items again)",
    "out_of_memory": " (batch_cost of a model, encoders.device)",
}


@cache
def _warn_once(modality: str, reason: str) -> None:
    """Say the first of a kind; `penchant_masked_total` counts them all."""
    hint = _HINTS.get(reason, "")
    _log.warning("a medium is masked: %s %s%s; further ones are only counted", modality, reason, hint)
