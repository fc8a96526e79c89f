"""The states of all users under another model, made from the packs that are still there, beside what serves.

It reads what the interests workers have read, never beyond, and writes to a changelog of its own and to
nothing else, but for what this model makes of users who merge (`streams.interests.awaited`).
"""

import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from state.artifact import Artifact
from streams import kafka
from streams.engine.engine import Engine, Loss
from streams.engine.guard import Delivery
from streams.engine.journal import Cancelled
from streams.engine.kafka_engine import EngineSpec, group_of, kafka_engine, kafka_standbys
from streams.engine.partition import FOREVER, Partition, Quiet
from streams.engine.place import PLACE_KEY, Place
from streams.errors import EngineError, OwnershipLost, SourceTrimmed, Superseded
from streams.models.board import INTERESTS, Entry, spec_of
from streams.models.control import Control
from streams.models.levelling import last_place, serving_versions, strays
from streams.models.serving import processor_of
from streams.settings import Settings
from streams.topic_plans import user_state_changelog
from streams.topics import partition_counts

_POLL_SECONDS = 0.05
_BATCH = 500
_WAITING = 2_000
_HINT_SECONDS = 0.5
_ASK_SECONDS = 10.0
_TRIES = 5
_SETTLE_SECONDS = 10.0
_MAX_STRAYS = 0.01

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Plan:
    """`target` is built beside `live`; stores lie in `folder`."""

    target: Entry
    live: Entry
    folder: Path


class Builder:
    """One process builds all partitions. For one thread; call `close`."""

    def __init__(self, settings: Settings, plan: Plan, artifact: Artifact, control: Control) -> None:
        self.settings = settings
        self._plan = plan
        self._artifact = artifact
        self._control = control
        source = settings.topics.interactions_encoded
        base = EngineSpec(INTERESTS, source, user_state_changelog(settings), plan.folder / INTERESTS)
        self._live, self.spec = spec_of(settings, plan.live, base), spec_of(settings, plan.target, base)
        self._standbys = kafka_standbys(settings, self.spec)
        self._engine = self._made()
        self._source = source
        self._group = group_of(settings, INTERESTS)
        admin = kafka.admin_client(settings.kafka)
        self.partitions = partition_counts(admin, [source])[source]
        overrides: kafka.Config = {"enable.partition.eof": False}
        self._reader = kafka.consumer(settings.kafka, f"{self._group}-build", overrides)
        self._hints = kafka.consumer(settings.kafka, self._group)
        self._waiting: dict[int, deque[Delivery]] = {}
        self._queues: dict[int, deque[Delivery]] = {}
        self._bounds: dict[int, int] = {}
        """Source offset that the serving model has reached, by partition."""
        self._frozen: dict[int, int] = {}
        self._tries: dict[int, int] = {}
        self._hinted = 0.0
        self.given: set[int] = set()
        """Partitions that the serving workers have taken over."""

    def open(self, tell: Callable[[str], None] = lambda _: None) -> None:
        """Raises SourceTrimmed where packs are gone that the states would need, and EngineError."""
        for number in range(self.partitions):
            self._bounds[number] = last_place(self.settings, self._live.changelog, number) or 0
        for number in range(self.partitions):
            tell(f"opening partition {number}")
            self._begin(number)

    def step(self) -> None:
        """Read on, and fold what may be folded."""
        self._look()
        self._read()
        for number, waiting in self._waiting.items():
            bound = self._frozen.get(number, self._bounds[number])
            while waiting and waiting[0][0] < bound:
                self._queues[number].append(waiting.popleft())
        outcome = self._engine.process(self._queues, int(time.time() * 1000))
        for number, loss in outcome.lost.items():
            self._lose(number, loss)
        for number, offset in outcome.holes.items():
            self._again(number, offset, "records are missing there")

    def places(self) -> dict[int, int]:
        """Source offset that comes next, by partition."""
        return self._engine.places()

    def left(self) -> int:
        """Source offsets that the serving model is ahead."""
        places = self.places()
        return sum(max(0, self._bounds[number] - place) for number, place in places.items())

    def total(self) -> int:
        return sum(self._bounds.values())

    def level_versions(self) -> int:
        """Raise versions that are lower than under the serving model; returns how many were."""
        count = 0
        for number in range(self.partitions):
            self._frozen[number] = self._bounds[number]
            store = self._engine.store(number)
            versions = serving_versions(self.settings, self._live.changelog, number, store, self.step)
            self._frozen[number] = max(versions.place, self._bounds[number])
            self._bounds[number] = max(versions.place, self._bounds[number])
            self._reach(number, versions.place)
            away, users = strays(store, number, self.partitions)
            if away - versions.strays > _MAX_STRAYS * users:
                raise EngineError(
                    f"{self._source}-{number}: has packs from before `penchant topics grow`, of users who "
                    "are in another partition now: no states can be made of them. A deployment with another "
                    "app.name counts what the topics hold"
                )
            for changes in versions.raises(store, self._artifact):
                self._engine.amend(number, changes)
                count += len(changes)
            del self._frozen[number]
        return count

    def close(self) -> None:
        try:
            self._engine.close_all()
        finally:
            self._standbys.stop()
            self._reader.close()
            self._hints.close()

    def _made(self) -> Engine:  # type: ignore[type-arg]
        _, processor = processor_of(self.settings, self._artifact)
        return kafka_engine(self.settings, self.spec, processor, self._standbys, self._check)

    def _check(self, partition: Partition, cancelled: Cancelled) -> None:
        pointer = self._control.soon().pointer
        target = self._plan.target.fingerprint
        if pointer is None or pointer.building != target or pointer.live == target:
            raise Superseded(f"{partition.label}: its states are not being built any more")
        value = partition.store.get(PLACE_KEY)
        needed = 0 if value is None else Place.decode(value).source
        start, _ = kafka.watermarks(self._hints, self._source, partition.number, _ASK_SECONDS)
        if start > needed:
            raise SourceTrimmed(
                f"{self._source}-{partition.number}: offsets {needed} to {start - 1} are gone, cut by "
                f"retention, and the states of {self._plan.target.version} could not be whole without them. "
                "A model is built from packs that are there: raise topics.retention_hours ahead of it, or "
                "start a deployment with another app.name, which counts what the topics still hold"
            )
        partition.quiet = Quiet(FOREVER)

    def _begin(self, number: int) -> None:
        place = self._engine.adopt(self._engine.open(number))
        self._waiting[number], self._queues[number] = deque(), deque()
        self._seek(number, place)

    def _seek(self, number: int, place: int) -> None:
        target = kafka.TopicPartition(self._source, number, place)
        self._waiting[number].clear()
        self._queues[number].clear()
        if number in self._assigned():
            self._reader.incremental_unassign([target])
        self._reader.incremental_assign([target])

    def _assigned(self) -> set[int]:
        return {each.partition for each in self._reader.assignment()}

    def _look(self) -> None:
        """How far the serving model has come."""
        if time.monotonic() - self._hinted < _HINT_SECONDS:
            return
        places = [kafka.TopicPartition(self._source, number) for number in range(self.partitions)]
        try:
            found = self._hints.committed(places, timeout=_ASK_SECONDS)
        except kafka.KafkaException as error:
            if not kafka.may_pass(error.args[0]):
                raise EngineError(f"{self._group}: its offsets cannot be read: {error}") from error
            return
        for each in found:
            self._bounds[each.partition] = max(self._bounds[each.partition], each.offset)
        self._hinted = time.monotonic()

    def _read(self) -> None:
        if sum(map(len, self._waiting.values())) >= _WAITING:
            time.sleep(_POLL_SECONDS if not any(self._queues.values()) else 0)
            return
        first = self._reader.poll(_POLL_SECONDS)
        for message in () if first is None else (first, *self._reader.consume(_BATCH, 0)):
            error = message.error()
            number = message.partition() or 0
            if number not in self._waiting:
                continue
            if error is None:
                self._waiting[number].append((message.offset() or 0, message.value() or b""))
            elif error.code() == kafka.KafkaError._AUTO_OFFSET_RESET:
                raise SourceTrimmed(
                    f"{self._source}-{number}: retention cut packs while they were read: raise "
                    "topics.retention_hours, and promote again"
                )
            elif not kafka.may_pass(error):
                raise EngineError(f"{self._source}-{number}: cannot be read: {error.str()}")

    def _lose(self, number: int, loss: Loss) -> None:
        if isinstance(loss.error, OwnershipLost):
            self._given(number, loss.error)
        else:
            self._again(number, None, str(loss.error))

    def _again(self, number: int, offset: int | None, reason: str) -> None:
        """Read the partition again, or open it again where its commit failed."""
        self._tries[number] = self._tries.get(number, 0) + 1
        if self._tries[number] > _TRIES:
            raise EngineError(f"{self.spec.changelog}-{number}: cannot be built: {reason}")
        _log.warning("%s-%d: again: %s", self.spec.changelog, number, reason)
        if offset is not None:
            self._seek(number, offset)
            return
        try:
            self._begin(number)
        except OwnershipLost as error:
            self._given(number, error)

    def _given(self, number: int, error: OwnershipLost) -> None:
        pointer = self._control.soon().pointer
        if pointer is None or pointer.live != self._plan.target.fingerprint:
            raise EngineError(f"another command builds, or has cancelled this one: {error}") from error
        self.given.add(number)
        self._waiting.pop(number, None)
        self._queues.pop(number, None)
        if number in self._assigned():
            self._reader.incremental_unassign([kafka.TopicPartition(self._source, number)])

    def _reach(self, number: int, place: int) -> None:
        give_up = time.monotonic() + 60 * _SETTLE_SECONDS
        while self.places()[number] < place:
            self.step()
            if time.monotonic() > give_up:
                raise EngineError(f"{self.spec.changelog}-{number}: source offset {place} was not reached")
