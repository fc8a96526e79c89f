"""The model that serves now, for what reads the users' states beside the interests workers."""

import time
from dataclasses import dataclass

import msgspec

from state.artifact import Artifact, load_artifact
from state.errors import StateError
from streams import kafka
from streams.errors import EngineError, PromotionError
from streams.models.artifacts import fetch_artifact
from streams.models.board import POINTER, Board, Entry, changelog_of, owner_of
from streams.models.control import Control, PointerWriter, read_board
from streams.settings import Settings
from streams.topics import SilentCluster, partition_counts

LOOK_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Live:
    """`entry` is None where no model was ever promoted, so that the settings name the one that serves."""

    settings: Settings
    entry: Entry | None
    generation: int = 0
    """Of its service: a model that serves again after another one has a later one."""

    @property
    def changelog(self) -> str:
        """Name of the topic with the users' states."""
        return changelog_of(self.settings, self.entry)

    @property
    def owner(self) -> str:
        """What the ids of its transactions begin with."""
        return owner_of(self.settings, self.entry)

    def artifact(self) -> Artifact:
        """Raises EngineError."""
        if self.entry is not None:
            return fetch_artifact(self.settings, self.entry)
        try:
            return load_artifact(self.settings.model.artifact)
        except StateError as error:
            raise EngineError(str(error)) from error


class ModelWatch:
    """Tells those who read states when to begin anew with another model's. For one thread."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._control = Control(settings)
        self._source = settings.topics.interactions_encoded
        self._partitions = 0
        self._known = Live(settings, None)
        self._look_at = 0.0

    def begin(self) -> Live:
        """The model to begin with. Raises EngineError, and TopicError."""
        self._partitions = 0
        self._known = self._found(self._control.soon())
        return self._known

    def changed(self) -> bool:
        """Whether another one has taken over since; asks Kafka now and then."""
        if time.monotonic() < self._look_at:
            return False
        self._look_at = time.monotonic() + LOOK_SECONDS
        try:
            return self.overtaken()
        except (kafka.KafkaException, SilentCluster):
            return False

    def overtaken(self) -> bool:
        """As `changed`, as of now: whoever begins with another model begins after this was asked, where it
        is not. Raises KafkaException and SilentCluster where the cluster does not answer."""
        overtaken = self._found(self._control.refresh()).generation != self._known.generation
        if overtaken:
            self._look_at = 0.0
        return overtaken

    def close(self) -> None:
        self._control.close()

    def _found(self, board: Board) -> Live:
        if board.pointer is not None and not self._partitions:
            admin = kafka.admin_client(self._settings.kafka)
            self._partitions = partition_counts(admin, [self._source]).get(self._source, 0)
        entry, generation = whole_model(board, self._partitions)
        return Live(self._settings, entry, generation)


def live_model(settings: Settings) -> Live:
    """The model whose states are those of all users, as of now. Raises EngineError, and TopicError."""
    watch = ModelWatch(settings)
    try:
        return watch.begin()
    finally:
        watch.close()


def settled_model(settings: Settings) -> Live:
    """The model that serves, for commands that move states. Raises PromotionError while another one is on
    its way, EngineError, and TopicError."""
    board = read_board(settings)
    if board.pointer is None:
        return Live(settings, None)
    source = settings.topics.interactions_encoded
    partitions = partition_counts(kafka.admin_client(settings.kafka), [source]).get(source, 0)
    if board.pointer.building is not None:
        raise PromotionError(
            "another model is being built: let `penchant models promote` end, or `penchant models cancel` it"
        )
    if board.waiting(partitions):
        raise PromotionError(
            "a model is still taking over: let the interests workers run until `penchant models list` says "
            "that it serves"
        )
    return Live(settings, board.entry(board.pointer.live))


def forget_former(settings: Settings) -> None:
    """There is no way back to the model that served before. Raises PromotionError, and TopicError."""
    pointer = read_board(settings).pointer
    if pointer is not None and pointer.former is not None:
        changed = msgspec.structs.replace(pointer, former=None)
        PointerWriter(settings).write({POINTER: msgspec.json.encode(changed)})


def whole_model(board: Board, partitions: int) -> tuple[Entry | None, int]:
    """The model with the states of all users, and the generation of its service.

    While some partitions have not been taken over, the former model's states are the fuller ones.
    """
    pointer = board.pointer
    if pointer is None:
        return None, 0
    if pointer.former is not None and board.waiting(partitions):
        return board.entry(pointer.former), pointer.generation - 1
    return board.entry(pointer.live), pointer.generation
