"""Another model takes the place of the one that serves: its states are built, the workers made ready, and
then each partition goes over at one offset.

Every step may be cut off, and the command run again: until the pointer is moved the old model serves, and
from then on the new one, whether this command lives or not.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from state.artifact import MANIFEST, load_artifact
from state.codec import model_of
from state.errors import StateError
from streams import kafka
from streams.encode.instance import Instance
from streams.engine.kafka_engine import group_of
from streams.errors import PromotionError
from streams.interests.processor import KIND_FUSION
from streams.models.artifacts import add_artifact, fetch_artifact
from streams.models.board import (
    INTERESTS,
    POINTER,
    Ack,
    Board,
    Entry,
    Pointer,
    ack_key,
    artifacts_topic,
    changelog_of,
    models_topic,
)
from streams.models.builder import Builder, Plan
from streams.models.control import Control, PointerWriter
from streams.models.faults import reached
from streams.reading import read, whole
from streams.settings import Settings
from streams.topic_plans import user_state_changelog
from streams.topics import make_topics, partition_counts

FRESH_MS = 15_000
"""Workers that said nothing for so long are gone."""
NEAR = 1_000
"""Packs that may be left to whoever takes a partition over: they are folded in a moment."""
READY_SECONDS = 1_800.0
TURN_SECONDS = 600.0
_LOOK_SECONDS = 1.0
_CALL_SECONDS = 15.0

Tell = Callable[[str, int, int], None]
"""Hears what is done now, how far it is, and of how much."""


@dataclass(frozen=True, slots=True)
class Promoted:
    """What a promotion came to. `raised`: users whose versions had to be raised."""

    entry: Entry
    generation: int
    raised: int = 0
    served: bool = False
    """Whether workers serve under it; else the next ones that start will."""


class Promotion:
    """One command. Raises PromotionError with what to do."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._admin = kafka.admin_client(settings.kafka)
        self._source = settings.topics.interactions_encoded
        self._control = Control(settings)

    def promote(self, name: str, tell: Tell) -> Promoted:
        """`name`: folder of an artifact, or version or fingerprint of a model that is here already."""
        writer = self._begin()
        return self._promote(writer, self._target(name), tell)

    def rollback(self, tell: Tell) -> Promoted:
        """Promote the model that served before."""
        board = self._control.soon()
        if board.pointer is None or board.pointer.former is None:
            raise PromotionError("there is no former model: none was ever promoted here")
        return self._promote(self._begin(), board.entry(board.pointer.former), tell)

    def cancel(self) -> Entry | None:
        """Build no more. The states that are there stay, and a later promotion goes on from them."""
        board = self._control.soon()
        pointer = board.pointer
        if pointer is None or pointer.building is None:
            return None
        self._move(self._begin(), msgspec.structs.replace(pointer, building=None))
        return board.entry(pointer.building)

    def close(self) -> None:
        self._control.close()

    def _begin(self) -> PointerWriter:
        """The first time, write down what serves now."""
        settings = self._settings
        compacted = [(models_topic(settings), 1), (artifacts_topic(settings), 1)]
        make_topics(settings, self._admin, compacted, changelog=False)
        writer = PointerWriter(settings)
        if self._control.soon().pointer is None:
            entry = add_artifact(settings, settings.model.artifact, first=True)
            self._check_first(entry)
            self._move(writer, Pointer(0, entry.fingerprint))
        return writer

    def _check_first(self, entry: Entry) -> None:
        """The settings of this command may not be those of the workers."""
        settings, changelog = self._settings, user_state_changelog(self._settings)
        for record in read(settings, whole(settings, changelog, settled=False)):
            if (record.key or b"").startswith(KIND_FUSION) and record.value is not None:
                found = model_of(record.value)
                if found != entry.fingerprint:
                    raise PromotionError(
                        f"{changelog}: has states of model {found:08x}, and model.artifact names "
                        f"{entry.version} ({entry.code}): set it as the interests workers have it"
                    )
                return

    def _target(self, name: str) -> Entry:
        board = self._control.soon()
        try:
            if not (Path(name) / MANIFEST).exists():
                return board.named(name)
            artifact, text = load_artifact(name), (Path(name) / MANIFEST).read_text()
        except (OSError, StateError) as error:
            raise PromotionError(str(error)) from error
        known = board.entries.get(artifact.fingerprint)
        if known is None:
            return add_artifact(self._settings, name)
        if known.manifest != text:
            # Its states and their changelog go by the entry that is there.
            raise PromotionError(
                f"{name}: {artifact.version} has the numbers of {known.version} ({known.code}), which is "
                "here: promote that one by its name, or `penchant models remove` it first"
            )
        return known

    def _promote(self, writer: PointerWriter, target: Entry, tell: Tell) -> Promoted:
        board = self._control.soon()
        pointer = board.pointer
        assert pointer is not None
        if pointer.live == target.fingerprint:
            return self._turned(Promoted(target, pointer.generation), tell)
        waiting = board.waiting(self._partitions())
        if waiting and self._members():
            raise PromotionError(
                f"{board.entry(pointer.live).version} is still taking over partitions "
                f"{', '.join(map(str, waiting))}: wait until `penchant models list` says that all serve"
            )
        if waiting:
            raise PromotionError(
                f"partitions {', '.join(map(str, waiting))} never served under "
                f"{board.entry(pointer.live).version}: start the interests workers, so that they take over"
            )
        return self._build(writer, target, pointer, tell)

    def _build(self, writer: PointerWriter, target: Entry, pointer: Pointer, tell: Tell) -> Promoted:
        settings, changelog = self._settings, changelog_of(self._settings, target)
        make_topics(settings, self._admin, [(changelog, self._partitions())], changelog=True)
        self._move(writer, msgspec.structs.replace(pointer, building=target.fingerprint))
        live = self._control.soon().entry(pointer.live)
        artifact = fetch_artifact(settings, target)
        with Instance(Path(settings.app.data), "models") as instance:
            builder = Builder(settings, Plan(target, live, instance.folder), artifact, self._control)
            try:
                builder.open(lambda what: tell(what, 0, 1))
                reached("opened")
                self._catch_up(builder, tell)
                tell("levelling versions", 0, 1)
                raised = builder.level_versions()
                self._catch_up(builder, tell)
                reached("level")
                self._await_workers(builder, target, live, tell)
                reached("ready")
                generation = pointer.generation + 1
                self._move(writer, Pointer(generation, target.fingerprint, live.fingerprint))
                reached("moved")
                return self._turned(Promoted(target, generation, raised), tell, builder)
            finally:
                builder.close()

    def _catch_up(self, builder: Builder, tell: Tell) -> None:
        while builder.left() > NEAR:
            total = builder.total()
            tell("building states", total - builder.left(), total)
            builder.step()

    def _await_workers(self, builder: Builder, target: Entry, live: Entry, tell: Tell) -> None:
        """Go on building until each worker has what it needs to serve at once."""
        give_up, looked = time.monotonic() + READY_SECONDS, 0.0
        while True:
            builder.step()
            if time.monotonic() - looked < _LOOK_SECONDS:
                continue
            looked = time.monotonic()
            members, acks = self._members(), fresh(self._control.soon())
            wanted = (live.fingerprint, target.fingerprint)
            ready = sum((ack.serving, ack.prepared) == wanted for ack in acks)
            tell("waiting for the interests workers", min(ready, members), members)
            if ready >= members and builder.left() <= NEAR and ready == len(acks):
                return
            if time.monotonic() > give_up:
                raise PromotionError(
                    f"{ready} of {members} interests workers are ready for {target.version}: those of another"
                    " build never are; see what the others log, and promote again"
                )

    def _turned(self, made: Promoted, tell: Tell, builder: Builder | None = None) -> Promoted:
        """Wait until all partitions serve, or nobody is there to let them."""
        give_up, looked = time.monotonic() + TURN_SECONDS, 0.0
        partitions = self._partitions()
        while True:
            if builder is not None and len(builder.given) < partitions:
                builder.step()
            else:
                time.sleep(_LOOK_SECONDS / 10)
            if time.monotonic() - looked < _LOOK_SECONDS / 5:
                continue
            looked = time.monotonic()
            left = self._control.soon().waiting(partitions)
            tell("taking over", partitions - len(left), partitions)
            if not left or not self._members():
                return replace(made, served=not left)
            if time.monotonic() > give_up:
                raise PromotionError(
                    f"{made.entry.version} is to serve, and partitions {', '.join(map(str, left))} have "
                    "not been taken over yet: see what their workers log"
                )

    def _partitions(self) -> int:
        return partition_counts(self._admin, [self._source])[self._source]

    def _move(self, writer: PointerWriter, pointer: Pointer) -> None:
        writer.write({POINTER: msgspec.json.encode(pointer), **self._stale()})

    def _stale(self) -> dict[bytes, None]:
        """What workers said that are gone."""
        board, now = self._control.soon(), int(time.time() * 1000)
        return {ack_key(name): None for name, ack in board.acks.items() if now - ack.time_ms > 100 * FRESH_MS}

    def _members(self) -> int:
        asked = self._admin.describe_consumer_groups(
            [group := group_of(self._settings, INTERESTS)], request_timeout=_CALL_SECONDS
        )
        try:
            return len(asked[group].result(_CALL_SECONDS + 5).members)
        except kafka.KafkaException as error:
            if error.args[0].code() == kafka.KafkaError.GROUP_ID_NOT_FOUND:
                return 0
            raise PromotionError(f"{group}: cannot be looked at: {error.args[0].str()}") from error


def fresh(board: Board) -> list[Ack]:
    """What living workers say."""
    now = int(time.time() * 1000)
    return [ack for ack in board.acks.values() if now - ack.time_ms < FRESH_MS]
