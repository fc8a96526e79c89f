"""A worker process: its workers in threads, its signals, its health server, and its certain end."""

import atexit
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from queue import Empty, SimpleQueue
from types import FrameType
from typing import NoReturn, Protocol, runtime_checkable

from streams.contact import BrokerContact
from streams.errors import PenchantError, SettingsError
from streams.exits import EXIT_DRAINED, EXIT_FAILED, EXIT_MISUSED, EXIT_NOT_DRAINED
from streams.health import HealthServer
from streams.metrics import READY
from streams.settings import Settings

READY_POLL_SECONDS = 0.25
SIGNAL_POLL_SECONDS = 0.25
LAST_RESORT_SECONDS = 5.0

_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)

_log = logging.getLogger(__name__)


class Worker(Protocol):
    """What runs in a process."""

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set, drain, return. Any other return or error is a failure."""
        ...

    def ready(self) -> bool: ...


@runtime_checkable
class Telling(Protocol):
    """A worker that can say what it waits for while it is not ready."""

    def waits_for(self) -> str: ...


Factories = Mapping[str, Callable[[Settings], Worker]]
"""Workers by name. They are made in their own threads: making one may load models."""


def run_workers(
    factories: Factories, settings: Settings, announce: Callable[[str], None] = lambda _: None
) -> int:
    """Run workers until a signal comes or one fails; then drain them all, for `app.drain_seconds` at most.

    Call it from the main thread. `announce` is told the health server's address. Returns the exit
    code; where that is not EXIT_DRAINED threads may be left, so end the process with `leave`.
    """
    group = _Group(factories, settings)
    with HealthServer(settings.metrics, group.unhealthy, group.unready) as health:
        if health.address is not None:
            announce(health.address)
        with _signals_to(group.news):
            group.start()
            return group.finish()


def leave(code: int) -> NoReturn:
    """End the process now, whatever threads are left: flush, run the exit handlers for a while, and go."""
    guard = threading.Timer(LAST_RESORT_SECONDS, os._exit, (code or EXIT_NOT_DRAINED,))
    guard.daemon = True
    guard.start()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


class _Group:
    """The workers of this process. `news` carries signal numbers and the names of workers that ended."""

    def __init__(self, factories: Factories, settings: Settings) -> None:
        self.news: SimpleQueue[int | str] = SimpleQueue()
        self._drain_seconds = settings.app.drain_seconds
        self._contact = BrokerContact(settings.kafka)
        self._stop = threading.Event()
        self._members = {name: _Member(name, make, settings) for name, make in factories.items()}

    def unhealthy(self) -> list[str]:
        return [f"{name}: not running" for name, each in self._members.items() if not each.thread.is_alive()]

    def unready(self) -> list[str]:
        if self._stop.is_set():
            return ["draining"]
        silence = self._contact.problem()
        unready = [each.unready() for each in self._members.values() if not each.ready()]
        return unready if silence is None else [silence, *unready]

    def start(self) -> None:
        self._contact.start()
        for member in self._members.values():
            READY.labels(member.name).set_function(partial(self._serves, member))
            member.start(self._stop, self.news)

    def finish(self) -> int:
        """Wait for the first news, then drain."""
        try:
            return self._finish()
        finally:
            self._contact.stop()

    def _serves(self, member: "_Member") -> bool:
        return member.ready() and self._contact.problem() is None

    def _finish(self) -> int:
        self._note(self._first_news())
        self._stop.set()
        deadline = time.monotonic() + self._drain_seconds
        while self._running():
            news = self._wait(deadline - time.monotonic())
            if news is None:
                _log.error(
                    "%s did not drain within %g s (app.drain_seconds): ending the process",
                    " and ".join(self._running()),
                    self._drain_seconds,
                )
                return EXIT_NOT_DRAINED
            if isinstance(news, int):
                _log.error("%s again: ending without draining", signal.Signals(news).name)
                return EXIT_NOT_DRAINED
            self._note(news)
        return max(member.exit_code for member in self._members.values())

    def _first_news(self) -> int | str:
        """Tells on the way when all workers are ready."""
        started, told = time.monotonic(), False
        while True:
            news = self._wait(READY_POLL_SECONDS)
            if news is not None:
                return news
            if not told and not self.unready():
                told = True
                _log.info("ready after %.1f s", time.monotonic() - started)

    def _wait(self, seconds: float) -> int | str | None:
        """The next news; none where there is none for so long.

        Python runs a signal's handler in this thread, which a signal does not wake where another thread got
        it, or where it came just before the waiting began: so this thread never sleeps for long.
        """
        deadline = time.monotonic() + seconds
        while True:
            left = deadline - time.monotonic()
            try:
                return self.news.get(timeout=max(0.0, min(left, SIGNAL_POLL_SECONDS)))
            except Empty:
                if left <= 0:
                    return None

    def _note(self, news: int | str) -> None:
        if isinstance(news, int):
            _log.info("%s: draining", signal.Signals(news).name)
            return
        member = self._members[news]
        member.ended = True
        if member.exit_code != EXIT_DRAINED:
            return
        if self._stop.is_set():
            _log.info("worker %s drained", news)
        else:
            member.exit_code = EXIT_FAILED
            _log.error("worker %s ended without being asked to", news)

    def _running(self) -> list[str]:
        return [name for name, member in self._members.items() if not member.ended]


class _Member:
    """One worker in its thread, which is a daemon: a worker that hangs cannot keep the process."""

    def __init__(self, name: str, make: Callable[[Settings], Worker], settings: Settings) -> None:
        self.name = name
        self.ended = False
        self.exit_code = EXIT_DRAINED
        self.thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._make = make
        self._settings = settings
        self._worker: Worker | None = None

    def start(self, stop: threading.Event, news: "SimpleQueue[int | str]") -> None:
        self._stop = stop
        self._news = news
        self.thread.start()

    def ready(self) -> bool:
        return self._worker is not None and self.thread.is_alive() and self._worker.ready()

    def unready(self) -> str:
        if not self.thread.is_alive():
            return f"{self.name}: not running"
        reason = self._worker.waits_for() if isinstance(self._worker, Telling) else ""
        return f"{self.name}: not ready{reason and ': '}{reason}"

    def _run(self) -> None:
        try:
            self._worker = self._make(self._settings)
            if not self._stop.is_set():
                self._worker.run(self._stop)
        except PenchantError as error:
            self.exit_code = EXIT_MISUSED if isinstance(error, SettingsError) else EXIT_FAILED
            _log.error("worker %s failed: %s", self.name, error, exc_info=_log.isEnabledFor(logging.DEBUG))
        except BaseException:
            self.exit_code = EXIT_FAILED
            _log.exception("worker %s failed", self.name)
        finally:
            self._news.put(self.name)


@contextmanager
def _signals_to(news: "SimpleQueue[int | str]") -> Iterator[None]:
    """SimpleQueue.put, unlike Event.set, may interrupt itself: a handler needs that."""

    def handle(number: int, _: FrameType | None) -> None:
        news.put(number)

    before = {number: signal.signal(number, handle) for number in _STOP_SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
