"""An event between parsing and its row: own media encoded, items looked up as late as possible.

A draft is kept while one of its items is unknown, and gives another, fuller row when that item arrives.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import msgspec

from encoders.base import Encoded, Float32, Modality
from state.events import ACTIONS, Action, Row, RowKind
from streams.encode.item_view import ItemLookup, KnownItem
from streams.encode.media import EncodedMedia, Wanted
from streams.encode.parsing import Event
from streams.encode.references import ItemReference, read_references
from streams.encode.vectors import MODALITY_CODES, from_wire, mean_direction, to_wire
from streams.errors import RecordError

MAX_ROW_TEXT = 2_000
"""Characters of a comment or of search words that go on in the row; encoded is all of it."""
UNKNOWN_ITEM = "unknown_item"

_SEARCH = ACTIONS.index(Action.SEARCH)


@dataclass(slots=True)
class Plan:
    """What an event needs encoded. `comment` is a text that only stands in where nothing else speaks."""

    event: Event
    wanted: list[Wanted]
    comment: Wanted | None
    items: list[ItemReference]
    masked: dict[int, str]

    def media(self) -> list[Wanted]:
        return self.wanted if self.comment is None else [*self.wanted, self.comment]


@dataclass(slots=True)
class Draft:
    """An event with its own media encoded. `row` lacks what items give: vectors, masks, topics."""

    partition: int
    row: Row
    own: dict[int, list[Float32]] = field(default_factory=dict)
    masked: dict[int, str] = field(default_factory=dict)
    comment: Float32 | None = None
    items: list[ItemReference] = field(default_factory=list)
    late: frozenset[Wanted] = frozenset()
    """Media that may still come."""
    about: tuple[str, ...] = ()
    """Topics that its own words give."""


Missing = str | Wanted
"""What an event waits for: an item's id, or a medium."""


def plan_event(event: Event, items: ItemLookup, shared: bool = False) -> Plan:
    """Which media of an event must be encoded, given the items that are known already.

    Media that it brings along are its user's, but for those at other places where these are `shared`.
    """
    interaction = event.interaction
    if not interaction.media and interaction.text is None:
        return Plan(event, [], None, [], {})
    found = read_references(interaction.media)
    found.wanted = [_own(each, shared) for each in found.wanted]
    comment = None
    if interaction.text is not None and interaction.text.strip():
        text = Wanted(text=interaction.text, modality=Modality.TEXT, private=True)
        if event.action == _SEARCH:
            found.wanted.append(text)
        elif not _speaks(interaction.item_id, items):
            comment = text
    return Plan(event, found.wanted, comment, found.items, found.masked)


def plain_row(plan: Plan, items: ItemLookup) -> Row | None:
    """The row of an event that brings nothing but a known item, as most do; None for others.

    The same as `compose(draft_event(plan))` gives, at a third of the cost.
    """
    item_id = plan.event.interaction.item_id
    if item_id is None or plan.wanted or plan.comment is not None or plan.items or plan.masked:
        return None
    item = items.get(item_id)
    if item is None or item.stale:
        return None
    row = _bare_row(plan.event)
    row.vectors = item.vectors
    if item.masked:
        row.masked = {code: reason for code, reason in item.masked.items() if code not in item.vectors}
    row.topics = item.topics
    return row


def draft_event(plan: Plan, media: EncodedMedia) -> Draft:
    """Put the encoded media into a draft. Raises RecordError for a medium that ends its decoder."""
    draft = Draft(plan.event.record.partition, _bare_row(plan.event), masked=plan.masked, items=plan.items)
    for wanted in plan.wanted:
        add_encoded(draft.own, draft.masked, media.encoded[wanted])
    if media.late:
        draft.late = media.late.intersection(plan.wanted)
    if plan.comment is not None:
        draft.comment = media.encoded[plan.comment].vectors.get(Modality.TEXT)
    return draft


def with_late(draft: Draft, came: Mapping[Wanted, Encoded]) -> Draft:
    """The draft with the late media that came."""
    found = draft.late.intersection(came)
    own = {code: list(vectors) for code, vectors in draft.own.items()}
    masked = dict(draft.masked)
    for wanted in found:
        add_encoded(own, masked, came[wanted])
    return replace(draft, own=own, masked=masked, late=draft.late - found)


def add_encoded(own: dict[int, list[Float32]], masked: dict[int, str], encoded: Encoded) -> None:
    """Add one medium's vectors and masks, by wire code. Raises RecordError for one that is fatal."""
    if encoded.fatal is not None:
        raise RecordError("decoder_crash", encoded.fatal)
    for modality, vector in encoded.vectors.items():
        own.setdefault(MODALITY_CODES[modality], []).append(vector)
    for modality, reason in encoded.masked.items():
        masked[MODALITY_CODES[modality]] = reason


def compose(draft: Draft, items: ItemLookup) -> tuple[Row, set[Missing]]:
    """The row as of now, and what of it is missing. Own media win over an item's, per modality."""
    missing: set[Missing] = set(draft.late)
    item = None if draft.row.item_id is None else items.get(draft.row.item_id)
    item_missing = draft.row.item_id is not None and item is None
    if draft.row.item_id is not None and (item is None or item.stale):
        missing.add(draft.row.item_id)
    vectors = dict(item.vectors) if item is not None else {}
    masked = dict(item.masked) if item is not None else {}
    unknown: set[int] = set(MODALITY_CODES.values()) if item_missing else set()
    masked.update(draft.masked)
    own = {code: list(each) for code, each in draft.own.items()}
    for reference in draft.items:
        referred = items.get(reference.item_id)
        if referred is None:
            missing.add(reference.item_id)
            unknown.update(MODALITY_CODES.values() if reference.modality is None else (reference.modality,))
        else:
            _refer(own, masked, referred, reference.modality)
            if referred.stale:
                missing.add(reference.item_id)
    item_speaks = bool(vectors)
    vectors.update((code, to_wire(mean_direction(each))) for code, each in own.items())
    if draft.comment is not None and not item_speaks and 0 not in vectors:
        vectors[0] = to_wire(draft.comment)
    for code in unknown:
        masked.setdefault(code, UNKNOWN_ITEM)
    row = msgspec.structs.replace(
        draft.row,
        vectors=vectors,
        masked={code: reason for code, reason in masked.items() if code not in vectors},
        # Those of its own words wait for the item, so that an amendment brings all topics at once.
        topics=() if item_missing else joined_topics(item.topics if item is not None else (), draft.about),
    )
    return row, missing


def joined_topics(topics: tuple[str, ...], further: tuple[str, ...]) -> tuple[str, ...]:
    """Both, each topic once; case makes no other topic."""
    if not further:
        return topics
    known = {topic.casefold() for topic in topics}
    return (*topics, *(topic for topic in further if topic.casefold() not in known))


def amend(row: Row, sequence: int) -> Row:
    """The row as a correction of the event that it was composed from."""
    return msgspec.structs.replace(row, offset=-1, kind=int(RowKind.AMEND), sequence=sequence)


def _own(wanted: Wanted, shared: bool) -> Wanted:
    if shared and wanted.uri is not None and wanted.uri[:5].lower() != "data:":
        return wanted
    return msgspec.structs.replace(wanted, private=True)


def _speaks(item_id: str | None, items: ItemLookup) -> bool:
    item = None if item_id is None else items.get(item_id)
    return item is not None and bool(item.vectors)


def _refer(
    own: dict[int, list[Float32]], masked: dict[int, str], item: KnownItem, modality: int | None
) -> None:
    for code, vector in item.vectors.items():
        if modality in (None, code):
            own.setdefault(code, []).append(from_wire(vector))
    for code, reason in item.masked.items():
        if modality in (None, code):
            masked.setdefault(code, reason)


def _bare_row(event: Event) -> Row:
    interaction = event.interaction
    return Row(
        user_id=interaction.user_id,
        event_id=event.event_id,
        action=event.action,
        time=event.time,
        offset=event.record.offset,
        broker_time=event.record.timestamp,
        item_id=interaction.item_id,
        value=interaction.value,
        dwell_seconds=interaction.dwell_seconds,
        watched_fraction=interaction.watched_fraction,
        text=None if interaction.text is None else interaction.text[:MAX_ROW_TEXT],
        traceparent=event.traceparent,
        context=event.context,
        sent=event.sent,
    )
