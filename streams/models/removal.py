"""Takes a model away that does not serve: the states of all users under it, its weights, and its entry."""

import time
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass
from pathlib import Path

import msgspec

from streams import kafka
from streams.errors import PromotionError
from streams.models import local
from streams.models.artifacts import chunk_key
from streams.models.board import POINTER, Board, Entry, artifacts_topic, changelog_of, entry_key
from streams.models.control import PointerWriter, read_board, write
from streams.models.live import settled_model
from streams.reading import whole
from streams.settings import Settings
from streams.topics import create_topics, partition_counts

_CALL_SECONDS = 15.0
_GONE_SECONDS = 30.0
_LOOK_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Goods:
    """What there is of a model. `changelog` is '' where it has no states in Kafka."""

    entry: Entry
    changelog: str
    partitions: int
    records: int
    """At most: compaction leaves gaps."""
    folders: tuple[Path, ...]
    """On this machine."""


class Removal:
    """One command. `force` removes even the model that a rollback would go back to."""

    def __init__(self, settings: Settings, name: str, force: bool = False) -> None:
        """`name`: version or fingerprint. Raises PromotionError where the model is needed, EngineError, and
        TopicError."""
        self._settings = settings
        self._admin = kafka.admin_client(settings.kafka)
        self._force = force
        self._entry = self._spare(name)

    def goods(self) -> Goods:
        """Raises TopicError."""
        changelog = changelog_of(self._settings, self._entry)
        partitions = partition_counts(self._admin, [changelog]).get(changelog, 0)
        stretches = whole(self._settings, changelog, settled=False) if partitions else []
        return Goods(
            self._entry,
            changelog if partitions else "",
            partitions,
            sum(each.end - each.first for each in stretches),
            tuple(local.folders_of(self._settings, self._entry)),
        )

    def run(self, goods: Goods) -> list[Path]:
        """Delete all of it; the entry goes last, so that a run that was cut off can be repeated. Returns
        folders that a process of this machine holds open. Raises PromotionError, EngineError, and TopicError.
        """
        settings, entry = self._settings, self._entry
        writer = PointerWriter(settings)
        self._spare(entry.code)
        pointer = read_board(settings).pointer
        assert pointer is not None
        if pointer.former == entry.fingerprint:
            writer.write({POINTER: msgspec.json.encode(msgspec.structs.replace(pointer, former=None))})
        if goods.changelog:
            self._delete(goods.changelog)
        left = [folder for folder in goods.folders if not local.delete(folder)]
        if entry.chunks:
            keys = [chunk_key(entry, number) for number in range(entry.chunks)]
            write(settings, artifacts_topic(settings), dict.fromkeys(keys))
        writer.write({entry_key(entry.fingerprint): None})
        return left

    def _spare(self, name: str) -> Entry:
        board = read_board(self._settings)
        if board.pointer is None:
            raise PromotionError("no model was ever promoted here: there is only that of the settings")
        entry = board.named(name)
        settled_model(self._settings)
        self._refuse_needed(board, entry)
        return entry

    def _refuse_needed(self, board: Board, entry: Entry) -> None:
        assert board.pointer is not None
        label = f"{entry.version} ({entry.code})"
        if entry.fingerprint == board.pointer.live:
            raise PromotionError(f"{label} serves: promote another model first")
        if entry.fingerprint == board.pointer.former and not self._force:
            raise PromotionError(
                f"{label} is what `penchant models rollback` goes back to: with --force there is no way back"
            )

    def _delete(self, changelog: str) -> None:
        answer = self._admin.delete_topics([changelog], operation_timeout=_CALL_SECONDS)[changelog]
        try:
            answer.result(_CALL_SECONDS + 5)
        except FutureTimeout:
            raise PromotionError(f"{changelog}: the cluster does not answer; run it again") from None
        except kafka.KafkaException as error:
            if error.args[0].code() != kafka.KafkaError.UNKNOWN_TOPIC_OR_PART:
                raise PromotionError(f"{changelog}: cannot be deleted: {error.args[0].str()}") from error
        give_up = time.monotonic() + _GONE_SECONDS
        while partition_counts(self._admin, [changelog]):
            if time.monotonic() > give_up:
                raise PromotionError(f"{changelog}: is still there; run it again")
            time.sleep(_LOOK_SECONDS)
        if self._entry.first:
            # Its name belongs to the deployment: without it `penchant doctor` would find a topic missing.
            create_topics(self._settings)
