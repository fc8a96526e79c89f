"""Items of the catalogue to encoded items."""

from collections.abc import Iterable
from dataclasses import dataclass

from encoders.base import Encoded, Float32, Modality
from encoders.describe.description import LABELS
from state.items import EncodedItem
from streams.encode.drafts import UNKNOWN_ITEM, add_encoded
from streams.encode.item_view import ItemLookup
from streams.encode.media import EncodedMedia, Wanted
from streams.encode.parsing import NewItem, Withdrawal
from streams.encode.references import ItemReference, read_references
from streams.encode.vectors import MODALITY_CODES, from_wire, mean_direction, to_wire
from streams.records import Item

MAX_TITLE = 1_000
MAX_TAGS = 64
MAX_TAG_LENGTH = 200
MAX_LABELS = 16
MAX_DESCRIPTIONS = 4
"""Captions and such of each kind that go on with an item."""
MAX_DESCRIPTION = 2_000


@dataclass(slots=True)
class ItemPlan:
    """What an item needs encoded."""

    new: NewItem
    wanted: list[Wanted]
    items: list[ItemReference]
    masked: dict[int, str]


def plan_item(new: NewItem) -> ItemPlan:
    """Title, description and tags are one text; the media list adds the rest. Categories often are codes."""
    found = read_references(new.item.media)
    text = describing_text(new.item)
    if text:
        found.wanted.insert(0, Wanted(text=text, modality=Modality.TEXT))
    return ItemPlan(new, found.wanted, found.items, found.masked)


def describing_text(item: Item) -> str:
    """What the catalogue says of an item, a line for each kind."""
    lines = (item.title, item.description, ", ".join(item.tags))
    return "\n".join(line.strip() for line in lines if line.strip())


def encode_item(plan: ItemPlan, media: EncodedMedia, items: ItemLookup, version: str) -> EncodedItem:
    """The encoded item. Raises RecordError for a medium that ends its decoder."""
    own: dict[int, list[Float32]] = {}
    masked = dict(plan.masked)
    labels: list[str] = []
    for wanted in plan.wanted:
        add_encoded(own, masked, media.encoded[wanted])
        labels.extend(media.encoded[wanted].labels)
    for reference in plan.items:
        _refer(reference, items, own, masked)
    item, record = plan.new.item, plan.new.record
    return EncodedItem(
        item_id=item.item_id,
        partition=record.partition,
        offset=record.offset,
        vectors={code: to_wire(mean_direction(each)) for code, each in own.items()},
        masked={code: reason for code, reason in masked.items() if code not in own},
        title=item.title[:MAX_TITLE],
        tags=_bounded(item.tags),
        categories=_bounded(item.categories),
        labels=tuple(dict.fromkeys(labels))[:MAX_LABELS],
        described=_described(media.encoded[wanted] for wanted in plan.wanted),
        published_at=plan.new.published_at,
        expires_at=plan.new.expires_at,
        available=item.available,
        attributes=item.attributes,
        encoders=version,
        topic=record.topic_id,
    )


def withdraw(withdrawal: Withdrawal) -> EncodedItem:
    """The mark that goes before the null value."""
    record = withdrawal.record
    return EncodedItem(
        withdrawal.item_id, record.partition, record.offset, withdrawn=True, topic=record.topic_id
    )


def _refer(
    reference: ItemReference, items: ItemLookup, own: dict[int, list[Float32]], masked: dict[int, str]
) -> None:
    item = items.get(reference.item_id)
    codes = MODALITY_CODES.values() if reference.modality is None else (reference.modality,)
    for code in codes:
        if item is None:
            masked.setdefault(code, UNKNOWN_ITEM)
        elif code in item.vectors:
            own.setdefault(code, []).append(from_wire(item.vectors[code]))


def _described(media: Iterable[Encoded]) -> dict[str, tuple[str, ...]]:
    """Texts by kind, each once; labels have a field of their own."""
    found: dict[str, dict[str, None]] = {}
    for encoded in media:
        for one in encoded.descriptions:
            if one.kind not in LABELS:
                found.setdefault(one.kind.value, {})[one.text[:MAX_DESCRIPTION]] = None
    return {kind: tuple(texts)[:MAX_DESCRIPTIONS] for kind, texts in found.items()}


def _bounded(words: list[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(word[:MAX_TAG_LENGTH] for word in words if word.strip()))[:MAX_TAGS]
