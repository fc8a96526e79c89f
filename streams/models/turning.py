"""Opening partitions where models change: who may serve, and from which offset on.

A model takes a partition over from the one before at the place where that one has stopped for good. It has
stopped when its partition is fenced after the pointer was moved: whoever opens it later reads the pointer
behind its own fence, and lets go.
"""

import logging
from collections.abc import Callable
from functools import partial

import msgspec

from state.store import Store
from streams.engine.journal import Cancelled
from streams.engine.kafka_engine import EngineSpec, journal_names
from streams.engine.kafka_journal import KafkaJournal
from streams.engine.partition import Opening, Partition, Quiet, opened
from streams.engine.processor import KIND_HELD
from streams.errors import EngineError, Superseded
from streams.models.board import Board, Entry, models_topic, spec_of, turned_key
from streams.models.control import Control, write
from streams.models.faults import reached
from streams.settings import Settings

_log = logging.getLogger(__name__)


class LiveCheck:
    """`Resources.check` of the engine that serves under `fingerprint`.

    `former_store` gives the store of a partition under the former model.
    """

    def __init__(
        self,
        settings: Settings,
        control: Control,
        fingerprint: int,
        base: EngineSpec,
        former_store: Callable[[EngineSpec, int], Store],
    ) -> None:
        self._settings = settings
        self._control = control
        self._fingerprint = fingerprint
        self._base = base
        self._former_store = former_store

    def __call__(self, partition: Partition, cancelled: Cancelled) -> None:
        board = self._control.asked(cancelled)
        pointer = board.pointer
        if pointer is None:
            return
        if pointer.live != self._fingerprint:
            raise Superseded(f"{partition.label}: model {pointer.live:08x} serves now")
        if pointer.former is None or (pointer.generation, partition.number) in board.turned:
            return
        self._follow(partition, board, cancelled)

    def _follow(self, partition: Partition, board: Board, cancelled: Cancelled) -> None:
        """Be quiet up to where the former model has stopped."""
        pointer = board.pointer
        assert pointer is not None and pointer.former is not None
        reached("fenced")
        former = self._former(partition, board.entry(pointer.former), cancelled)
        try:
            until = former.place.source
            changes = _held_instead(partition.store, former.store)
        finally:
            former.close()
        if partition.place.source > until:
            raise EngineError(
                f"{partition.label}: the new model's states are at source offset {partition.place.source}, "
                f"and the former model has stopped at {until}: `penchant models rollback`"
            )
        _log.info("%s: takes over from the former model at source offset %d", partition.label, until)
        reached("followed")
        key = turned_key(pointer.generation, partition.number)
        partition.quiet = Quiet(until, changes, partial(self._tell, key, until))

    def _tell(self, key: bytes, until: int) -> None:
        """Now that all is stored: whoever opens the partition from here on needs the former model no more."""
        reached("reached")
        value = msgspec.json.encode({"offset": until})
        write(self._settings, models_topic(self._settings), {key: value})
        reached("told")

    def _former(self, partition: Partition, entry: Entry, cancelled: Cancelled) -> Partition:
        """The partition under the former model: fenced, level, and never written again."""
        spec = spec_of(self._settings, entry, self._base)
        store = self._former_store(spec, partition.number)
        names, label = journal_names(self._settings, spec), f"{partition.label} of {entry.version}"
        return opened(
            store,
            lambda: KafkaJournal(self._settings.kafka, names, partition.number),
            lambda journal: Opening(partition.number, label, store, journal, cancelled).run(),
        )


def _held_instead(store: Store, former: Store) -> dict[bytes, bytes | None]:
    """What makes the slates that are held back those of the former model."""
    changes: dict[bytes, bytes | None] = {key: None for key, _ in store.scan(KIND_HELD)}
    changes.update(former.scan(KIND_HELD))
    return changes
