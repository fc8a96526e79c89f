"""The interests worker: users' states on Faust, and the demand for items on a group of its own."""

import logging
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from state.artifact import load_artifact
from state.errors import StateError
from streams.encode.instance import Instance
from streams.encode.relay_worker import check_there
from streams.engine.group_host import GroupHost
from streams.engine.kafka_engine import EngineSpec, group_of, kafka_runner
from streams.engine.runner import Runner
from streams.errors import EngineError
from streams.interests.faust_host import FaustHost
from streams.interests.identity import user_topics
from streams.interests.signals import SignalsProcessor
from streams.kafka import admin_client
from streams.models.serving import ModelServing, served
from streams.settings import Settings
from streams.topic_plans import item_signals_changelog, user_state_changelog
from streams.watchdog import Watchdog

INTERESTS = "interests"
SIGNALS = "signals"

CATCH_UP_SECONDS = 1_800.0
SIGNALS_INTERVAL_SECONDS = 0.25
"""Demand is counted in few, larger transactions: nobody waits for it."""
SIGNALS_END_SECONDS = 60.0

_log = logging.getLogger(__name__)


class InterestsWorker:
    """One of any number of interests workers; they share the partitions by their consumer groups."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        try:
            self._models = ModelServing(settings, served(settings, load_artifact(settings.model.artifact)))
        except StateError as error:
            raise EngineError(str(error)) from error
        self._watchdogs = {
            name: Watchdog(name, settings.app.watchdog_seconds)
            for name in (INTERESTS, SIGNALS, *map(_consumer, (INTERESTS, SIGNALS)))
        }
        self._ready: list[Callable[[], bool]] = []
        self._runners: dict[str, Runner[Any]] = {}
        self._failure: EngineError | None = None

    def ready(self) -> bool:
        """Whether the catalogue is level, and all partitions that the groups gave us are open."""
        return bool(self._ready) and all(ready() for ready in list(self._ready))

    def waits_for(self) -> str:
        if not self._ready:
            return f"reading {self._settings.topics.items_encoded} to its end"
        closed = [
            f"{name} {', '.join(map(str, sorted(runner.partitions() - runner.places().keys())))}"
            for name, runner in list(self._runners.items())
            if not runner.ready() and runner.partitions()
        ]
        # What a group gives comes late where another member has not answered yet.
        return f"restoring partitions: {'; '.join(closed)}" if closed else "its partitions from the group"

    def run(self, stop: threading.Event) -> None:
        """Work until `stop`, then end the batches, leave the groups and close the stores.

        Raises EngineError where it cannot go on: what was not committed is done again by the next worker.
        """
        with ExitStack() as stack:
            instance = stack.enter_context(Instance(Path(self._settings.app.data), INTERESTS))
            self._models.choose(stop)
            self._models.current.tail.start()
            stack.callback(self._models.stop)
            for watchdog in self._watchdogs.values():
                watchdog.start()
                stack.callback(watchdog.stop)
            if self._catch_up(stop):
                # Else the first user to be forgotten would stop the partition for good.
                check_there(admin_client(self._settings.kafka), user_topics(self._settings))
                self._work(stop, instance)

    def _work(self, stop: threading.Event, instance: Instance) -> None:
        settings, folder = self._settings, instance.folder
        interests = self._models.runner(self._spec(INTERESTS, folder))
        signals = kafka_runner(settings, self._spec(SIGNALS, folder), SignalsProcessor(settings))
        self._runners = {INTERESTS: interests, SIGNALS: signals}
        self._ready = [interests.ready, signals.ready]
        ended = threading.Event()
        topics = settings.topics
        beats = {name: self._watchdogs[_consumer(name)].beat for name in (INTERESTS, SIGNALS)}
        lesser = GroupHost(
            settings.kafka, group_of(settings, SIGNALS), topics.item_deltas, signals, beats[SIGNALS]
        )
        thread = threading.Thread(target=self._run_signals, args=(lesser, ended), name=SIGNALS, daemon=True)
        host = FaustHost(
            settings.kafka,
            group_of(settings, INTERESTS),
            topics.interactions_encoded,
            interests,
            beats[INTERESTS],
        )
        thread.start()
        self._models.start(instance.id)
        try:
            host.run(lambda: stop.is_set() or not thread.is_alive() or not self._models.lives())
        finally:
            self._ready = []
            ended.set()
            thread.join(SIGNALS_END_SECONDS)
        self._models.current.tail.check()
        if self._failure is not None:
            raise self._failure

    def _run_signals(self, host: GroupHost[object], ended: threading.Event) -> None:
        try:
            host.run(ended.is_set)
        except EngineError as error:
            self._failure = error
        except Exception as error:
            self._failure = EngineError(f"{SIGNALS}: {error!r}")

    def _catch_up(self, stop: threading.Event) -> bool:
        """Slates without the catalogue would be empty: nothing is read before it is level."""
        deadline = time.monotonic() + CATCH_UP_SECONDS
        while not stop.is_set():
            for watchdog in self._watchdogs.values():
                watchdog.beat()
            if self._models.current.tail.wait(0.05):
                return True
            if time.monotonic() > deadline:
                raise EngineError(f"{self._settings.topics.items_encoded} could not be read to its end")
        return False

    def _spec(self, name: str, folder: Path) -> EngineSpec:
        topics, beat = self._settings.topics, self._watchdogs[name].beat
        if name == INTERESTS:
            changelog = user_state_changelog(self._settings)
            interval = self._settings.interests.interval_ms / 1000
            return EngineSpec(name, topics.interactions_encoded, changelog, folder / name, interval, beat)
        changelog = item_signals_changelog(self._settings)
        return EngineSpec(name, topics.item_deltas, changelog, folder / name, SIGNALS_INTERVAL_SECONDS, beat)


def _consumer(name: str) -> str:
    """What the watchdog calls the consumer of an engine."""
    return f"{name} consumer"
