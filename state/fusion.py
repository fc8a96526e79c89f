"""Incremental attention fusion: events are folded into bytes per user, bytes are read out as interests."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from state import ring
from state.artifact import Artifact, Float32
from state.codec import Records, decode, encode
from state.events import Row
from state.heads import absorb, waves
from state.layout import HALF_LIVES_SECONDS
from state.modalities import fuse
from state.readout import Reader, Readouts, takes_item
from state.ring import Departure, Outcome, Wave, joined, newest_first
from state.slots import answer_hash, item_hash, slots_of

__all__ = ["HALF_LIVES_SECONDS", "Folded", "Fusion", "Outcome", "Readouts", "item_hash"]


_OUTCOMES = {int(outcome): outcome for outcome in Outcome}


@dataclass(slots=True, frozen=True)
class Folded:
    """New state of each user, and what became of each of their rows, in the order given."""

    states: list[bytes]
    outcomes: list[list[Outcome]]


class Fusion:
    """Folds and reads states under one artifact. Pure: nothing is kept between calls.

    What a user's state becomes depends on that user's rows and their order alone, to the bit: neither
    on who else is in the batch nor on how the rows are cut into batches. The read-outs depend on the set
    of events alone, to rounding, but for events that are taken back after they left the ring.
    """

    def __init__(self, artifact: Artifact) -> None:
        self.artifact = artifact
        self._reader = Reader(artifact)

    def fold(self, states: Sequence[bytes | None], rows: Sequence[Sequence[Row]]) -> Folded:
        """Folds the rows of distinct users into their states (None: nothing is known yet).

        Raises CodecError for states of another format or artifact.
        """
        records = decode(states, self.artifact.fingerprint)
        flat = [row for of_user in rows for row in of_user]
        counts = [len(of_user) for of_user in rows]
        outcomes = self._apply(records, flat, np.repeat(np.arange(len(rows)), counts))
        ends = np.cumsum(counts).tolist()
        told = [_OUTCOMES[outcome] for outcome in outcomes]
        return Folded(
            encode(records), [told[end - count : end] for count, end in zip(counts, ends, strict=True)]
        )

    def read(self, states: Sequence[bytes]) -> Readouts:
        """What the states say, at the time of each one's latest event. Raises CodecError."""
        return self._reader.read(decode(states, self.artifact.fingerprint))

    def ring_events(self, state: bytes) -> list[tuple[int, int, int, bool]]:
        """Of the events in a state's ring, newest first: time, hashes of the event's id and of its item, and
        whether it took the item. Raises CodecError."""
        slots = newest_first(decode([state], self.artifact.fingerprint)["ring"])[0]
        slots = slots[slots["event"] != 0]
        columns = (slots["time"], slots["event"], slots["item"], takes_item(slots))
        return list(zip(*(column.tolist() for column in columns), strict=True))

    def item_vectors(
        self,
        vectors: Sequence[Mapping[int, bytes]],
        items: Sequence[str] = (),
        topics: Sequence[tuple[str, ...]] = (),
    ) -> Float32:
        """Unit vectors [n, 64] of items, given their vectors by modality and, where the artifact may know
        single items and categories, their ids and topics; zero where none is usable."""
        fused = fuse(self.artifact.items, vectors)
        if self.artifact.known is not None and items:
            hashes = np.array([item_hash(item_id) for item_id in items], np.uint64)
            fused = self.artifact.known.added(fused, hashes, topics)
        return fused.vectors

    def _apply(self, records: Records, rows: Sequence[Row], users: ring.Index) -> list[int]:
        if not rows:
            return []
        slots = slots_of(self.artifact, rows)
        kinds = np.array([row.kind for row in rows], np.uint8)
        answers = np.array([answer_hash(row.event_id) if row.kind else 0 for row in rows], np.uint64)
        outcomes = np.zeros(len(rows), np.uint8)
        departures: list[Departure] = []
        for wave in waves(users):
            step = Wave(users[wave], slots[wave], kinds[wave], answers[wave])
            outcomes[wave], departed = ring.apply(records, step)
            departures += departed
        absorb(self.artifact, records, *joined(departures))
        return outcomes.tolist()
