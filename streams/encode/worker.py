"""The encode worker: what it opens, in which order, and how it ends."""

import logging
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from encoders.errors import EncodersError
from streams.encode.covered import covered_ends
from streams.encode.forgotten import end_forgotten
from streams.encode.instance import Instance
from streams.encode.item_tail import ItemTail
from streams.encode.item_view import ItemView
from streams.encode.late_media import LateMedia
from streams.encode.loop import EncodeLoop
from streams.encode.media import MediaEncoder
from streams.encode.sink import TransactionalSink
from streams.encode.source import RawSource
from streams.encode.stage import STAGE, EncodeStage
from streams.errors import EngineError, TopicError
from streams.kafka import KafkaException, admin_client
from streams.repartition.switch import check_switch
from streams.settings import Settings
from streams.topics import partition_counts, topic_values
from streams.watchdog import Watchdog

CATCH_UP_SECONDS = 1_800.0

_log = logging.getLogger(__name__)

MediaFactory = Callable[[Settings, Path, ExitStack], MediaEncoder]
"""Makes what fetches and encodes media, with its files in a folder; the stack closes it."""


class EncodeWorker:
    """One of any number of encode workers; they share the partitions by their consumer group."""

    def __init__(self, settings: Settings, make_media: MediaFactory | None = None) -> None:
        self._settings = settings
        self._make_media = _configured_media if make_media is None else make_media
        self._view = ItemView()
        self._tail = ItemTail(settings, self._view)
        self._watchdog = Watchdog(STAGE, settings.app.watchdog_seconds)
        self._running = False
        self._stage = "loading the encoders"

    def waits_for(self) -> str:
        return self._stage

    def ready(self) -> bool:
        """Whether all items are known and raw records are read."""
        return self._running

    def knows(self, item_id: str) -> bool:
        """Whether events get the vectors of this item."""
        return self._view.get(item_id) is not None

    def run(self, stop: threading.Event) -> None:
        """Work until `stop`, then end the batch, commit and leave the group.

        Raises EngineError where it cannot go on: what was not committed is done again by the next worker.
        """
        with ExitStack() as stack:
            try:
                loop, late = self._open(stack)
                self._stage = f"reading {self._settings.topics.items_encoded} to its end"
                if self._catch_up(stop):
                    loop.source.open()
                    self._running = True
                    while not stop.is_set():
                        self._watchdog.beat()
                        self._tail.check()
                        late.check()
                        loop.step(self._watchdog.beat)
                    loop.drain(self._watchdog.beat)
            except EncodersError as error:
                raise EngineError(f"encoding failed: {error}") from error
            except KafkaException as error:
                raise EngineError(f"Kafka: {error.args[0].str()}") from error
            finally:
                self._running = False

    def _open(self, stack: ExitStack) -> tuple[EncodeLoop, LateMedia]:
        settings = self._settings
        checked = check_topics(settings)
        check_switch(settings)
        instance = stack.enter_context(Instance(Path(settings.app.data)))
        self._tail.start()
        stack.callback(self._tail.stop)
        _log.info("loading the encoders")
        media = self._make_media(settings, instance.folder, stack)
        self._view.use(media.version)
        name = f"{settings.app.name}-encode-{instance.id}"
        sink = TransactionalSink(settings, name, checked.letter_bytes, self._watchdog.beat)
        stack.callback(sink.close)
        self._watchdog.start()
        stack.callback(self._watchdog.stop)
        sink.open()
        end_forgotten(settings, sink, self._watchdog.beat)
        topics = settings.topics
        group = f"{settings.app.name}-encode"
        inputs = (topics.keyed, topics.items, topics.user_commands)
        source = RawSource(settings, group, inputs, partial(covered_ends, settings))
        source.read_below(checked.partitions)
        stack.callback(source.close)
        late = LateMedia(media, settings.fetch.timeout_seconds)
        late.start()
        stack.callback(late.stop)
        stage = EncodeStage(settings, media, self._view, checked.partitions)
        loop = EncodeLoop(settings, source, sink, stage, late)
        stack.callback(loop.close)
        return loop, late

    def _catch_up(self, stop: threading.Event) -> bool:
        deadline = time.monotonic() + CATCH_UP_SECONDS
        while not stop.is_set():
            self._watchdog.beat()
            self._tail.check()
            if self._view.caught_up.wait(0.05):
                return True
            if time.monotonic() > deadline:
                raise EngineError(f"{self._settings.topics.items_encoded} could not be read to its end")
        return False


def _configured_media(settings: Settings, folder: Path, stack: ExitStack) -> MediaEncoder:
    # Imported late: the encoders load their frameworks, which only a worker that serves needs.
    from streams.encode.configured_media import configured_media

    return configured_media(settings, folder, stack)


@dataclass(slots=True, frozen=True)
class Checked:
    """What the topics say: the largest dead letter, in bytes, and the partitions that packs may go to."""

    letter_bytes: int
    partitions: int


def check_topics(settings: Settings) -> Checked:
    """Raises TopicError where topics do not fit.

    Events in partitions beyond those of the packs may wait until the packs' topic has grown, too. Fewer are
    refused: users would be in other partitions than their states.
    """
    names = settings.topics
    needed = (
        names.keyed,
        names.items,
        names.user_commands,
        names.interactions_encoded,
        names.items_encoded,
    )
    admin = admin_client(settings.kafka)
    counts = partition_counts(admin, (*needed, names.dead_letters))
    missing = [name for name in (*needed, names.dead_letters) if name not in counts]
    if missing:
        raise TopicError(f"no topic {', '.join(missing)}; make them with `penchant topics create`")
    partitions = counts[names.interactions_encoded]
    if counts[names.keyed] < partitions:
        raise TopicError(
            f"{names.keyed} has {counts[names.keyed]} partitions, fewer than the {partitions} of "
            f"{names.interactions_encoded}, by which the users' states lie; `penchant topics grow "
            f"--partitions {partitions}` gives it as many"
        )
    return Checked(int(topic_values(admin, names.dead_letters)["max.message.bytes"]), partitions)
