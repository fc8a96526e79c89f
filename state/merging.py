"""Two users who turn out to be one: their fusion records become one record.

Sums (m, n, v) at reference times t and t' merge by the formula by which one event is added: at
T = max(t, t'), M = max(m - (T - t) / tau, m' - (T - t') / tau), and each sum counts e^(its own mass - M).
Rings merge to the latest RING events of both; what leaves goes into the sums, as it would have one by one.
"""

import numpy as np
from numpy.typing import NDArray

from state import ring
from state.artifact import Artifact
from state.codec import Records, decode, encode
from state.heads import DISLIKE_RATE, RATES, Bank, absorb, ages
from state.layout import MODALITY_HEAD, NEVER, REMEMBERED, RING, SLOT
from state.ring import Departure, joined

Float32 = NDArray[np.float32]

_NOBODY = np.uint64(0)


def merge_states(artifact: Artifact, held: bytes | None, joining: bytes) -> bytes:
    """The record that folding both users' events as one gives, to rounding.

    Not known any more are which of both's event ids came last, of which the latest of each are kept by
    turns, and likes that left one ring before the other's `unlike` could take them back. Raises CodecError.
    """
    records = decode([held, joining], artifact.fingerprint)
    one, other = records[:1], records[1:]
    shared = len(_known(one) & _known(other))
    _drop_counted(one, other)
    _merge_interest(one, other)
    _merge_dislikes(one, other)
    one["event_count"] += other["event_count"] - shared
    one["version"] += np.maximum(other["version"] - shared, 0)
    departures = _merge_rings(one, other)
    _merge_remembered(one, other)
    if departures:
        absorb(artifact, one, *joined(departures))
    return encode(one)[0]


def raised(artifact: Artifact, held: bytes | None, version: int) -> bytes:
    """The record, its version not below the given one; that of a user of whom nothing is known where there is
    none. Raises CodecError.
    """
    records = decode([held], artifact.fingerprint)
    records["version"] = np.maximum(records["version"], version)
    return encode(records)[0]


def with_version(artifact: Artifact, state: bytes, version: int) -> bytes:
    """The record with another version. Raises CodecError."""
    records = decode([state], artifact.fingerprint)
    records["version"] = version
    return encode(records)[0]


def _known(record: Records) -> set[int]:
    return {int(event) for event in record["remembered"][0] if event != _NOBODY}


def _standing(record: Records) -> set[int]:
    slots = record["ring"][0]
    return {int(event) for event in slots["event"][slots["time"] != NEVER]}


def _drop_counted(one: Records, other: Records) -> None:
    """An event that came under both ids is in the sums of one already, or stands in both rings."""
    for record, rival in ((one, other), (other, one)):
        counted = _known(rival) - _standing(rival)
        _empty(record, counted)
    twice = _standing(one) & _standing(other)
    for event in twice:
        mine = one["ring"][0]["event"] == event
        theirs = other["ring"][0]["event"] == event
        if one["ring"][0]["sequence"][mine].max() >= other["ring"][0]["sequence"][theirs].max():
            _empty(other, {event})
        else:
            _empty(one, {event})


def _empty(record: Records, events: set[int]) -> None:
    for place, event in enumerate(record["ring"][0]["event"].tolist()):
        if event in events:
            slot = np.zeros((), SLOT)
            slot["time"] = NEVER
            record["ring"][0, place] = slot


def _factors(one: Bank, other: Bank, rates: Float32) -> tuple[Bank, Float32, Float32]:
    """Both banks as one, and the factors of their sums v, [1, k]; a bank without events has factor 0."""
    latest = np.maximum(one.time, other.time)
    masses = [bank.mass - ages(bank.time, latest, rates) for bank in (one, other)]
    top = np.maximum(*masses)
    finite = np.where(np.isfinite(top), top, np.float32(0))
    old, new = (np.exp(mass - finite).astype(np.float32) for mass in masses)
    return Bank(latest, top, one.norm * old + other.norm * new), old, new


def _merge_interest(one: Records, other: Records) -> None:
    banks = [Bank(each["sum_time"], each["mass"], each["norm"]) for each in (one, other)]
    bank, old, new = _factors(banks[0], banks[1], RATES)
    one["sum_time"], one["mass"], one["norm"] = bank.time, bank.mass, bank.norm
    one["value"] = one["value"] * old[..., None] + other["value"] * new[..., None]
    old, new = old[:, MODALITY_HEAD, None], new[:, MODALITY_HEAD, None]
    one["modalities"] = one["modalities"] * old + other["modalities"] * new


def _merge_dislikes(one: Records, other: Records) -> None:
    banks = [
        Bank(each["dislike_time"], each["dislike_mass"][:, None], each["dislike_norm"][:, None])
        for each in (one, other)
    ]
    bank, old, new = _factors(banks[0], banks[1], DISLIKE_RATE)
    one["dislike_time"], one["dislike_mass"], one["dislike_norm"] = (
        bank.time,
        bank.mass[:, 0],
        bank.norm[:, 0],
    )
    one["dislike_value"] = one["dislike_value"] * old + other["dislike_value"] * new


def _merge_rings(one: Records, other: Records) -> list[Departure]:
    """The latest first, so that an `unlike` stands before the like that it takes back must leave."""
    slots = ring.newest_first(other["ring"])[0]
    return [
        ring.join(one, slots[place : place + 1]) for place in range(RING) if slots["time"][place] != NEVER
    ]


def _merge_remembered(one: Records, other: Records) -> None:
    """The latest ids of each by turns, as many as there is room for, in an order of arrival."""
    latest = [_newest_first(one), _newest_first(other)]
    taken: dict[int, None] = {}
    for place in range(REMEMBERED):
        for ids in latest:
            if place < len(ids) and len(taken) < REMEMBERED:
                taken.setdefault(ids[place])
    remembered = np.zeros(REMEMBERED, np.uint64)
    remembered[: len(taken)] = list(taken)[::-1]
    one["remembered"] = remembered
    one["cursor"] = len(taken) % REMEMBERED


def _newest_first(record: Records) -> list[int]:
    cursor = int(record["cursor"][0])
    turned = np.roll(record["remembered"][0], -cursor)[::-1]
    return [int(event) for event in turned if event != _NOBODY]
