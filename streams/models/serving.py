"""The model that an interests worker serves under, and its passage to another one while events come."""

import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import msgspec

from state.artifact import Artifact
from state.catalogue import Catalogue
from state.events import Row
from state.fusion import Fusion
from streams import kafka
from streams.engine.engine import Engine
from streams.engine.journal import OpeningCancelled
from streams.engine.kafka_engine import EngineSpec, kafka_engine, runner_options
from streams.engine.runner import Runner
from streams.engine.source_check import kafka_source_check
from streams.errors import PenchantError
from streams.interests.catalogue_tail import CatalogueTail
from streams.interests.identity import IdentityProcessor
from streams.interests.processor import InterestsProcessor
from streams.metrics import MODEL_INFO, MODEL_PREPARED, MODEL_TURNS
from streams.models.artifacts import fetch_artifact
from streams.models.board import Ack, Board, Entry, ack_key, models_topic, spec_of
from streams.models.control import Control, write
from streams.models.faults import reached
from streams.models.local import delete_removed
from streams.models.stores import SharedStores
from streams.models.turning import LiveCheck
from streams.settings import Settings

LOOK_SECONDS = 0.5
ACK_SECONDS = 3.0
_AGAIN_SECONDS = 5.0
_TURN_SECONDS = 60.0
_STOP_SECONDS = 30.0

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Served:
    """A model with its catalogue, and the processor that serves under it."""

    entry: Entry | None
    """None for the model of the settings, where none was ever promoted."""
    artifact: Artifact
    tail: CatalogueTail
    processor: IdentityProcessor


def served(settings: Settings, artifact: Artifact, entry: Entry | None = None) -> Served:
    """Its tail is not started yet."""
    catalogue, processor = processor_of(settings, artifact)
    return Served(entry, artifact, CatalogueTail(settings, catalogue), processor)


def processor_of(settings: Settings, artifact: Artifact) -> tuple[Catalogue, IdentityProcessor]:
    """What folds and ranks under a model, over a catalogue that is still empty."""
    fusion = Fusion(artifact)
    catalogue = Catalogue(fusion, artifact.space)
    interests = InterestsProcessor(fusion, catalogue, settings)
    return catalogue, IdentityProcessor(interests, artifact, settings)


class ModelServing:
    """Follows the board in a thread of its own: makes ready what is to serve, and lets it."""

    def __init__(self, settings: Settings, current: Served) -> None:
        self.current = current
        self._settings = settings
        self._control = Control(settings)
        self._coming: Served | None = None
        self._acked = 0.0
        self._ack = Ack(0, None, 0)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="models", daemon=True)

    def choose(self, stop: threading.Event) -> None:
        """Take what the board says in place of what the settings say. Raises EngineError."""
        try:
            board = self._control.asked(stop.is_set)
        except OpeningCancelled:
            return
        pointer = board.pointer
        if pointer is not None:
            entry = board.entry(pointer.live)
            if entry.fingerprint != self.current.artifact.fingerprint:
                _log.info("model %s (%s) serves, as it was promoted", entry.version, entry.code)
                self.current = served(self._settings, fetch_artifact(self._settings, entry), entry)
            self.current.entry = entry
        MODEL_INFO.labels("fusion", self.current.artifact.version).set(1)

    def runner(self, base: EngineSpec) -> Runner[Row]:
        """The runner of the model that serves, `base` being the engine of the deployment's first one."""
        self._base = base
        for folder in delete_removed(base.folder, self._control.board):
            _log.info("%s: deleted, as its model was removed", folder)
        spec = spec_of(self._settings, self.current.entry, base)
        self._stores = SharedStores(self._settings, spec)
        self._source_check = self._checked(spec)
        options = runner_options(self._settings, spec, self._check_source)
        self._runner = Runner(self._engine(self.current), options, self._stores)
        return self._runner

    def start(self, instance: str) -> None:
        self._instance = instance
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        if self._thread.ident is not None:
            self._thread.join(_STOP_SECONDS)
        for each in (self._coming, self.current):
            if each is not None:
                each.tail.stop()
        self._control.close()

    def lives(self) -> bool:
        """Whether the catalogue that serves is read."""
        try:
            self.current.tail.check()
        except PenchantError:
            return False
        return True

    def _run(self) -> None:
        while not self._stopped.wait(LOOK_SECONDS):
            try:
                self._look(self._control.refresh())
            except kafka.KafkaException as error:
                _log.info("models: the broker does not answer: %s", error.args[0].str())
            except Exception as error:
                _log.warning("models: %s", error, exc_info=not isinstance(error, PenchantError))
                self._stopped.wait(_AGAIN_SECONDS)

    def _look(self, board: Board) -> None:
        pointer = board.pointer
        if pointer is None:
            return
        mine = self.current.artifact.fingerprint
        if self.current.entry is None:
            self.current.entry = board.entries.get(mine)
        wanted = pointer.live if pointer.live != mine else pointer.building
        if self._coming is not None and wanted != self._coming.artifact.fingerprint:
            self._let_go()
        if wanted is not None and self._coming is None:
            self._prepare(board.entries[wanted])
        if self._prepared() and pointer.live != mine:
            self._turn()
        self._tell()

    def _prepare(self, entry: Entry) -> None:
        _log.info("model %s (%s): making it ready beside the one that serves", entry.version, entry.code)
        self._coming = served(self._settings, fetch_artifact(self._settings, entry), entry)
        self._coming.tail.start()
        self._stores.prepare(spec_of(self._settings, entry, self._base))
        MODEL_PREPARED.labels(entry.version).set(0)

    def _prepared(self) -> bool:
        if self._coming is None:
            return False
        self._coming.tail.check()
        ready = self._coming.tail.caught_up.is_set() and self._stores.level()
        if ready:
            reached("prepared")
        MODEL_PREPARED.labels(self._coming.artifact.version).set(ready)
        return ready

    def _let_go(self) -> None:
        coming, self._coming = self._coming, None
        assert coming is not None
        _log.info("model %s: it is not to serve any more", coming.artifact.version)
        coming.tail.stop()
        self._stores.forget()
        _forget(coming)

    def _turn(self) -> None:
        coming, before = self._coming, self.current
        assert coming is not None
        began = time.monotonic()
        reached("turning")
        self._stores.turn()
        self.current, self._coming = coming, None
        self._source_check = self._checked(spec_of(self._settings, coming.entry, self._base))
        self._runner.turn(self._engine(coming)).result(_TURN_SECONDS)
        before.tail.stop()
        MODEL_TURNS.inc()
        _forget(coming)
        with suppress(KeyError):
            MODEL_INFO.remove("fusion", before.artifact.version)
        MODEL_INFO.labels("fusion", coming.artifact.version).set(1)
        seconds = time.monotonic() - began
        _log.info("model %s serves in place of %s, after %.1f s", *_versions(coming, before), seconds)

    def _tell(self) -> None:
        """So that nobody moves the pointer before all are ready."""
        prepared = self._coming.artifact.fingerprint if self._coming and self._prepared() else None
        now = int(time.time() * 1000)
        ack = Ack(self.current.artifact.fingerprint, prepared, now)
        same = msgspec.structs.replace(self._ack, time_ms=now) == ack
        if not same or time.monotonic() - self._acked > ACK_SECONDS:
            self._ack, self._acked = ack, time.monotonic()
            value = msgspec.json.encode(ack)
            write(self._settings, models_topic(self._settings), {ack_key(self._instance): value})

    def _engine(self, model: Served) -> Engine[Row]:
        spec = spec_of(self._settings, model.entry, self._base)
        fingerprint = model.artifact.fingerprint
        check = LiveCheck(self._settings, self._control, fingerprint, self._base, self._stores.open)
        return kafka_engine(self._settings, spec, model.processor, self._stores.serving, check)

    def _check_source(self) -> None:
        self._source_check()

    def _checked(self, spec: EngineSpec) -> Callable[[], None]:
        return kafka_source_check(self._settings.kafka, spec.source, spec.changelog)


def _versions(coming: Served, before: Served) -> tuple[str, str]:
    return coming.artifact.version, before.artifact.version


def _forget(model: Served) -> None:
    with suppress(KeyError):
        MODEL_PREPARED.remove(model.artifact.version)
