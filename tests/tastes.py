"""Small worlds for tests of ranking: items around a few directions, events, a catalogue on the prior."""

from collections.abc import Sequence

import msgspec
import numpy as np

from state.catalogue import Catalogue
from state.events import ACTIONS, Action, Pack, Row
from state.fusion import Fusion
from state.items import EncodedItem
from state.layout import SHARED_DIM
from state.prior import content_prior

START = 1_700_000_000_000
MINUTE = 60_000
DAY = 86_400_000
GROUPS = ("birds", "boats", "cakes", "drums", "ferns", "goats")


def vector(group: int, number: int, spread: float = 0.5) -> bytes:
    """A unit vector near the direction of its group, as float16 bytes."""
    centre = np.random.default_rng(1_000 + group).standard_normal(SHARED_DIM)
    made = centre + spread * np.random.default_rng(10 * number + group).standard_normal(SHARED_DIM)
    return bytes((made / np.linalg.norm(made)).astype("<f2").tobytes())


def item(number: int, **changes: object) -> EncodedItem:
    """Item `number` of group number modulo the number of groups."""
    group = number % len(GROUPS)
    made = EncodedItem(
        item_id=f"item-{number}",
        partition=0,
        offset=number,
        vectors={1: vector(group, number)},
        title=f"Item {number}",
        tags=(f"tag-{number % 4}",),
        categories=(GROUPS[group],),
    )
    return msgspec.structs.replace(made, **changes)


def catalogue(items: Sequence[EncodedItem]) -> tuple[Catalogue, Fusion]:
    fusion = Fusion(content_prior())
    made = Catalogue(fusion)
    made.apply([(entry.item_id, entry) for entry in items])
    return made, fusion


def row(
    user: str, number: int, shown: EncodedItem | None, action: Action = Action.VIEW, **changes: object
) -> Row:
    """Event `number`, a minute after the one before, with the item's vectors and topics."""
    made = Row(
        user_id=user,
        event_id=f"event-{number}",
        action=ACTIONS.index(action),
        time=START + number * MINUTE,
        offset=number,
        broker_time=START + number * MINUTE + 3,
        item_id=None if shown is None else shown.item_id,
        vectors={} if shown is None else shown.vectors,
        topics=() if shown is None else shown.topics,
    )
    return msgspec.structs.replace(made, **changes)


def pack(rows: Sequence[Row], first: int) -> bytes:
    return msgspec.msgpack.encode(Pack(first, first + len(rows), list(rows)))
