"""What is stored of one user, spelled out: every field of both records by name, for people and exports.

Items and events are stored as hashes. `Names` turns hashes of items back, as far as their ids are at hand.
"""

from collections.abc import Iterable

import msgspec
import numpy as np

from state.codec import Records, decode
from state.events import ACTIONS
from state.layout import (
    FLAG_ANSWERED,
    FLAG_RETRACTED,
    FLAG_USABLE,
    HALF_LIVES_SECONDS,
    MODALITY_COUNT,
    MODALITY_NAMES,
    NEVER,
)
from state.profile import DAY_MS, DAY_STAMP, TIME_STAMP, decode_profile
from state.recency import entries_of, mark_of
from state.ring import newest_first
from state.slots import directions, item_hash


class HeldEvent(msgspec.Struct, frozen=True):
    """One of the latest events. Times are epoch milliseconds, `vector` is of unit length, or zeros."""

    time: int
    event_hash: str
    item_hash: str | None
    items: list[str]
    """Ids that have this hash."""
    action: str
    weight: float
    dwell_bucket: int
    sequence: int
    usable: bool
    retracted: bool
    answered: bool
    modalities: dict[str, float]
    vector: list[float]


class HeldSum(msgspec.Struct, frozen=True):
    """An online-softmax sum of older events: mass m, norm n, value v. Half-life null: it never fades."""

    half_life_seconds: float | None
    mass: float | None
    """Null where nothing was added yet."""
    norm: float
    value: list[float]


class HeldState(msgspec.Struct, frozen=True):
    """The fusion record, `events` latest first."""

    artifact: str
    """Fingerprint of the artifact, as hexadecimal digits."""
    version: int
    event_count: int
    events: list[HeldEvent]
    sums_time: int | None
    sums: list[HeldSum]
    modalities: dict[str, float]
    dislikes_time: int | None
    dislikes: HeldSum
    remembered_events: list[str]
    """Hashes of event ids, the latest first."""


class HeldItem(msgspec.Struct, frozen=True):
    """An item that was seen, liked or disliked, by four bytes of its hash; `time` of sights is to the day."""

    hash: str
    items: list[str]
    time: int


class HeldProfile(msgspec.Struct, frozen=True):
    """The second record. Topics weigh 2 to the power of their two heights, liking and disliking."""

    seen: list[HeldItem]
    disliked: list[HeldItem]
    liked: list[HeldItem]
    waiting: list[HeldItem]
    """Events whose item was unknown, by four bytes of their hash."""
    topics: dict[str, tuple[float | None, float | None]]
    searches: list[tuple[int, str]]
    acted: dict[str, list[HeldItem]] = {}
    """By action, of those that are remembered by action."""


class Names:
    """Ids of items by their hash."""

    def __init__(self, item_ids: Iterable[str] = ()) -> None:
        self._by_hash: dict[int, list[str]] = {}
        self._by_mark: dict[bytes, list[str]] = {}
        for item_id in item_ids:
            hashed = item_hash(item_id)
            self._by_hash.setdefault(hashed, []).append(item_id)
            self._by_mark.setdefault(mark_of(hashed), []).append(item_id)

    def of_hash(self, hashed: int) -> list[str]:
        return self._by_hash.get(hashed, [])

    def of_mark(self, mark: bytes) -> list[str]:
        return self._by_mark.get(mark, [])


def held_state(state: bytes, names: Names) -> HeldState:
    """A fusion record of any artifact. Raises CodecError."""
    record = decode([state], int.from_bytes(state[4:8], "little"))
    return HeldState(
        artifact=f"{int(record['model'][0]):08x}",
        version=int(record["version"][0]),
        event_count=int(record["event_count"][0]),
        events=_events(record, names),
        sums_time=_time(record["sum_time"][0]),
        sums=[
            _sum(None if np.isinf(seconds) else seconds, *(record[name][0, head] for name in _SUM))
            for head, seconds in enumerate(HALF_LIVES_SECONDS)
        ],
        modalities=_named(record["modalities"][0]),
        dislikes_time=_time(record["dislike_time"][0]),
        dislikes=_sum(None, *(record[f"dislike_{name}"][0] for name in _SUM)),
        remembered_events=_remembered(record),
    )


def held_profile(value: bytes, names: Names) -> HeldProfile:
    """Raises CodecError."""
    profile = decode_profile(value)
    return HeldProfile(
        seen=_items(profile.seen, DAY_STAMP, names, DAY_MS),
        disliked=_items(profile.disliked, TIME_STAMP, names),
        liked=_items(profile.liked, TIME_STAMP, names),
        waiting=_items(profile.pending, TIME_STAMP, Names()),
        topics={
            name: (_finite(liking), _finite(disliking))
            for name, (liking, disliking) in profile.topics.items()
        },
        searches=profile.searches,
        acted={
            ACTIONS[action].value: _items(items, DAY_STAMP, names, DAY_MS)
            for action, items in profile.acted.items()
        },
    )


_SUM = ("mass", "norm", "value")


def _events(record: Records, names: Names) -> list[HeldEvent]:
    ring = newest_first(record["ring"])[0]
    ring = ring[ring["time"] != NEVER]
    return [
        HeldEvent(
            time=int(slot["time"]),
            event_hash=_hex(slot["event"]),
            item_hash=_hex(slot["item"]) if slot["item"] else None,
            items=names.of_hash(int(slot["item"])),
            action=ACTIONS[int(slot["action"])].value,
            weight=float(slot["weight"]),
            dwell_bucket=int(slot["dwell"]),
            sequence=int(slot["sequence"]),
            usable=bool(slot["flags"] & FLAG_USABLE),
            retracted=bool(slot["flags"] & FLAG_RETRACTED),
            answered=bool(slot["flags"] & FLAG_ANSWERED),
            modalities=_named(slot["shares"] / 255),
            vector=vector,
        )
        for slot, vector in zip(ring, directions(ring).tolist(), strict=True)
    ]


def _sum(half_life: float | None, mass: float, norm: float, value: list[float]) -> HeldSum:
    return HeldSum(half_life, _finite(float(mass)), float(norm), np.asarray(value).tolist())


def _remembered(record: Records) -> list[str]:
    turned = np.roll(record["remembered"][0], -int(record["cursor"][0]))[::-1]
    return [_hex(event) for event in turned if event]


def _items(entries: bytes, stamp_bytes: int, names: Names, unit_ms: int = 1) -> list[HeldItem]:
    return [
        HeldItem(mark.hex(), names.of_mark(mark), int.from_bytes(stamp, "big") * unit_ms)
        for stamp, mark in entries_of(entries, stamp_bytes)
    ][::-1]


def _named(shares: Iterable[float]) -> dict[str, float]:
    named = dict(zip(MODALITY_NAMES, shares, strict=True))
    assert len(named) == MODALITY_COUNT
    return {name: float(share) for name, share in named.items() if share}


def _time(value: int) -> int | None:
    return None if value == NEVER else int(value)


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _hex(hashed: int) -> str:
    return f"{int(hashed):016x}"
